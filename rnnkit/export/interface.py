"""The interface of an exported model: what goes in and comes out, by name."""

from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rnnkit.core.cell import State
from rnnkit.core.units import Units
from rnnkit.core.unroller import Unroller
from rnnkit.errors import UsageError
from rnnkit.layers.model import Model
from rnnkit.layers.rnn import RNN
from rnnkit.layers.shallow_copy import shallow

Table = dict[str, Tensor]
"""The state of a stack: "h_l0", "c_l0", "h_l0_reverse", ..., each (B, ...)."""


class TensorInfo(NamedTuple):
    """A tensor that goes in or comes out."""

    name: str
    """As in a file of ONNX; out of one of torch's, states come by the names that they go in by, without `next_`."""

    dtype: str
    shape: tuple[int | str, ...]
    """Sizes; "time" and "batch" are given by whoever calls."""


class Interface(nn.Module):
    """A model whose state goes in and out as a table, a tensor for each cell and name.

    Args:
        model: what is exported.
        unroller: used in place of the model's own, which is left as it is.
        step: an input is one step, without a time dimension.
        units: input and output are in the data's own units; None: as the model has them.

    Raises:
        UsageError: single steps of a model that reads from both ends.
    """

    def __init__(
        self, model: Model | RNN, unroller: Unroller | None = None, *, step: bool = False, units: Units | None = None
    ) -> None:
        super().__init__()
        self.model: Model | RNN = model if unroller is None else _with(model, unroller)
        self.step, self.span = step, None if units is None else units.span
        self.from_units: nn.Module | None = None if units is None else units.inputs
        self.into_units: nn.Module | None = None if units is None else units.outputs
        self.time = 1 if self.layer.batch_first else 0
        if step and self.layer.bidirectional:
            raise UsageError("the layer is bidirectional, so no step can be taken before the last input is there")

    @property
    def layer(self) -> RNN:
        """The recurrent layer."""
        return self.model if isinstance(self.model, RNN) else self.model.layer

    def forward(self, input: Tensor, state: Table | None = None) -> tuple[Tensor, Table]:
        """Return the output, and the state after the last step.

        Args:
            input: (T, B, D), (B, T, D) for a layer with `batch_first`, (T, B) symbols; a step: (B, D) or (B,). With
                units: (T, B, C) raw numbers.
            state: before the first step; None: the initial one.
        """
        output, table = self.bare(input, state)
        return self.in_units(output, input), table

    def in_units(self, output: Tensor, input: Tensor) -> Tensor:
        """Bring what the model puts out of an input into the data's own units, if there are some."""
        if self.into_units is None:
            return output
        brought: Tensor = self.into_units(output, input)
        return brought

    def bare(self, input: Tensor, state: Table | None = None) -> tuple[Tensor, Table]:
        """Return the output as the model has it, and the state, as `forward` takes them."""
        if self.from_units is not None:
            input = self.from_units(input).to(self._dtype())
        hx = None if state is None else self.layer.layout.join(self._states(state))
        output, hx = self.model(input.unsqueeze(self.time) if self.step else input, hx)
        return output.squeeze(self.time) if self.step else output, self._table(hx)

    def label(self) -> str:
        """Name the model in an error: by its cells."""
        cells = dict.fromkeys(cell.name for cell in self.layer.cells)
        return f"the model of {', '.join(map(repr, cells))}"

    def state_names(self) -> list[list[str]]:
        """Name the state tensors of each cell."""
        directions = ("", "_reverse")[: self.layer.directions]
        suffixes = [f"_l{k}{direction}" for k in range(self.layer.num_layers) for direction in directions]
        cells = zip(suffixes, self.layer.cells, strict=True)
        return [[name + suffix for name in cell.state_names] for suffix, cell in cells]

    def _states(self, table: Table) -> list[State]:
        return [tuple(table[name] for name in names) for names in self.state_names()]

    def _table(self, hx: Any) -> Table:
        states = self.layer.layout.split(hx, lambda tensor: tensor)
        return dict(zip(chain(*self.state_names()), chain.from_iterable(states), strict=True))  # type: ignore[arg-type]

    def initial_state(self, batch: int) -> Table:
        """Return the state that a sequence begins with."""
        return self._table(self.layer.initial_state(batch))

    def example(self, time: int, batch: int) -> tuple[Tensor, Table]:
        """Draw an input and a state, by torch's generator."""
        sizes = [time, batch] if self.time == 0 else [batch, time]
        if self.step:
            sizes = [batch]
        if isinstance(self.model, Model) and self.model.embedding is not None:
            xs = torch.randint(self.model.embedding.num_embeddings, sizes)
        else:
            xs = torch.randn(*sizes, self.layer.input_size, dtype=self._dtype())
        if self.span is not None:
            low, high = self.span
            xs = low + (high - low) * torch.rand(*sizes, len(low), dtype=self.span.dtype)
        return xs, {name: _shaken(tensor) for name, tensor in self.initial_state(batch).items()}

    def _dtype(self) -> torch.dtype:
        """Return the dtype of the weights."""
        numbers = (t for t in self.model.parameters() if t.is_floating_point() or t.is_complex())
        return next(numbers, torch.empty(0)).dtype

    def dims(self) -> dict[int, str]:
        """Name the dimensions of the input and output that are free."""
        if self.step:
            return {0: "batch"}
        return {self.time: "time", 1 - self.time: "batch"}

    def inputs(self, *, state: bool) -> tuple[TensorInfo, ...]:
        """Say what goes in."""
        xs, table = self.example(2, 2)
        states = [_info(name, tensor, {0: "batch"}) for name, tensor in table.items()] if state else []
        return (_info("input", xs, self.dims()), *states)

    def outputs(self) -> tuple[TensorInfo, ...]:
        """Say what comes out."""
        ys, table = self(*self.example(2, 2))
        states = [_info(f"next_{name}", tensor, {0: "batch"}) for name, tensor in table.items()]
        return (_info("output", ys, self.dims()), *states)


def _with(model: Model | RNN, unroller: Unroller) -> Model | RNN:
    """Return the model with another unroller; its weights are shared."""
    copied = shallow(model)
    if isinstance(copied, RNN):
        copied.unroller = unroller
    else:
        copied.layer = shallow(copied.layer)
        copied.layer.unroller = unroller
    return copied


def _info(name: str, tensor: Tensor, free: dict[int, str]) -> TensorInfo:
    sizes = tuple(free.get(k, size) for k, size in enumerate(tensor.shape))
    return TensorInfo(name, str(tensor.dtype).removeprefix("torch."), sizes)


def _shaken(tensor: Tensor) -> Tensor:
    """Move a state away from where it begins, so that one that is not read is noticed."""
    if tensor.is_floating_point() or tensor.is_complex():
        return tensor + 0.5 * torch.randn_like(tensor)
    return tensor
