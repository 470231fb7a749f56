"""A problem: a layer in one layout, and the tensors by which it is differentiated."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, building, starting_state
from rnnkit.core.state_domains import random_like
from rnnkit.layers.rnn import RNN
from rnnkit.matrix.case import Case, seed_of
from rnnkit.matrix.layout import Layout
from rnnkit.matrix.plain_loop import PlainLoop
from rnnkit.plugin.cell_spec import choose
from rnnkit.support.random_states import drawn_apart

STEPS, ROWS, INPUT, HIDDEN = 4, 3, 3, 4
"""T, B, D and H of every problem."""

AWAY = 0.1
"""How far parameters are moved from where they begin: from zeros and ones, where wrong terms hide, and from kinks."""

OWN = ", from the cell's own state"
"""What follows the names of results that begin in the cell's own initial state."""

Tensors = dict[str, Tensor]


class Problem:
    """A layer in float64, numbers for it, and the scalar that is differentiated.

    The scalar weighs every output and final state with random numbers, so that no error cancels another. All numbers
    are such as float32 has, so that it can be run on the very same ones.

    Args:
        case: whose cell, layout and direction are taken.
        seed: of all problems; each has one of its own, by its name.
    """

    def __init__(self, case: Case, seed: int = 0) -> None:
        self.seed = seed_of(case.problem, seed)
        with drawn_apart():
            torch.manual_seed(self.seed)
            self.layer = _layer(case)
            self.layout = Layout.drawn(case.layout, STEPS, ROWS)
            rows = self.layout.rows
            drawn = [random_like(cell, starting_state(cell, rows)) for cell in self.layer.cells]
            self.states = self.layer.layout.names("0")
            self.own = any(type(cell).initial_state is not Cell.initial_state for cell in self.layer.cells)
            self.tensors: Tensors = {"input": torch.randn(STEPS, rows, INPUT, dtype=torch.float64)}
            states = self.layer.layout.flat(self.layer.layout.join(drawn))
            self.tensors |= dict(zip(self.states, states, strict=True))
            self.tensors = {name: as_float32(tensor) for name, tensor in self.tensors.items()}
            self.parameters = {_free(name, self.tensors): name for name, _ in self.layer.named_parameters()}
            named = dict(self.layer.named_parameters())
            self.tensors |= {key: named[name].detach().clone() for key, name in self.parameters.items()}
        self.wanted = [name for name, tensor in self.tensors.items() if tensor.is_floating_point()]
        self.loop = PlainLoop(self.layer, self.layout)
        self._weights: Tensors = {}

    def begun(self, run: Callable[[list[Tensor] | None], Tensors], states: list[Tensor]) -> Tensors:
        """Run from `states`, and if the cell begins in a way of its own, once more from there; random numbers stand."""
        torch.manual_seed(self.seed)
        results = run(states)
        if self.own:
            torch.manual_seed(self.seed)
            results |= {name + OWN: tensor for name, tensor in run(None).items()}
        return results

    def expected(self, tensors: Tensors) -> Tensors:
        """Return outputs and last states by the plain loop over rows."""
        by_name = {"input": tensors["input"], **{name: tensors[key] for key, name in self.parameters.items()}}
        return self.begun(lambda states: self.loop.run(by_name, states), [tensors[name] for name in self.states])

    def found(self, layer: RNN, tensors: Tensors) -> Tensors:
        """Return outputs and last states by a layer, whose parameters are its own."""
        xs = tensors["input"]
        return self.begun(lambda states: self.layout.run(layer, xs, states), [tensors[name] for name in self.states])

    def found_with(self, layer: RNN, tensors: Tensors) -> Tensors:
        """Do the same with other parameters, those in `tensors`."""
        held = _Held(self, layer)
        replaced = {f"layer.{name}": tensors[key] for key, name in self.parameters.items()}
        results: Tensors = torch.func.functional_call(held, replaced, (tensors,))
        return results

    def scalar(self, results: Mapping[str, Tensor]) -> Tensor:
        """Weigh outputs and final states with random numbers, the same ones every time."""
        generator = torch.Generator().manual_seed(self.seed)
        terms = []
        for name, tensor in results.items():
            if tensor.is_floating_point():
                if name not in self._weights:
                    shape = tensor.shape
                    self._weights[name] = as_float32(torch.randn(shape, dtype=torch.float64, generator=generator))
                terms.append((tensor * self._weights[name].to(tensor.dtype)).sum())
        return torch.stack(terms).sum()

    def direction(self, number: int) -> Tensors:
        """Return a random direction in all tensors together; those of other numbers are others."""
        generator = torch.Generator().manual_seed(self.seed + 1 + number)
        return {
            name: as_float32(torch.randn(self.tensors[name].shape, dtype=torch.float64, generator=generator))
            for name in self.wanted
        }

    def gradients(self, of: Tensor, tensors: Tensors, create_graph: bool = False) -> Tensors:
        """Let autograd differentiate a scalar by each tensor; zero where it does not depend on one."""
        by = [tensors[name] for name in self.wanted]
        if not of.requires_grad:
            return {name: torch.zeros_like(tensor) for name, tensor in zip(self.wanted, by, strict=True)}
        found = torch.autograd.grad(of, by, create_graph=create_graph, retain_graph=True, allow_unused=True)
        zipped = zip(self.wanted, by, found, strict=True)
        return {name: torch.zeros_like(tensor) if g is None else g for name, tensor, g in zipped}


class _Held(torch.nn.Module):
    """A module whose call is that of a problem's layer, for `functional_call`."""

    def __init__(self, problem: Problem, layer: RNN) -> None:
        super().__init__()
        self.problem, self.layer = problem, layer

    def forward(self, tensors: Tensors) -> Tensors:
        return self.problem.found(self.layer, tensors)


def _layer(case: Case) -> RNN:
    """Build the layer in float64, its parameters away from where they begin, with numbers that float32 has."""
    options: dict[str, Any] = {"bidirectional": case.direction == "bi", "unroller": case.unroller}
    with building(None, torch.float64):
        layer = RNN(choose(case.cell), INPUT, HIDDEN, **options)
    for parameter in layer.parameters():
        parameter.data = as_float32(parameter.data + AWAY * torch.randn_like(parameter))
    for buffer in layer.buffers():
        buffer.data = as_float32(buffer.data)
    return layer


def as_float32(tensor: Tensor) -> Tensor:
    """Round to numbers that float32 has, in float64; others stay."""
    return tensor.float().double() if tensor.is_floating_point() else tensor


def _free(name: str, taken: Mapping[str, Tensor]) -> str:
    return f"parameter {name}" if name in taken else name
