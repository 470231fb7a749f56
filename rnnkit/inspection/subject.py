"""The subject: a cell, layer or model as it is inspected, a copy whose tensors nobody else trains or sees."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from rnnkit.core.cell import Cell, building
from rnnkit.errors import KindError, UsageError
from rnnkit.layers.model import Model
from rnnkit.layers.rnn import RNN
from rnnkit.layers.shallow_copy import copy_with_tensors
from rnnkit.plugin.cell_spec import CellChoice, choose
from rnnkit.training.evaluation import evaluating

Module = TypeVar("Module", bound=nn.Module)

INPUT_SIZE, HIDDEN_SIZE = 8, 32
"""Of a cell that is given by its name or class."""


class Part(NamedTuple):
    """One cell of the subject and where it stands."""

    cell: Cell
    layer: int
    reverse: bool
    """Whether it goes from the last step to the first."""
    suffix: str
    """What the names of its states and gates end in: "" for a single cell, "_l0", "_l1_reverse"."""

    @property
    def label(self) -> str:
        """The cell's name and where it stands."""
        return self.cell.name + self.suffix

    def state_labels(self) -> list[str]:
        """Name the state tensors: "h", "c", or in a stack "h_l0", "c_l0"."""
        return [name + self.suffix for name in self.cell.state_names]


class Subject(NamedTuple):
    """Cells in layers, and what stands before and after them in a model."""

    label: str
    layers: tuple[tuple[Part, ...], ...]
    residual: bool = False
    """Whether each layer after the first adds its input to its output."""
    batch_first: bool = False
    embedding: nn.Embedding | None = None
    readout: nn.Module | None = None

    @property
    def parts(self) -> tuple[Part, ...]:
        """All cells, layer by layer, forward before reverse."""
        return tuple(part for layer in self.layers for part in layer)

    @property
    def input_size(self) -> int:
        """Width of the first layer's input."""
        return self.layers[0][0].cell.input_size

    def tensors(self) -> list[Tensor]:
        """Return all parameters once, those of embedding and readout too."""
        modules = [*(part.cell for part in self.parts), self.embedding, self.readout]
        named = (tensor for module in modules if module is not None for tensor in module.parameters())
        return list({id(tensor): tensor for tensor in named}.values())

    @property
    def like(self) -> Tensor:
        """A tensor in the dtype and on the device in which it is computed."""
        for tensor in self.tensors():
            if tensor.is_floating_point() or tensor.is_complex():
                return torch.empty(0, dtype=tensor.dtype.to_real(), device=tensor.device)
        return torch.empty(0, dtype=torch.float64)


def subject_of(given: Any, options: dict[str, Any]) -> Subject:
    """Return the subject that a name, class, cell, layer or model stands for.

    Cells given by name or class are built in float64, on the device if `options` name one, with the parameters that
    torch's generator draws now. What is given is left alone: its tensors, gradients and mode; the copy evaluates.

    Raises:
        UnknownNameError: no cell of that name.
        UsageError: it is something else, or options go with what has been built already.
    """
    if isinstance(given, str | type | partial | CellChoice):
        sizes = {"input_size": INPUT_SIZE, "hidden_size": HIDDEN_SIZE}
        sizes |= {name: options.pop(name) for name in sizes if name in options}
        choice = choose(given)
        with building(options.pop("device", None), torch.float64):
            cell = choice.build(sizes["input_size"], sizes["hidden_size"], options)
        return _of_cell(cell, given if isinstance(given, str) else str(choice))
    if not isinstance(given, Cell | RNN | Model):
        raise KindError(
            f"the subject is a {type(given).__name__}; give a cell's name, a Cell class or instance, an rnnkit.RNN or "
            "an rnnkit.Model"
        )
    if options:
        raise UsageError(f"{next(iter(options))!r} goes with a cell's name or class; what is given has been built")
    if isinstance(given, Cell):
        return _of_cell(given, given.name)
    with evaluating(given):
        return _of_layer(given) if isinstance(given, RNN) else _of_model(given)


def _of_cell(cell: Cell, label: str) -> Subject:
    return Subject(label, ((Part(_frozen(cell, {}), 0, False, ""),),))


def _of_layer(layer: RNN) -> Subject:
    done: dict[int, Tensor] = {}
    alone = len(layer.cells) == 1
    layers = []
    for number in range(layer.num_layers):
        positions = range(number * layer.directions, (number + 1) * layer.directions)
        parts = [
            Part(_frozen(layer.equipped(position), done), number, reverse, "" if alone else _suffix(number, reverse))
            for position, reverse in zip(positions, (False, True), strict=False)
        ]
        layers.append(tuple(parts))
    names = list(dict.fromkeys(part.cell.name for parts in layers for part in parts))
    return Subject(_layer_label(layer, names), tuple(layers), layer.residual, layer.batch_first)


def _of_model(model: Model) -> Subject:
    subject = _of_layer(model.layer)
    done: dict[int, Tensor] = {}
    embedding = None if model.embedding is None else _frozen(model.embedding, done)
    return subject._replace(
        label=f"model of {subject.label}", embedding=embedding, readout=_frozen(model.readout, done), batch_first=False
    )


def _layer_label(layer: RNN, names: list[str]) -> str:
    size = f"{layer.num_layers} layers of " if layer.num_layers > 1 else ""
    return f"{size}{' and '.join(names)}{', bidirectional' if layer.bidirectional else ''}"


def _suffix(layer: int, reverse: bool) -> str:
    return f"_l{layer}{'_reverse' * reverse}"


def _frozen(module: Module, done: dict[int, Tensor]) -> Module:
    """Copy a module with all that is in it; its tensors are cut off from autograd, and its buffers its own."""
    tensors: dict[str, Tensor] = {}
    for name, tensor in _named_tensors(module):
        if id(tensor) not in done:
            own = not isinstance(tensor, nn.Parameter) or tensor.is_inference()
            done[id(tensor)] = tensor.detach().clone() if own else tensor.detach()
        tensors[name] = done[id(tensor)]
    return copy_with_tensors(module, tensors).eval()


def _named_tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Go through parameters and buffers, what is computed in their place too; tied ones come more than once."""
    for prefix, part in module.named_modules(remove_duplicate=False):
        for table in (part._parameters, part._buffers):
            for name, tensor in table.items():
                if tensor is not None:
                    yield f"{prefix}{'.' * bool(prefix)}{name}", tensor
