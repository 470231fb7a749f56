"""Batches of sequences in every form that a layer takes; between the forms, time comes first and rows are padded."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from rnnkit.core.cell import behaves_as_tensor
from rnnkit.core.input_checks import as_tensor, check_lengths, check_reset
from rnnkit.core.row_masks import running_rows, sent
from rnnkit.errors import KindError, ShapeError, UsageError


class Sequences(ABC):
    """A batch of sequences as it was given: how to read it, and how to give results back in the same form.

    The constructor only looks at shapes and integers: nothing is computed before all is checked.
    """

    values: Tensor
    """The numbers, in whatever shape; the last dimension is that of the features."""

    steps: int
    rows: int
    batched = True

    lengths: Tensor | None = None
    """(B,) steps of each row; None: all run to the end."""

    reset: Tensor | None = None
    """(T, B) booleans: a row starts again before that step."""

    is_plain = False
    """Whether it was given as steps of rows, with neither lengths nor resets, whatever these say."""

    table: Tensor | None = None
    """(V, D): the values are symbols, (..., 1), that name its rows; None: they are the numbers themselves."""

    @property
    def numbers(self) -> Tensor:
        """What the cells are fed with, in whatever shape."""
        return self.values if self.table is None else self.table

    @abstractmethod
    def padded(self) -> Tensor:
        """Return the input as (T, B, D)."""

    @abstractmethod
    def like_input(self, ys: Tensor) -> Any:
        """Return an output (T, B, O) in the form of the input."""

    def state_in(self, tensor: Tensor) -> Tensor:
        """Bring a given state (cells, B, ...) into the order of the rows here."""
        return tensor

    def state_out(self, tensor: Tensor) -> Tensor:
        """Bring a state (B, ...) back into the order and form in which it was given."""
        return tensor

    def history(self, tensor: Tensor) -> Tensor:
        """Bring states over time (T, B, ...) into the form of a padded input."""
        return tensor

    def dropped(self, ys: Tensor, rate: float) -> Tensor:
        """Drop elements of an output (T, B, O) on its way to the next layer; from the same seed, as torch does."""
        return nn.functional.dropout(ys, rate)

    def take(self, lengths: Any, reset: Any) -> None:
        """Check the caller's lengths and resets and keep them."""
        self.is_plain &= lengths is reset is None
        if lengths is not None:
            self.lengths = check_lengths(lengths, self.steps, self.rows, self.values.device)
        if reset is not None:
            self.reset = check_reset(reset, self.steps, self.rows, self.values.device)


class Padded(Sequences):
    """(T, B, D), or (B, T, D) with `batch_first`."""

    is_plain = True

    def __init__(self, input: Tensor, batch_first: bool) -> None:
        self.values = input
        self.batch_first = batch_first
        self.steps, self.rows = input.shape[:2][::-1] if batch_first else input.shape[:2]

    def padded(self) -> Tensor:
        """Return the input, time first."""
        return self.history(self.values)

    def like_input(self, ys: Tensor) -> Tensor:
        """Return an output, laid out as the input."""
        return self.history(ys)

    def history(self, tensor: Tensor) -> Tensor:
        """Swap time and batch, if the batch comes first."""
        return tensor.transpose(0, 1) if self.batch_first else tensor


class Single(Sequences):
    """(T, D): one sequence without a batch dimension."""

    rows = 1
    batched = False

    def __init__(self, input: Tensor) -> None:
        self.values = input
        self.steps = input.shape[0]

    def take(self, lengths: Any, reset: Any) -> None:
        """Check lengths and resets; both may lack the batch dimension, as the input does."""
        if lengths is not None:
            lengths = as_tensor("lengths", lengths)
            lengths = lengths.unsqueeze(0) if lengths.ndim == 0 else lengths
        if reset is not None:
            reset = as_tensor("reset", reset)
            reset = reset.unsqueeze(1) if reset.ndim == 1 else reset
        super().take(lengths, reset)

    def padded(self) -> Tensor:
        """Return the input as a batch of one."""
        return self.values.unsqueeze(1)

    def like_input(self, ys: Tensor) -> Tensor:
        """Take the batch dimension away."""
        return ys.squeeze(1)

    def state_in(self, tensor: Tensor) -> Tensor:
        """Make a state (cells, ...) one of a batch of one."""
        return tensor.unsqueeze(1)

    def state_out(self, tensor: Tensor) -> Tensor:
        """Take the batch dimension away."""
        return tensor.squeeze(0)

    def history(self, tensor: Tensor) -> Tensor:
        """Take the batch dimension away."""
        return tensor.squeeze(1)


