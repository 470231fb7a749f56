"""The stepper: a layer fed step by step, as a stream or an environment gives its input, with the state kept inside."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

from rnnkit.core.cell import behaves_as_tensor, parameters_of
from rnnkit.core.input_checks import as_tensor
from rnnkit.errors import ShapeError, UsageError, check_whole
from rnnkit.layers.shortcut import hands_on_outputs

if TYPE_CHECKING:
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.state_layout import States

Run = Callable[[Tensor, Tensor], bool]
"""Advances one cell over (1, B, D), its state in place and its output into the second; False: it may not touch one."""

_FOUND = ("_shape", "_dtype", "_training", "_like", "_tensors", "_places", "_reason", "_runs")
"""What a stepper has found out about its layer."""

_place = Tensor.data_ptr
_any_autocast = torch._C._is_any_autocast_enabled  # on whatever device: asked first, since it takes half the time


class Stepper:
    """Advances a layer by one step a call, without gradients: `y = stepper(x)`, x (B, D), y (B, O).

    It gives the numbers of `layer(x.unsqueeze(0), state)`. The state is advanced in place, and what can be checked once
    is checked when the stepper is made, and again by `reset()`: so that where a kernel runs the layer, a step costs
    little more than its arithmetic. Elsewhere it calls the layer; `explain()` says which.

    Numbers that are written into the layer's weights later count from the next step on, and so do weights that are
    replaced or moved, and `layer.train()` and `layer.eval()`; the state follows the weights to another dtype. Other
    changes of the layer or its cells, of attributes or hooks, count from the next `reset()` on.

    `copy.copy` gives a stepper of the same layer that goes on from here with a state of its own, `copy.deepcopy` and
    pickle one whose layer is a copy, too.

    Args:
        layer: that is stepped, of one direction.
        batch_size: B.

    Raises:
        UsageError: the layer reads its input from both ends.
    """

    def __init__(self, layer: "RNN", batch_size: int = 1) -> None:
        check_whole("batch_size", batch_size)
        if layer.bidirectional:
            raise UsageError(
                "a stepper goes forward in time alone, and the layer is bidirectional; call the layer instead"
            )
        self.layer, self.batch_size = layer, batch_size
        self._states = layer.layout.flat(layer.initial_state(batch_size))
        self.reset()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy begins with: what was found out about the layer holds for its own memory alone."""
        return {name: value for name, value in vars(self).items() if name not in _FOUND}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        """Go on from there; the layer is looked at later, since it may not be whole yet if it holds the stepper."""
        vars(self).update(kept, _states=[tensor.clone() for tensor in kept["_states"]], _runs=None, _places=None)

    def __call__(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """Advance by one step.

        Args:
            x: (B, D), in the dtype of the layer and where it is.
            out: (B, O), contiguous, for the output, so that nothing is allocated; None: a new tensor.

        Returns:
            The output (B, O).

        Raises:
            ShapeError: x or `out` does not fit; the state is as it was.
        """
        runs = self._runs
        if runs is None or type(x) is not Tensor or x.shape != self._shape or x.dtype is not self._dtype:
            return self._call_layer(x, out)
        if not x.is_contiguous() or torch.compiler.is_compiling():
            return self._call_layer(x, out)
        if _any_autocast() and torch.is_autocast_enabled("cpu"):
            return self._call_layer(x, out)
        if self.layer.training is not self._training or self._places != [*map(_place, self._tensors)]:
            return self._call_layer(x, out)
        y = torch.empty_like(self._like) if out is None else self._fitting(out)
        for run, between in runs:
            ys = y if between is None else between
            if not run(x, ys):  # the first one, of an input of strange memory; nothing has been written
                return self._call_layer(x, out)
            x = ys
        return y

    @property
    def state(self) -> "States":
        """The state after the last step, laid out as the layer's and in its dtype; a copy. May be set."""
        self._keep_up()
        return self.layer.layout.unflat([tensor.clone() for tensor in self._states])

    @state.setter
    def state(self, hx: "States") -> None:
        self._keep_up()
        layout = self.layer.layout
        layout.check(hx, self.batch_size, self._like)
        with torch.no_grad():
            for own, given in zip(self._states, layout.flat(hx), strict=True):
                own.copy_(given)

    def reset(self, rows: Tensor | Sequence[int] | Sequence[bool] | None = None) -> None:
        """Put rows back to the initial state.

        Args:
            rows: (B,) booleans, true where a row begins anew; or (N,) integers, the numbers of these rows, each once.
                Flags of 0 and 1 are given by `.bool()`; uint8, which may be either, is refused. None: all rows.

        Raises:
            ShapeError: there are no such rows, or a row is given twice.
        """
        chosen = slice(None) if rows is None else _checked(rows, self.batch_size)
        self._prepare()
        initial = self.layer.layout.flat(self.layer.initial_state(self.batch_size))
        with torch.no_grad():
            for own, first in zip(self._states, initial, strict=True):
                index = chosen if isinstance(chosen, slice) else chosen.to(own.device)
                own[:, index] = first[:, index]

    def explain(self) -> str:
        """Say what runs a step: kernels, or the layer as it is called, and why."""
        self._keep_up()
        return "in kernels, the state in place" if self._runs else f"by calls of the layer: {self._reason}"

    def __repr__(self) -> str:
        return f"Stepper(batch_size={self.batch_size}, {self.explain()})"

    def _keep_up(self) -> None:
        """Look at the layer again if its weights or modes have changed since."""
        changed = self._places is None or self.layer.training is not self._training
        if changed or self._places != [*map(_place, self._tensors)]:
            self._prepare()

    def _prepare(self) -> None:
        """Look at the layer as it is now."""
        layer = self.layer
        weight = next(parameters_of(layer), self._states[0])
        self._shape, self._dtype, self._training = (self.batch_size, layer.input_size), weight.dtype, layer.training
        self._like = torch.empty(self.batch_size, layer.output_size, dtype=weight.dtype, device=weight.device)
        self._states = [_own(tensor, weight) for tensor in self._states]
        tables = [*_tables_of(layer)]
        self._tensors = tables[0] if len(tables) == 1 else _Joined(tables)
        self._places: list[int] | None = [*map(_place, self._tensors)]
        self._reason = ""
        self._runs = self._find_runs()

    def _find_runs(self) -> list[tuple[Run, Tensor | None]] | None:
        """Return what runs each cell, and the room for its output (None: the caller's); None where it is not to be had.

        `_reason` then says why.
        """
        layer = self.layer
        runs: list[tuple[Run, Tensor | None]] = []
        if not hands_on_outputs(layer):
            also = "residual connections" if layer.residual else "dropout, in training"
            self._reason = f"between its layers there is more than the output of one: {also}"
            return None
        states = layer.layout.split(layer.layout.unflat(self._states), lambda tensor: tensor)
        for position, state in enumerate(states):
            cell = layer.standing(position)
            if cell is None:
                self._reason = "its weights are computed from others"
                return None
            advancer = layer.unroller.advancer(cell, 1, self.batch_size)
            run = None if advancer is None or state is None else advancer.repeat(state)
            if run is None:
                self._reason = f"unroller {layer.unroller.name!r} has nothing quicker for cell {cell.name!r}"
                return None
            is_last = position == len(layer.cells) - 1
            runs.append((run, None if is_last else self._like.new_empty(self.batch_size, cell.output_size)))
        return runs

    @_disable_dynamo
    def _call_layer(self, x: Tensor, out: Tensor | None) -> Tensor:
        """Advance by one step as the layer does, and check as it does."""
        if self._places is None:  # a copy's first step
            self._prepare()
            return self(x, out)
        if not behaves_as_tensor(x) or x.ndim != 2 or len(x) != self.batch_size:
            given = tuple(x.shape) if behaves_as_tensor(x) else f"a {type(x).__name__}"
            rows = "1 row" if self.batch_size == 1 else f"{self.batch_size} rows"
            told = "; batch_size says how many" if behaves_as_tensor(x) and x.ndim == 2 else ""
            raise ShapeError(f"x is {given}; a stepper of {rows} takes {(*self._shape,)}{told}")
        self._keep_up()
        y = None if out is None else self._fitting(out)
        with torch.no_grad():
            time = 1 if self.layer.batch_first else 0
            ys, states = self.layer(x.unsqueeze(time), self.layer.layout.unflat(self._states))
            for own, new in zip(self._states, self.layer.layout.flat(states), strict=True):
                own.copy_(new)
            return ys.squeeze(time) if y is None else y.copy_(ys.squeeze(time))

    def _fitting(self, out: Tensor) -> Tensor:
        """Return the caller's room for an output; raises ShapeError if it is none."""
        like = self._like
        if not isinstance(out, Tensor) or out.shape != like.shape or out.dtype != like.dtype or not out.is_contiguous():
            given = f"{tuple(out.shape)} of {out.dtype}" if isinstance(out, Tensor) else f"a {type(out).__name__}"
            raise ShapeError(f"out is {given}; it must be {tuple(like.shape)} of {like.dtype}, contiguous")
        if out.device != like.device or out.requires_grad:
            raise ShapeError(f"out must be on {like.device}, and without gradients")
        return out


def _own(tensor: Tensor, weight: Tensor) -> Tensor:
    """Return a state as the weights are now, contiguous and the stepper's own."""
    dtype = tensor.dtype
    if tensor.is_floating_point():
        dtype = weight.dtype.to_real()
    elif tensor.is_complex():
        dtype = weight.dtype.to_complex()
    return tensor.detach().to(weight.device, dtype).contiguous()


def _tables_of(layer: "RNN") -> Iterator[Iterable[Any]]:
    """Return the parameters and buffers as they will be at each look: the tables that hold them."""
    for module in layer.modules():
        for table in (module._parameters, module._buffers):
            tensors = [tensor for tensor in table.values() if tensor is not None]
            if tensors:
                yield table.values() if len(tensors) == len(table) else tensors


class _Joined:
    """Tables one after the other, as they are at each look."""

    def __init__(self, tables: Sequence[Iterable[Any]]) -> None:
        self._tables = tables

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self._tables)


