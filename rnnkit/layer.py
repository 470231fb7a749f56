"""The layer: any cell where `nn.LSTM` stands."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.rnn import PackedSequence

from rnnkit.cell import Cell, State, building, holding, starting_state
from rnnkit.errors import ShapeError, UsageError, check_whole
from rnnkit.resolve import accepted_options, resolve_cell, resolve_unroller
from rnnkit.unroll import Unroller


class RNN(nn.Module):
    """A recurrent layer around any cell, with the signature, shapes and parameter names of torch.nn.LSTM.

    The layer owns the parameters under torch's names (`weight_ih_l0`, `weight_hh_l1_reverse`, ...): `state_dict`,
    `named_parameters`, optimisers, `parametrize` and `functional_call` see those, and each cell uses them for the
    time of a call.

    Args:
        cell: a registered name or a Cell class.
        input_size: D.
        hidden_size: H.
        num_layers: layers, each fed with the output of the one before.
        bias: passed to cells that have the option; False is an error for the others.
        batch_first: input and output are (B, T, ...) instead of (T, B, ...); states stay as they are.
        dropout: rate between layers, while training.
        bidirectional: a second cell a layer goes from the last step to the first; outputs are joined.
        proj_size: passed to cells that have the option, an error for the others.
        device: where the parameters are; default: torch's.
        dtype: of the parameters; default: torch's.
        unroller: a registered name, an Unroller class or instance; "auto" takes the fastest that applies, and
            `layer.unroller` tells which.
        **cell_options: options of the cell's own.

    Raises:
        UnknownNameError: no cell or unroller of that name.
        UsageError: a size, rate or option that cannot be honoured.
    """

    def __init__(
        self,
        cell: str | type[Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        unroller: str | type[Unroller] | Unroller = "auto",
        **cell_options: Any,
    ) -> None:
        super().__init__()
        check_whole("num_layers", num_layers)
        if not isinstance(dropout, int | float) or not 0 <= dropout <= 1:
            raise UsageError(f"dropout is {dropout!r}; it must be a rate from 0 to 1")
        kind = resolve_cell(cell)
        if proj_size:
            cell_options["proj_size"] = proj_size
        options = accepted_options(kind, bias, cell_options)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.proj_size = proj_size
        self.cell_options = options
        if self.dropout and num_layers == 1:
            warnings.warn(
                f"dropout={dropout} acts between layers, and there is only one; set num_layers > 1",
                UserWarning,
                stacklevel=2,
            )
        self.bidirectional = bidirectional
        self.directions = 2 if bidirectional else 1
        # A plain list: the cells' parameters belong to the layer, under torch's names.
        self._cells: list[Cell] = []
        with building(device, dtype):
            width = input_size
            for _ in range(num_layers):
                self._cells += [kind(width, hidden_size, **options) for _ in range(self.directions)]
                width = self.directions * self._cells[-1].output_size
        self.output_size: int = width
        for position in range(len(self._cells)):
            self._adopt(position)
        self.unroller = resolve_unroller(unroller, self._cells[0])

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells, in the order of the states: layer by layer, forward before reverse."""
        return tuple(self._cells)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the state tensors."""
        return self._cells[0].state_names

    def _suffix(self, position: int) -> str:
        layer, direction = divmod(position, self.directions)
        return f"_l{layer}" + ("_reverse" if direction else "")

    def _adopt(self, position: int) -> None:
        """Take over a cell's parameters, buffers and submodules under suffixed names."""
        cell, suffix = self._cells[position], self._suffix(position)
        for name, parameter in cell._parameters.items():
            if parameter is not None:
                self.register_parameter(name + suffix, parameter)
        for name, buffer in cell._buffers.items():
            persistent = name not in cell._non_persistent_buffers_set
            self.register_buffer(name + suffix, buffer, persistent=persistent)
        for name, module in cell._modules.items():
            self.add_module(name + suffix, module)

    @contextmanager
    def _equipped(self, position: int) -> Iterator[Cell]:
        """Give a cell that uses what stands under its names in the layer now, whoever put it there."""
        cell, suffix = self._cells[position], self._suffix(position)
        cell.training = self.training
        tensors = {}
        for store in (cell._parameters, cell._buffers):
            for name, held in store.items():
                if held is None:
                    continue
                tensor = getattr(self, name + suffix)
                if tensor is held:
                    continue
                if isinstance(tensor, nn.Parameter) or store is cell._buffers:
                    store[name] = tensor  # replaced for good: moved, loaded or assigned
                else:
                    tensors[name] = tensor
        with holding(cell, tensors):
            yield cell

    def forward(
        self,
        input: Tensor,
        hx: Tensor | State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, Tensor | State]:
        """Run the layer over a sequence.

        Args:
            input: (T, B, D), (B, T, D) with `batch_first`, or (T, D) for one sequence alone.
            hx: the states before the first step, each (num_layers * directions, B, ...), index layer * directions +
                direction; a bare tensor for a cell with one state, a tuple otherwise; None: the cells' initial
                states.
            lengths: (B,) steps of each row, 1 to T. Past its end a row's output is zero and its state stays; the
                reverse direction begins at the end.
            reset: (T, B) booleans, whatever `batch_first`: the row starts again before that step.

        Returns:
            The output (T, B, directions * O), laid out as the input, and the states, laid out as `hx`.
        """
        xs = self._time_major(input)
        reset = None if reset is None else torch.as_tensor(reset)
        unbatched = input.ndim == 2
        states = self._split(hx, unbatched, xs)
        last: list[State] = []
        for layer in range(self.num_layers):
            if layer and self.dropout:
                xs = nn.functional.dropout(xs, self.dropout, self.training)
            outputs = []
            for direction in range(self.directions):
                position = layer * self.directions + direction
                ys, state = self._unroll(position, xs, states[position], lengths, reset)
                outputs.append(ys)
                last.append(state)
            xs = outputs[0] if self.directions == 1 else torch.cat(outputs, dim=-1)
        output = xs.squeeze(1) if unbatched else xs.transpose(0, 1) if self.batch_first else xs
        return output, self._join(last, unbatched)

    def _unroll(
        self, position: int, xs: Tensor, state: State | None, lengths: Tensor | None, reset: Tensor | None
    ) -> tuple[Tensor, State]:
        reverse = position % self.directions == 1
        if reverse:
            xs = flip(xs, lengths)
            reset = None if reset is None else flip_starts(reset, lengths)
        with self._equipped(position) as cell:
            ys, state = self.unroller(cell, xs, state, lengths=lengths, reset=reset)
        return (flip(ys, lengths) if reverse else ys), state

    def initial_state(self, batch_size: int) -> Tensor | State:
        """Give the states that `hx=None` stands for: zeros (num_layers * directions, B, H), or the cells' own."""
        states = []
        for position in range(len(self._cells)):
            with self._equipped(position) as cell:
                states.append(starting_state(cell, batch_size))
        return self._join(states, unbatched=False)

    def reset_parameters(self) -> None:
        """Draw the parameters of every cell again, each in its own way.

        Raises:
            UsageError: a cell has no `reset_parameters`, or a parametrization stands before its parameters.
        """
        if is_parametrized(self):
            raise UsageError("the layer is parametrized, so its cells cannot draw their parameters; remove that first")
        for position in range(len(self._cells)):
            with self._equipped(position) as cell:
                reset = getattr(cell, "reset_parameters", None)
                if reset is None:
                    raise UsageError(f"cell {cell.name!r} has no reset_parameters(); build the layer anew")
                reset()

    def flatten_parameters(self) -> None:
        """Do nothing: there is no flat copy of the weights; here for code written for torch.nn.LSTM."""

    def extra_repr(self) -> str:
        """Show what differs from the defaults, as torch does."""
        shown = [repr(self._cells[0].name), str(self.input_size), str(self.hidden_size)]
        defaults = {
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
        }
        shown += [f"{key}={getattr(self, key)}" for key, value in defaults.items() if getattr(self, key) != value]
        shown += [f"{key}={value!r}" for key, value in self.cell_options.items() if key != "bias"]
        return ", ".join([*shown, f"unroller={self.unroller}"])

    def _time_major(self, input: Tensor) -> Tensor:
        if isinstance(input, PackedSequence):
            raise UsageError(
                "the input is a PackedSequence, which is not supported yet; give the padded tensor and lengths="
            )
        if not isinstance(input, Tensor) or input.ndim not in (2, 3):
            shape = tuple(input.shape) if isinstance(input, Tensor) else type(input).__name__
            layout = "(batch, time, input_size)" if self.batch_first else "(time, batch, input_size)"
            raise ShapeError(f"the input is {shape}; it must be {layout}, or (time, input_size) for one sequence")
        if input.ndim == 2:
            return input.unsqueeze(1)
        return input.transpose(0, 1) if self.batch_first else input

    def _split(self, hx: Tensor | State | None, unbatched: bool, xs: Tensor) -> list[State] | list[None]:
        """Take `hx` apart: a state for each cell."""
        count, names = len(self._cells), self.state_names
        if hx is None:
            return [None] * count
        tensors = (hx,) if isinstance(hx, Tensor) else tuple(hx)
        if not all(isinstance(tensor, Tensor) for tensor in tensors):
            raise ShapeError(f"hx holds a {type(tensors[0]).__name__}; it must be a tensor or a tuple of tensors")
        if len(tensors) != len(names) or (isinstance(hx, Tensor) and len(names) > 1):
            expected = "a tensor" if len(names) == 1 else f"a tuple of {len(names)} tensors"
            given = f"{len(tensors)} tensor{'s' * (len(tensors) != 1)}"
            raise ShapeError(f"hx has {given}; cell {self._cells[0].name!r} takes {expected}: {', '.join(names)}")
        for name, tensor in zip(names, tensors, strict=True):
            size = "(layers * directions, ...)" if unbatched else "(layers * directions, batch, ...)"
            if tensor.ndim < 2 or tensor.shape[0] != count or (not unbatched and tensor.shape[1] != xs.shape[1]):
                batch = () if unbatched else (xs.shape[1],)
                raise ShapeError(
                    f"hx: {name!r} has shape {tuple(tensor.shape)}; it must be {size} = {(count, *batch, '...')}"
                )
        if unbatched:
            tensors = tuple(tensor.unsqueeze(1) for tensor in tensors)
        return [tuple(tensor[position] for tensor in tensors) for position in range(count)]

    def _join(self, states: list[State], unbatched: bool) -> Tensor | State:
        """Stack the states of all cells as torch does; one name gives a bare tensor."""
        joined = tuple(torch.stack(tensors) for tensors in zip(*states, strict=True))
        if unbatched:
            joined = tuple(tensor.squeeze(1) for tensor in joined)
        return joined[0] if len(joined) == 1 else joined


def flip_starts(reset: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn starts before step t into what they are coming from the right: starts before step t - 1.

    A start in the padding is none.
    """
    reset = torch.cat([reset[1:], torch.zeros_like(reset[:1])])
    if lengths is not None:
        steps = torch.arange(1, len(reset) + 1, device=reset.device).unsqueeze(1)
        reset = reset & (steps < torch.as_tensor(lengths).to(reset.device))
    return flip(reset, lengths)


def flip(xs: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse (T, B, ...) in time, each row within its length."""
    if lengths is None:
        return xs.flip(0)
    steps = torch.arange(xs.shape[0], device=xs.device).unsqueeze(1)
    ends = torch.as_tensor(lengths).to(xs.device).unsqueeze(0)
    source = torch.where(steps < ends, ends - 1 - steps, steps)
    return xs.gather(0, source.view(*source.shape, *[1] * (xs.ndim - 2)).expand_as(xs))