class Packed(Sequences):
    """A PackedSequence, sorted or not; inside, its rows stay sorted by length."""

    def __init__(self, input: PackedSequence) -> None:
        self.input = input
        self.values = input.data
        self.steps = len(input.batch_sizes)
        self.rows = int(input.batch_sizes[0]) if self.steps else 0

    def take(self, lengths: Any, reset: Any) -> None:
        """Check resets, given in the order before packing; lengths there are already."""
        _refuse_lengths(lengths, "a PackedSequence")
        counts = self.input.batch_sizes
        self._packing = (counts.unsqueeze(1) > torch.arange(self.rows, device=counts.device)).sum(0)
        self._even = self.rows > 0 and int(self._packing[-1]) == self.steps
        self.lengths = None if self.rows == 0 or self._even else self._packing
        super().take(None, reset)
        if self.reset is not None:
            self.reset = _select(self.reset, 1, self.input.sorted_indices)

    def padded(self) -> Tensor:
        """Return the input, padded with zeros."""
        return self._unpack(self.values)

    def like_input(self, ys: Tensor) -> PackedSequence:
        """Pack an output as the input is packed."""
        return PackedSequence(self._pack(ys), *self.input[1:])

    def dropped(self, ys: Tensor, rate: float) -> Tensor:
        """Drop elements of an output; torch draws none for the padding."""
        return self._unpack(super().dropped(self._pack(ys), rate))

    def _pack(self, ys: Tensor) -> Tensor:
        return ys.flatten(0, 1) if self._even else pack_padded_sequence(ys, self._packing).data

    def _unpack(self, values: Tensor) -> Tensor:
        if self._even:  # as it lies, it is padded
            return values.reshape(self.steps, self.rows, *values.shape[1:])
        return pad_packed_sequence(PackedSequence(values, self.input.batch_sizes))[0]

    def state_in(self, tensor: Tensor) -> Tensor:
        """Sort the rows as the packed ones are."""
        return _select(tensor, 1, self.input.sorted_indices)

    def state_out(self, tensor: Tensor) -> Tensor:
        """Bring the rows back into their order before packing."""
        return _select(tensor, 0, self.input.unsorted_indices)

    def history(self, tensor: Tensor) -> Tensor:
        """Bring the rows back into their order before packing."""
        return _select(tensor, 1, self.input.unsorted_indices)


class Nested(Sequences):
    """A jagged tensor of torch.nested (B, ragged, D); the batch comes first, whatever `batch_first`."""

    def __init__(self, input: Tensor) -> None:
        # Strided ones have no such attributes; `layout` would call an operator.
        if input.ndim != 3 or getattr(input, "_ragged_idx", 0) != 1 or getattr(input, "_lengths", None) is not None:
            raise UsageError(
                "the input is a nested tensor of another kind than (batch, ragged time, input_size), contiguous and in "
                "the layout torch.jagged; make it by torch.nested.as_nested_tensor(sequences, layout=torch.jagged)"
            )
        self.input = input
        self.values = input.values()
        self.rows = input.shape[0]
        self.offsets: Tensor = input.offsets()  # type: ignore[attr-defined]
        self.steps = self.values.shape[0]  # at most; `take` counts
        if not self.rows:
            raise ShapeError("the input is a nested tensor of no rows; give at least one")

    def take(self, lengths: Any, reset: Any) -> None:
        """Check resets; lengths there are already."""
        _refuse_lengths(lengths, "a nested tensor")
        lengths = self.offsets.diff()
        self.steps = int(lengths.max())
        super().take(lengths, reset)

    def padded(self) -> Tensor:
        """Return the input, padded with zeros."""
        # The input may not know its longest row, and torch then pads to the sum of all.
        known = torch.nested.nested_tensor_from_jagged(self.values, self.offsets, max_seqlen=self.steps)
        padded: Tensor = torch.nested.to_padded_tensor(known, 0.0)
        return padded.transpose(0, 1)

    def history(self, tensor: Tensor) -> Tensor:
        """Put the batch first, as in the input."""
        return tensor.transpose(0, 1)

    def like_input(self, ys: Tensor) -> Tensor:
        """Return a nested output with the offsets of the input, so that the two go together."""
        inside = running_rows(self.offsets.diff(), self.steps).transpose(0, 1)
        return torch.nested.nested_tensor_from_jagged(ys.transpose(0, 1)[inside], self.offsets, max_seqlen=self.steps)


def read(input: Any, batch_first: bool) -> Sequences:
    """Tell which form a layer's input has.

    Raises:
        UsageError: none of those that a layer takes.
    """
    if isinstance(input, PackedSequence):
        return Packed(input)
    if not behaves_as_tensor(input):
        raise KindError(f"the input is a {type(input).__name__}; it must be a tensor or a PackedSequence")
    if input.is_nested:
        return Nested(input)
    if input.layout != torch.strided:
        raise KindError(f"the input is of layout {input.layout}; it must be dense, as by .to_dense()")
    if input.ndim == 2:
        return Single(input)
    if input.ndim != 3:
        layout = "(batch, time, input_size)" if batch_first else "(time, batch, input_size)"
        raise ShapeError(
            f"the input is {tuple(input.shape)}; it must be {layout}, or (time, input_size) for one sequence"
        )
    return Padded(input, batch_first)


def flip(xs: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse (T, B, ...) in time, each row within its length."""
    if lengths is None:
        return xs.flip(0)
    steps = torch.arange(xs.shape[0], device=xs.device).unsqueeze(1)
    ends = sent(lengths, xs.device).unsqueeze(0)
    source = torch.where(steps < ends, ends - 1 - steps, steps)
    return xs.gather(0, source.view(*source.shape, *[1] * (xs.ndim - 2)).expand_as(xs))


def flip_starts(reset: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn starts before step t into what they are coming from the right: starts before step t - 1.

    A start in the padding is none.
    """
    reset = torch.cat([reset[1:], torch.zeros_like(reset[:1])])
    if lengths is not None:
        reset = reset & running_rows(lengths - 1, len(reset), reset.device)
    return flip(reset, lengths)


def _refuse_lengths(lengths: object, what: str) -> None:
    if lengths is not None:
        raise UsageError(f"lengths= goes with a padded input; {what} has its own")


def _select(tensor: Tensor, dim: int, indices: Tensor | None) -> Tensor:
    return tensor if indices is None else tensor.index_select(dim, indices)