def _checked(rows: Any, batch_size: int) -> Tensor:
    """Return rows as an index; raises ShapeError if there are none such."""
    index = as_tensor("rows", rows)
    if index.dtype == torch.uint8:
        raise ShapeError(
            "rows is of torch.uint8, which may be flags or numbers; give .bool() of flags, .long() of numbers"
        )
    if index.is_meta:
        raise ShapeError("rows is on meta, where tensors have no values; give it on the CPU")
    if index.dtype == torch.bool and index.shape == (batch_size,):
        return index
    whole = not (index.dtype == torch.bool or index.is_floating_point() or index.is_complex())
    if index.ndim != 1 or not (whole or (index.is_floating_point() and not len(index))):  # as torch reads []
        raise ShapeError(
            f"rows is {tuple(index.shape)} of {index.dtype}; give {batch_size} booleans, or integers (N,), the numbers "
            "of rows"
        )
    numbers = index.tolist()
    strange = [number for number in numbers if not 0 <= number < batch_size]
    if strange:
        raise ShapeError(f"rows has {strange[0]}; there are rows 0 to {batch_size - 1}")
    twice = [number for number, times in Counter(numbers).items() if times > 1]
    if twice:
        raise ShapeError(f"rows has {twice[0]} more than once; give each number once, or flags as booleans, by .bool()")
    return index.long()
