"""Torch's own kernels: a whole sequence at once, by cuDNN or MIOpen on a GPU and oneDNN on a CPU.

They compute `lstm`, `gru` and `rnn` as torch.nn has them, and only once derived: whatever else is asked for, the plain
loop does, second derivatives included.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

import rnnkit
from rnnkit import Cell, Masks, State
from rnnkit.errors import UsageError
from rnnkit_unrollers._cost import nanoseconds
from rnnkit_unrollers._kernel_pass import by_kernel, stack_by_kernel
from rnnkit_unrollers._kernels import Subject, flatten, shapes_of, subject_of, subjects_of, weights_of
from rnnkit_unrollers._pieces import cut, cuts_of
from rnnkit_unrollers.loop import Loop

FULL = (torch.float32, torch.float64)
LOW = (torch.float16, torch.bfloat16)
"""Left to the loop on a CPU: many processors have no kernel of oneDNN's for these, and torch.nn then raises."""

FASTEST_ON = ("cuda",)
"""Types of devices on which `auto` takes these kernels; torch calls ROCm's "cuda" too."""

PIECES, COMPILED = "pieces", "compiled"
"""Where rows that start again in mid-sequence run."""

ORDINARY = (Tensor, torch.nn.Parameter, torch.nn.Buffer)


class Vendor(rnnkit.Unroller):
    """Hands `lstm`, `gru` and `rnn` to torch's kernels: the numbers and the speed of torch.nn on every device.

    On a CPU equal to torch.nn bit for bit, a direction at a time; several layers alike, without dropout between them,
    in one call. `auto` takes it on CUDA (ROCm included).
    Rows of different lengths are packed for the kernel.

    Rows that start again are cut into pieces, which are packed as well; on CUDA they are left to `compiled` where its
    kernels take less time, by a model or by what was measured there. Other cells, second derivatives and transforms of
    torch.func are left to the plain loop. Under autocast on a GPU it computes in the low precision throughout, as
    torch.nn does there.

    Memory: what torch's kernel keeps for the backward pass. Time: torch.nn's.

    Args:
        restarts: "pieces" has rows that start again cut into pieces, as long as these take no more memory than they
            may, "compiled" has `compiled` run them (the loop where no GPU is). None: what takes less time.
    """

    name = "vendor"

    def __init__(self, *, restarts: str | None = None) -> None:
        if restarts not in (None, PIECES, COMPILED):
            raise UsageError(f"unroller 'vendor': restarts is {restarts!r}; it must be {PIECES}, {COMPILED}, or None")
        self.restarts = restarts

    def rank(self, cell: Cell) -> int | None:
        """Come before all others on CUDA, for the cells that torch has kernels for; elsewhere only by name."""
        first = next(cell.parameters(), None)
        fastest = first is not None and first.device.type in FASTEST_ON
        return 20 if fastest and not subject_of(cell).obstacle else None

    def __call__(
        self,
        cell: Cell,
        xs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over `xs` (T, B, D); see `rnnkit.Unroller`."""
        if rnnkit.is_traced():
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        unroll = _unroll_untraced if torch.compiler.is_compiling() else _unroll
        return unroll(self.restarts, cell, xs, state, lengths, reset)

    def stacked(
        self, cells: Sequence[Cell], xs: Tensor, states: Sequence[State | None], lengths: Tensor | None
    ) -> tuple[Tensor, list[State]] | None:
        """Unroll cells of one kind and size in one call of a kernel; see `rnnkit.Unroller`."""
        subjects = [] if rnnkit.is_traced() or torch.compiler.is_compiling() else subjects_of(cells)
        if not subjects:
            return None
        xs, before, masks = rnnkit.prepare(cells[0], xs, states[0], lengths, None)
        fed = xs[..., :1].expand(*xs.shape[:2], subjects[0].cell.output_size)  # like the input of the others
        above = zip(cells[1:], states[1:], strict=True)
        befores = [before, *(rnnkit.prepare(cell, fed, given, None, None).state for cell, given in above)]
        inputs = (xs, *(fed for _ in cells[1:]))
        for subject, state, given in zip(subjects, befores, inputs, strict=True):
            if _obstacle_of_call(subject, given, state, masks):
                return None
        return stack_by_kernel(subjects, xs, befores, _ends(masks, lengths), masks.live)

    def arrange(self, cell: Cell) -> None:
        """Put the weights into one piece of memory where cuDNN reads them so."""
        self.arrange_stack([cell])

    def arrange_stack(self, cells: Sequence[Cell]) -> None:
        """Put the weights of all cells that one call runs into one piece of memory where cuDNN reads them so."""
        subjects = subjects_of(cells)
        if subjects:
            flatten(subjects)
        elif len(cells) > 1:
            super().arrange_stack(cells)

    def __repr__(self) -> str:
        return self.name if self.restarts is None else f"{self.name}(restarts={self.restarts!r})"

    @classmethod
    def facts(cls) -> dict[str, str]:
        """Tell whose kernels run the cells that torch has kernels for on each GPU of this machine."""
        return {f"on cuda:{index}": _library_of_gpu() for index in range(torch.cuda.device_count())}

    def explain(self, cell: Cell) -> str:
        """Say which kernel computes the cell and what goes to the loop, or why all of it does."""
        subject = subject_of(cell)
        if subject.obstacle:
            return f"kernel: none, the loop runs\n{subject.obstacle}"
        device = next(subject.cell.parameters()).device
        reason = _obstacle_of(subject, weights_of(subject).values())
        if reason:
            return f"kernel: none, the loop runs\n{reason}"
        library, on_gpu = _library(device), device.type in FASTEST_ON
        return (
            f"kernel: torch's {subject.kind} for whole sequences{library}\n"
            "to the loop go: second derivatives, transforms of torch.func"
            f"{'; to compiled, where its kernels take less time: resets after the first step' if on_gpu else ''}"
        )


class Call(NamedTuple):
    """A call that a kernel runs, checked."""

    subject: Subject
    xs: Tensor
    state: State
    masks: Masks
    ends: Tensor | None
    """(B,) on the CPU: the steps of each row; None: all run to the end."""


def _unroll(
    restarts: str | None,
    cell: Cell,
    xs: Tensor,
    state: State | None,
    lengths: Tensor | None,
    reset: Tensor | None,
) -> tuple[Tensor, State]:
    subject = subject_of(cell)
    prepared, before, masks = rnnkit.prepare(cell, xs, state, lengths, reset)
    if subject.obstacle:
        return Loop()(cell, xs, state, lengths=lengths, reset=reset)
    if _obstacle_of_call(subject, prepared, before, masks):
        return _in_dtype_of_kernels(*Loop()(cell, xs, state, lengths=lengths, reset=reset))
    ends = _ends(masks, lengths)
    if masks.restart is not None and bool(masks.restart[1:].any()):
        return _restarting(restarts, cell, Call(subject, prepared, before, masks, ends))
    if masks.restart is not None:
        before = rnnkit.choose_rows(masks.restart[0], masks.initial, before)
    return by_kernel(subject, prepared, before, ends, masks.live)


_unroll_untraced = _disable_dynamo(_unroll)
"""The same for `torch.compile`, which leaves it as it is: nothing in it would become faster."""


def _ends(masks: Masks, lengths: Tensor | None) -> Tensor | None:
    """Return the steps of each row (B,) on the CPU; None: all run to the end."""
    return None if masks.live is None or lengths is None else torch.as_tensor(lengths).to("cpu", torch.int64)


def _restarting(restarts: str | None, cell: Cell, call: Call) -> tuple[Tensor, State]:
    """Run rows that start again: piece by piece in a kernel of torch's, or by what starts them where they do."""
    subject, xs, state, masks, ends = call
    cuts = cuts_of(masks)

    def in_pieces(xs: Tensor) -> tuple[Tensor, State]:
        pieces = cut(xs, state, masks, cuts)
        return pieces.joined(*by_kernel(subject, pieces.xs, pieces.state, pieces.lengths, pieces.live))

    others = _without_kernels_of_torch(xs.device)
    given = {"lengths": ends, "reset": masks.restart}
    if cuts.fit and restarts is None and xs.device.type in FASTEST_ON:
        name = f"in pieces of up to {1 << (cuts.longest - 1).bit_length()} steps by torch's kernel"
        rival = rnnkit.Rival(name, nanoseconds(subject, xs, cuts), in_pieces)
        restarts = COMPILED if others.beats(cell, xs, state, given, rival) else PIECES
    if cuts.fit and restarts != COMPILED:
        return in_pieces(xs)
    return _in_dtype_of_kernels(*others(cell, xs, state, lengths=ends, reset=masks.restart))


def _without_kernels_of_torch(device: torch.device) -> rnnkit.Unroller:
    """Return what runs rows that start again: on a GPU whatever is made for the cell, elsewhere the loop."""
    compiled = rnnkit.unrollers.get("compiled") if device.type in FASTEST_ON else None
    return Loop() if compiled is None else compiled()


def _in_dtype_of_kernels(ys: Tensor, state: State) -> tuple[Tensor, State]:
    """Return results in the dtype that the kernels' have under autocast on a GPU, whoever has computed them."""
    device = ys.device
    if device.type not in FASTEST_ON or not rnnkit.casts_automatically(device):
        return ys, state
    low = torch.get_autocast_dtype(device.type)
    ys, *last = (tensor if tensor.dtype == torch.float64 else tensor.to(low) for tensor in (ys, *state))
    return ys, tuple(last)


def _obstacle_of_call(subject: Subject, xs: Tensor, state: State, masks: Masks) -> str:
    """Tell what in a call asks for the loop; empty: nothing."""
    if watcher := rnnkit.watched_by():
        return watcher
    if xs.is_inference() and torch.is_grad_enabled():
        return "the input was made in inference mode, and may not be saved"
    if rnnkit.casts_automatically(xs.device) and xs.device.type == "cpu":
        return "autocast is on, which on a CPU reaches into one of these kernels alone"
    if not xs.shape[1]:
        return "there is nothing to step"
    return _obstacle_of(subject, (xs, *state, *weights_of(subject).values()))


def _obstacle_of(subject: Subject, tensors: Any) -> str:
    """Tell what in a cell and these tensors, the weights last, asks for the loop; empty: nothing."""
    tensors = tuple(tensors)
    names = tuple(weights_of(subject))
    if ("bias_ih" in names) != ("bias_hh" in names):
        return "one of two biases is missing"
    if any(module._forward_hooks or module._forward_pre_hooks for module in subject.cell.modules()):
        return "a module of the cell has hooks"
    dtype, device = tensors[0].dtype, tensors[0].device
    for tensor in tensors:
        if type(tensor) not in ORDINARY:
            return f"there is a {type(tensor).__name__} among the tensors"
        if tensor.device != device or (tensor.dtype != dtype and not rnnkit.casts_automatically(device)):
            return "the tensors differ in dtype or device"
    if device.type == "meta":
        return "a tensor is on meta"
    if dtype not in (FULL if device.type == "cpu" else FULL + LOW):
        return f"a tensor is {dtype}"
    weights = tensors[len(tensors) - len(names) :]
    if any(tensor.layout is not torch.strided for tensor in tensors):
        return "a tensor is sparse"
    if [tuple(tensor.shape) for tensor in weights] != shapes_of(subject, names):
        return "a weight has another shape"
    return ""


def _library(device: torch.device) -> str:
    if device.type == "cuda":
        return f", by {_library_of_gpu()}"
    return ", by oneDNN where it has one" if device.type == "cpu" else f" on {device.type}"


def _library_of_gpu() -> str:
    if not torch.backends.cudnn.is_available():  # type: ignore[no-untyped-call]
        return "torch's own kernels"
    return f"{'MIOpen' if torch.version.hip else 'cuDNN'} {torch.backends.cudnn.version()}"  # type: ignore[no-untyped-call]


@rnnkit.hookimpl
def rnnkit_unrollers() -> list[type[rnnkit.Unroller]]:
    """Offer torch's kernels."""
    return [Vendor]
