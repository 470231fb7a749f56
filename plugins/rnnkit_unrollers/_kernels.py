"""Torch's own kernels for whole sequences: which cells they compute, and how they are called."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor
from torch.backends.cudnn.rnn import get_cudnn_mode
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import rnnkit
from rnnkit import Cell

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
"""The parameters of a plain cell, in the order in which torch's kernels take them."""

PLAIN = {("rnnkit_cells.lstm", "LSTM"): "lstm", ("rnnkit_cells.gru", "GRU"): "gru", ("rnnkit_cells.rnn", "RNN"): "rnn"}
"""Module and name of the classes whose equations torch's kernels compute, and what they are registered as."""

GATES = {"lstm": 4, "gru": 3, "rnn": 1}

HAVING_CUDNN = ("cuda",)
"""Types of devices on which there may be cuDNN, or MIOpen."""

STEP = ("project", "step", "advance", "seen", "_reset_after", "__getattr__", "__getattribute__")
"""Whatever a plain cell computes with; a class derived from it may change the rest, its initial state for one."""


class Subject(NamedTuple):
    """A cell as torch's kernels take it."""

    cell: Cell
    """Without wrappers that change no step, such as those that only learn where it begins."""

    kind: str
    """One of `GATES`; empty: torch has no kernel for it."""

    obstacle: str
    """Why torch has no kernel for it; empty if it has."""


def subject_of(cell: Cell) -> Subject:
    """Tell which of torch's kernels computes a cell, or why none does."""
    cells = rnnkit.nested_cells(cell)
    bare: Any = next(c for c in cells if not isinstance(c, rnnkit.Wrapper) or _changed(c, rnnkit.Wrapper))
    base = next((c for c in type(bare).__mro__ if (c.__module__, c.__qualname__) in PLAIN), None)
    if base is None:
        return Subject(cell, "", f"torch has no kernel for cell {bare.name!r}")
    kind, changed = PLAIN[base.__module__, base.__qualname__], _changed(bare, base)
    if changed:
        return Subject(cell, "", f"torch has no kernel for cell {bare.name!r}, whose {changed} is its own")
    if kind == "gru" and not bare.reset_after:
        return Subject(cell, "", "torch has no kernel for cell 'gru' with reset_after=False")
    if kind != "lstm" and bare.proj_size:
        return Subject(cell, "", f"torch has no kernel for cell {bare.name!r} with a projection")
    return Subject(bare, kind, "")


def _changed(cell: Cell, base: type) -> str:
    """Name what a step of `cell` uses otherwise than `base` does; empty: nothing."""
    for name in STEP:
        if getattr(type(cell), name, None) is not getattr(base, name, None) or name in vars(cell):
            return name
    return next((name for name in WEIGHTS if hasattr(type(cell), name)), "")


def weights_of(subject: Subject) -> dict[str, Tensor]:
    """Return the weights that the cell has, by name, in the order of torch's kernels."""
    weights = {name: getattr(subject.cell, name) for name in WEIGHTS}
    return {name: tensor for name, tensor in weights.items() if tensor is not None}


def shapes_of(subject: Subject, names: Sequence[str]) -> list[tuple[int, ...]]:
    """Return the shapes that a kernel reads such weights in; those that computed ones have are checked nowhere else."""
    cell: Any = subject.cell
    rows = GATES[subject.kind] * cell.hidden_size
    expected: dict[str, tuple[int, ...]] = {
        "weight_ih": (rows, cell.input_size),
        "weight_hh": (rows, cell.output_size),
        "bias_ih": (rows,),
        "bias_hh": (rows,),
        "weight_hr": (cell.output_size, cell.hidden_size),
    }
    return [expected[name] for name in names]


def subjects_of(cells: Sequence[Cell]) -> list[Subject]:
    """Return cells one on top of the other as torch's kernels take them in one call; none where they do not."""
    subjects = [subject_of(cell) for cell in cells]
    if any(subject.obstacle for subject in subjects):
        return []
    above: Any
    first: Any = subjects[0].cell
    for subject in subjects[1:]:
        above = subject.cell
        alike = _alike(subject) == _alike(subjects[0]) and above.input_size == first.output_size
        if not alike or above is first:
            return []
    return subjects


def _alike(subject: Subject) -> tuple[Any, ...]:
    """Return what the cells of one call have in common."""
    cell: Any = subject.cell
    return _function(subject), cell.hidden_size, cell.output_size, tuple(weights_of(subject))


