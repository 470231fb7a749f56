"""A recording is held to the step itself: to its numbers, its gradients, and the independence of its rows."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.trace import instead
from rnnkit_compiler.trace.recording import NotRecordable, Recording, literal
from rnnkit_compiler.trace.rows import joined_arguments, without_numbers
from rnnkit_compiler.trace.script import Script

FEW, ALL, TWO = (2, 3, 1), (0, 1, 2, 3, 4, 5, 6), (4, 0)
"""The rows of the examples that the three runs of a step get; none is at the same place in two of them."""

ONE = (5,)
"""The row of one more run."""

OF_AUTOGRAD = ("detach", "alias", "clone", "view_as_real", "view_as_complex", instead.NAME)
"""What autograd keeps is a view or a copy, and it makes views again of what was overwritten."""

LARGE = 1 << 20
"""Elements of a weight from which on its gradient would take longer than all else."""


class Run(NamedTuple):
    """A step that was run and recorded."""

    recording: Recording
    tensors: Sequence[Tensor]
    """All of the recording's, by number."""

    rows: tuple[int, ...]


def check_rows(recording: Recording, few: Run, all_: Run) -> None:
    """Raise NotRecordable if rows among others are not what they are among more.

    Every tensor on the way is looked at, not the results alone: what is multiplied by a weight that happens to be zero
    may be anything tomorrow.
    """
    made_of_rows = {*recording.parts, *recording.states}
    for call in recording.live:
        if made_of_rows.intersection(call.reads):
            made_of_rows.update(number for number in call.outputs if number is not None)
    # `arange`, which is made of no row, may be what it likes
    for number in {*recording.results, *made_of_rows, *recording.for_slopes}:
        if not _same_rows(recording, number, few, all_):
            if number in recording.for_slopes:
                what = "an autograd.Function whose backward mixes the rows of the batch"
                raise NotRecordable(f"step() applies {what}, as a parameter's gradient does, or counts them")
            raise NotRecordable("step() mixes the rows of the batch, or computes with how many there are")


def _same_rows(recording: Recording, number: int, few: Run, all_: Run) -> bool:
    one, other = few.tensors[number], all_.tensors[number]
    axes = [axis for axis, size in enumerate(recording.shapes[number]) if size and size % recording.rows == 0]
    if not axes:
        return _same(one, other)
    if len(axes) > 1 or recording.shapes[number][axes[0]] != recording.rows:
        return True  # several rows in one dimension; what is made of them shows whether they stay apart
    return _same(one, other.index_select(axes[0], torch.tensor(few.rows, device=other.device)))


def check_values(recording: Recording, run: Run, other: Run) -> None:
    """Raise NotRecordable unless a run on other numbers, other rows and without gradients made the same calls.

    What reads a tensor past torch, as `tolist` and `numpy` do, leaves its numbers in the arguments of calls.
    """
    calls = map(_without_numbers, (recording, run.recording, other.recording))
    literals = (_literals(each.recording) for each in (run, other))
    try:
        same = all(
            literal(joined_arguments(one, another, run.recording.rows, other.recording.rows)) == literal(both)
            for both, one, another in zip(*calls, strict=True)
        )
    except (NotRecordable, ValueError):  # of another size, or not as many
        same = False
    if not same or len({repr(values) for values in literals}) > 1:
        raise NotRecordable("step() calls other operations for other numbers or rows, or without gradients")


def _literals(recording: Recording) -> list[Any]:
    of_the_step = recording.constants.keys() - recording.for_slopes
    with torch._C.DisableTorchFunction():  # it is not the step that reads them
        return [tensor.tolist() for number, tensor in recording.constants.items() if number in of_the_step]


def _without_numbers(recording: Recording) -> list[tuple[Any, ...]]:
    """List what calls pass, tensors without their numbers; what is there for autograd alone is no call."""
    calls = (call for call in recording.calls if not recording.for_slopes.intersection(call.outputs))
    seen = (call for call in calls if call.base_name not in OF_AUTOGRAD)
    return [(call.name, without_numbers((call.args, call.kwargs))) for call in seen]


def check_gradients(recording: Recording, run: Run) -> None:
    """Raise NotRecordable unless the calls, made again, give the step's own results and gradients.

    What a recording cannot see, as a tensor whose data were exchanged or a hook in the graph, shows here. Of weights of
    more than LARGE elements it is not asked, for time: the cuts that the recorder sees are all that they rely on.
    """
    weights = list(dict.fromkeys(recording.weights.values()))
    inputs = [*recording.parts, *recording.states, *weights]
    script = Script(recording.live, recording, [*inputs, *recording.constants], recording.results)
    leaves = [run.tensors[number] for number in inputs]
    again = [tensor.detach().requires_grad_(tensor.requires_grad) for tensor in leaves]
    results = script(len(run.rows), *again, *recording.constants.values())
    expected = [run.tensors[number] for number in run.recording.results]
    if not all(map(_same, results, expected)):
        raise NotRecordable("step() does more than its operations show")
    if not all(map(_same_gradient, _gradients(results, again), _gradients(expected, leaves))):
        raise NotRecordable("step() has another gradient than its operations show")


def _gradients(results: Sequence[Tensor], leaves: Sequence[Tensor]) -> list[Tensor | None]:
    """Return the gradients of the results, each element with a weight of its own, by the leaves (None: none)."""
    roots = [tensor for tensor in results if tensor.requires_grad]
    wanted = [tensor for tensor in leaves if tensor.requires_grad and tensor.numel() <= LARGE]
    if not roots or not wanted:
        return [None] * len(wanted)
    # As one number: gradients that are handed to autograd have it import a library that takes half a second.
    real = [torch.view_as_real(root.resolve_conj()) if root.is_complex() else root for root in roots]
    total = sum(
        (root * torch.arange(root.numel(), device="cpu").cos().to(root).view(root.shape)).sum() for root in real
    )
    return list(torch.autograd.grad(total, wanted, allow_unused=True))  # type: ignore[arg-type]


def _same_gradient(one: Tensor | None, other: Tensor | None) -> bool:
    if one is None or other is None:
        left = other if one is None else one
        return left is None or not bool(left.detach().any())
    return _same(one, other)


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are equal but for rounding."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    one, other = one.detach(), other.detach()
    if torch.equal(one, other):  # mostly, and much faster to tell
        return True
    if not one.is_floating_point() and not one.is_complex():
        return False
    tolerance = 1e3 * torch.finfo(one.dtype).eps
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
