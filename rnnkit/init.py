"""Initialisation of recurrent weights, in the manner of torch.nn.init: in place, for every layer and direction.

Each function takes a layer or a cell, wrapped or not, goes by the `gates` that its cells declare, changes the tensors
that it names and no other, and returns what it was given. What a cell cannot honour raises UsageError, and then nothing
has been written.
"""

import math
from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from rnnkit.core.cell import Cell
from rnnkit.errors import KindError, UsageError, check_whole
from rnnkit.layers.rnn import RNN
from rnnkit.layers.wrapper import innermost, resetter

Subject = TypeVar("Subject", RNN, Cell)


def default_(layer: Subject) -> Subject:
    """Draw all parameters again as the cells themselves do: torch's initialisation for those that torch has."""
    _cells_of("default_", layer)
    if layer.computes_weights() if isinstance(layer, RNN) else any(map(is_parametrized, layer.modules())):
        raise UsageError("default_: a parametrization computes some of the parameters; initialise first, then add that")
    draw = layer.reset_parameters if isinstance(layer, RNN) else resetter(layer)
    draw()
    return layer


@torch.no_grad()
def forget_bias_(layer: Subject, value: float = 1.0) -> Subject:
    """Let the cells remember at first: the forget gate's bias is `value`. A GRU's forget gate is z, which keeps h.

    Once, not twice: bias_ih has the value and bias_hh zero, for the gate sees their sum.

    Paper: Gers, Schmidhuber & Cummins, "Learning to Forget", Neural Computation 12(10), 2000; one as the value:
    Jozefowicz, Zaremba & Sutskever, "An Empirical Exploration of Recurrent Network Architectures", ICML 2015.
    """
    _check_number("forget_bias_: value", value)
    for biases in [gates.biases(gates.forget_gate()) for gates in _gates_of("forget_bias_", layer)]:
        _fill(biases, torch.tensor(value))
    return layer


@torch.no_grad()
def orthogonal_(layer: Subject, gain: float = 1.0) -> Subject:
    """Make each gate's block (H, H) of weight_hh a random orthogonal matrix of its own, times `gain`.

    Paper: Saxe, McClelland & Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks", ICLR 2014.
    """
    _check_number("orthogonal_: gain", gain)
    for block in [gates.square(name) for gates in _gates_of("orthogonal_", layer) for name in gates.names]:
        nn.init.orthogonal_(block, gain)
    return layer


@torch.no_grad()
def chrono_(layer: Subject, longest: int) -> Subject:
    """Spread the memory of the units over 1 to `longest` steps.

        b_f = log u,  u ~ U(1, longest - 1);  b_i = -b_f if there is an input gate

    bias_ih has these, and bias_hh zeros in their place. A GRU's forget gate is z, which keeps h.

    Paper: Tallec & Ollivier, "Can Recurrent Neural Networks Warp Time?", ICLR 2018.

    Args:
        layer: or cell.
        longest: steps of the longest dependency that is expected, at least 2.
    """
    check_whole("chrono_: longest", longest, least=2)
    pairs = [(gates.biases(gates.forget_gate()), gates.input_biases()) for gates in _gates_of("chrono_", layer)]
    for forget, admit in pairs:
        drawn = torch.empty_like(forget[0]).uniform_(1, longest - 1).log_()
        _fill(forget, drawn)
        _fill(admit, -drawn)
    return layer


@torch.no_grad()
def identity_(layer: Subject, scale: float = 1.0) -> Subject:
    """Make weight_hh the identity, times `scale`, in cells of a single gate: with nonlinearity="relu" this is the IRNN.

    Paper: Le, Jaitly & Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", arXiv
    1504.00941, 2015; its biases are zero besides.
    """
    _check_number("identity_: scale", scale)
    for block in [gates.square(gates.only_gate()) for gates in _gates_of("identity_", layer)]:
        nn.init.eye_(block).mul_(scale)
    return layer


class _Gates:
    """The gates of one cell, as blocks of rows of its tensors; raises UsageError for what the cell lacks."""

    def __init__(self, function: str, cell: Cell, tensors: Mapping[str, Tensor | None]) -> None:
        self.label = f"{function}: cell {cell.name!r}"
        self.cell = cell
        names = getattr(cell, "gates", ())  # a submodule of that name is no declaration
        self.names: tuple[str, ...] = tuple(names) if isinstance(names, tuple | list) else ()
        self.tensors = tensors
        if not self.names:
            raise UsageError(f"{self.label} declares no gates, so its weights are not known by blocks")

    def forget_gate(self) -> str:
        name = self._declared("forget_gate")
        if name is None:
            raise UsageError(f"{self.label} has no forget gate")
        return name

    def _declared(self, which: str) -> str | None:
        name = getattr(self.cell, which, None)
        return name if isinstance(name, str) else None

    def only_gate(self) -> str:
        if len(self.names) > 1:
            raise UsageError(f"{self.label} has {len(self.names)} gates, {', '.join(self.names)}; it must have one")
        return self.names[0]

    def biases(self, gate: str) -> list[Tensor]:
        """Return the gate's rows of every bias: bias_ih, and bias_hh if there is one."""
        return [self._rows(name, gate) for name in ("bias_ih", "bias_hh")[: 1 + (self.tensors["bias_hh"] is not None)]]

    def input_biases(self) -> list[Tensor]:
        """Return the input gate's rows of every bias; none without such a gate."""
        name = self._declared("input_gate")
        return [] if name is None else self.biases(name)

    def square(self, gate: str) -> Tensor:
        """Return the gate's rows of weight_hh, (H, H)."""
        block = self._rows("weight_hh", gate)
        if block.shape[0] != block.shape[1]:
            raise UsageError(f"{self.label} has a projection: a gate of weight_hh is {tuple(block.shape)}, not square")
        return block

    def _rows(self, name: str, gate: str) -> Tensor:
        tensor, size = self.tensors[name], self.cell.hidden_size
        if tensor is None:
            raise UsageError(f"{self.label} has no {name}")
        if not isinstance(tensor, nn.Parameter):
            raise UsageError(f"{self.label}: {name} is computed by a parametrization; initialise first, then add that")
        start = self.names.index(gate) * size
        return tensor[start : start + size]


def _gates_of(function: str, layer: RNN | Cell) -> list[_Gates]:
    return [_Gates(function, cell, tensors) for cell, tensors in _cells_of(function, layer)]


def _cells_of(function: str, layer: RNN | Cell) -> list[tuple[Cell, Mapping[str, Tensor | None]]]:
    """Return each cell without its wrappers, and the tensors that it uses now."""
    names = ("weight_hh", "bias_ih", "bias_hh")
    if not isinstance(layer, RNN | Cell):
        raise KindError(f"{function}: the layer is a {type(layer).__name__}; it must be an rnnkit.RNN or a Cell")
    shells = map(layer.equipped, range(len(layer.cells))) if isinstance(layer, RNN) else [layer]
    return [(cell, {name: getattr(cell, name, None) for name in names}) for cell in map(innermost, shells)]


def _fill(biases: list[Tensor], value: Tensor) -> None:
    """Let the sum of the biases be `value`: the first has it, the others are zero."""
    for k, bias in enumerate(biases):
        bias.copy_(torch.zeros_like(value) if k else value)


def _check_number(label: str, value: object) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise UsageError(f"{label} is {value!r}; it must be a finite number")