def flatten(subjects: Sequence[Subject]) -> None:
    """Lay the weights out in one piece of memory, as cuDNN reads them in one call: else it copies them each time.

    As torch.nn does with its own: where cuDNN takes all of them, and none is another one's memory. The parameters stay
    the same ones.
    """
    weights = [weight for subject in subjects for weight in weights_of(subject).values()]
    cell = cast("Any", subjects[0].cell)
    if not torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]
        return
    acceptable = torch.backends.cudnn.is_acceptable
    for weight in weights:
        if not isinstance(weight, torch.nn.Parameter) or weight.dtype != weights[0].dtype:
            return
        if weight.device.type not in HAVING_CUDNN or not acceptable(weight):  # type: ignore[no-untyped-call]
            return
    if len({weight.data_ptr() for weight in weights}) < len(weights) or not torch._use_cudnn_rnn_flatten_weight():
        return
    mode = get_cudnn_mode(_function(subjects[0]).upper())  # type: ignore[no-untyped-call]
    sizes = (cell.input_size, mode, cell.hidden_size, cell.proj_size or 0)
    with torch.cuda.device_of(weights[0]), torch.no_grad():  # type: ignore[no-untyped-call]
        torch._cudnn_rnn_flatten_weight(weights, len(weights) // len(subjects), *sizes, len(subjects), False, False)


class Kernel(NamedTuple):
    """One call of a kernel of torch's, but for its tensors."""

    subjects: tuple[Subject, ...]
    """One on top of the other."""

    names: tuple[str, ...]
    """Of the weights of each."""

    lengths: Tensor | None
    """(B,) on the CPU; None: all rows run to the end."""

    @property
    def subject(self) -> Subject:
        """The first one, which the others are like."""
        return self.subjects[0]

    @property
    def states(self) -> int:
        """How many tensors the state of each has."""
        return 2 if self.subject.kind == "lstm" else 1

    def apart(self, tensors: Sequence[Tensor]) -> tuple[Tensor, list[Sequence[Tensor]], list[Sequence[Tensor]]]:
        """Return the input, and of each subject state and weights."""
        layers, states = len(self.subjects), self.states
        weights, first = len(self.names), 1 + layers * states
        return (
            tensors[0],
            [tensors[1 + k * states : 1 + (k + 1) * states] for k in range(layers)],
            [tensors[first + k * weights : first + (k + 1) * weights] for k in range(layers)],
        )

    def __call__(self, tensors: Sequence[Tensor], train: bool) -> tuple[Tensor, ...]:
        """Run over input (T, B, D), states, each (B, ...), and weights; return ys (T, B, O) and the last states.

        `train`: whether to keep what the backward pass reads.
        """
        first = 1 + len(self.subjects) * self.states
        xs, states, weights = tensors[0], tensors[1:first], tensors[first:]
        with quiet(self.subject, xs):
            if self.lengths is None:
                return self._run((xs,), states, weights, train)
            return self._packed(xs, self.lengths, states, weights, train)

    def _packed(
        self, xs: Tensor, lengths: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], train: bool
    ) -> tuple[Tensor, ...]:
        """Run over rows of different lengths; the results are in the order of the rows, zeros past their ends."""
        ordered = bool((lengths[:-1] >= lengths[1:]).all())
        packed = pack_padded_sequence(xs, lengths, enforce_sorted=ordered)
        sort, unsort = packed.sorted_indices, packed.unsorted_indices
        states = [state if sort is None else state.index_select(0, sort) for state in states]
        ys, *last = self._run((packed.data, packed.batch_sizes), states, weights, train)
        padded, _ = pad_packed_sequence(PackedSequence(ys, *packed[1:]), total_length=xs.shape[0])
        return padded, *(state if unsort is None else state.index_select(0, unsort) for state in last)

    def _run(
        self, inputs: tuple[Tensor, ...], states: Sequence[Tensor], weights: Sequence[Tensor], train: bool
    ) -> tuple[Tensor, ...]:
        """Call the kernel as torch.nn does for layers in one direction; `inputs` are padded, or data and sizes."""
        function: Callable[..., tuple[Tensor, ...]] = getattr(torch._VF, _function(self.subject))
        layers = len(self.subjects)
        before = [_joined(states[k :: self.states]) for k in range(self.states)]
        hx = before if self.subject.kind == "lstm" else before[0]
        # Whether there are biases, layers, dropout, whether in training, whether in both directions.
        options = ("bias_ih" in self.names, layers, 0.0, train, False)
        batch_first = (False,) if len(inputs) == 1 else ()
        ys, *last = function(*inputs, hx, list(weights), *options, *batch_first)
        return ys, *(state[k] for k in range(layers) for state in last)


def _joined(states: Sequence[Tensor]) -> Tensor:
    """Return the states of all layers, each (B, ...), as one tensor."""
    return states[0].unsqueeze(0) if len(states) == 1 else torch.stack([*states])


def _function(subject: Subject) -> str:
    return f"rnn_{subject.cell.nonlinearity}" if subject.kind == "rnn" else subject.kind


@contextmanager
def quiet(subject: Subject, xs: Tensor) -> Iterator[None]:
    """Keep back two hints of torch's about speed, which nobody who uses a layer can follow.

    One says that weights lie apart, which on a GPU costs a copy of them a call; the other that oneDNN has no
    projections.
    """
    if xs.device.type == "cpu" and "weight_hr" not in subject.cell._parameters:
        yield
        return
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk of memory")
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        yield
