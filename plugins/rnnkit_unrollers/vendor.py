"""Torch's own kernels: a whole sequence at once, by cuDNN or MIOpen on a GPU and oneDNN on a CPU.

They compute `lstm`, `gru` and `rnn` as torch.nn has them, and only once derived: whatever else is asked for, the plain
loop does, second derivatives included.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._compile import _disable_dynamo

import rnnkit
from rnnkit import Cell, Masks, State
from rnnkit_unrollers._kernels import Kernel, Subject, flatten, shapes_of, subject_of, weights_of
from rnnkit_unrollers._pieces import cut
from rnnkit_unrollers._replay import Gradients, gradient
from rnnkit_unrollers.loop import Loop, run

FULL = (torch.float32, torch.float64)
LOW = (torch.float16, torch.bfloat16)
"""Left to the loop on a CPU: many processors have no kernel of oneDNN's for these, and torch.nn then raises."""

FASTEST_ON = ("cuda",)
"""Types of devices on which `auto` takes these kernels; torch calls ROCm's "cuda" too."""

KERNELS = "triton"
"""The backend of `compiled` that lets rows start again in mid-sequence on a GPU."""

ORDINARY = (Tensor, torch.nn.Parameter, torch.nn.Buffer)


class Vendor(rnnkit.Unroller):
    """Hands `lstm`, `gru` and `rnn` to torch's kernels: the numbers and the speed of torch.nn on every device.

    On a CPU equal to torch.nn bit for bit, a layer and direction at a time. `auto` takes it on CUDA (ROCm included).
    Rows of different lengths are packed for the kernel.

    Rows that start again are cut into pieces, which are packed as well; on CUDA they are left to `compiled` where it
    has kernels. Other cells, second derivatives and transforms of torch.func are left to the plain loop. Under autocast
    on a GPU it computes in the low precision throughout, as torch.nn does there.

    Memory: what torch's kernel keeps for the backward pass. Time: torch.nn's.
    """

    name = "vendor"

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
        return unroll(cell, xs, state, lengths, reset)

    def arrange(self, cell: Cell) -> None:
        """Put the weights into one piece of memory where cuDNN reads them so."""
        subject = subject_of(cell)
        if not subject.obstacle:
            flatten(subject)

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
            f"{'; to compiled, where it has kernels: resets after the first step' if on_gpu else ''}"
        )


def _unroll(
    cell: Cell, xs: Tensor, state: State | None, lengths: Tensor | None, reset: Tensor | None
) -> tuple[Tensor, State]:
    subject = subject_of(cell)
    prepared, before, masks = rnnkit.prepare(cell, xs, state, lengths, reset)
    if subject.obstacle:
        return Loop()(cell, xs, state, lengths=lengths, reset=reset)
    if _obstacle_of_call(subject, prepared, before, masks):
        return _in_dtype_of_kernels(*Loop()(cell, xs, state, lengths=lengths, reset=reset))
    if masks.restart is not None and bool(masks.restart[1:].any()):
        return _restarting(subject, prepared, before, masks) or _in_dtype_of_kernels(
            *_without_kernels_of_torch(xs.device)(cell, xs, state, lengths=lengths, reset=reset)
        )
    if masks.restart is not None:
        before = rnnkit.choose_rows(masks.restart[0], masks.initial, before)
    ends = None if masks.live is None or lengths is None else torch.as_tensor(lengths).to("cpu", torch.int64)
    return _by_kernel(subject, prepared, before, ends, masks.live)


def _by_kernel(
    subject: Subject, xs: Tensor, state: State, lengths: Tensor | None, live: Tensor | None
) -> tuple[Tensor, State]:
    """Run a kernel over rows that start once; `lengths` (B,) and `live` (T, B) say the same of their ends."""
    weights = weights_of(subject)
    kernel, tensors = Kernel(subject, tuple(weights), lengths), (xs, *state, *weights.values())
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        ys, *last = Pass.apply(kernel, live, *tensors)  # type: ignore[no-untyped-call]
    else:
        ys, *last = kernel(tensors, train=False)
    return ys, tuple(last)


_unroll_untraced = _disable_dynamo(_unroll)
"""The same for `torch.compile`, which leaves it as it is: nothing in it would become faster."""


def _restarting(subject: Subject, xs: Tensor, state: State, masks: Masks) -> tuple[Tensor, State] | None:
    """Run a kernel over rows that start again, piece by piece; None: others had better run them."""
    compiled = rnnkit.unrollers.get("compiled") if xs.device.type in FASTEST_ON else None
    if compiled is not None and compiled(backend=KERNELS).applies(subject.cell):  # type: ignore[call-arg]
        return None
    pieces = cut(xs, state, masks)
    if pieces is None:
        return None
    return pieces.joined(*_by_kernel(subject, pieces.xs, pieces.state, pieces.lengths, pieces.live))


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


class Pass(torch.autograd.Function):
    """A kernel forward and back; where its backward is differentiated or transformed, the loop in its place."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, live: Tensor | None, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Run the kernel; `live` (T, B) tells which rows have not ended, None: all run to the end."""
        ctx.kernel, ctx.live = kernel, live
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        device = tensors[0].device
        ctx.autocast = torch.get_autocast_dtype(device.type) if rnnkit.casts_automatically(device) else None
        # Detached they share the version counters: in-place changes are found out as they are with torch.nn.
        ctx.leaves = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors)
        with torch.enable_grad():
            ctx.results = kernel(ctx.leaves, train=True)
        return tuple(result.detach() for result in ctx.results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run the kernel's own backward, or take the loop's."""
        if torch.is_grad_enabled() or rnnkit.watched_by(*gradients):
            return None, None, *_through_the_loop(ctx, gradients)
        needed = ctx.needs_input_grad[2:]
        leaves = [leaf if wanted else leaf.detach() for leaf, wanted in zip(ctx.leaves, needed, strict=True)]
        keep = torch._C._autograd._get_current_graph_task_keep_graph()
        return None, None, *gradient(ctx.results, gradients, leaves, retain_graph=keep)


def _through_the_loop(ctx: Any, gradients: Sequence[Tensor | None]) -> Gradients:
    """Return the gradients of the plain loop, recorded by autograd if it records."""
    kernel, again = ctx.kernel, torch.is_grad_enabled()
    # By views, so that each has the gradient of its own uses alone: a learnt state is made of a weight.
    with torch.enable_grad():
        tensors = [tensor.view_as(tensor) for tensor in ctx.saved_tensors]
    state, weights = tuple(tensors[1 : 1 + kernel.states]), tensors[1 + kernel.states :]
    cell = kernel.subject.cell
    ys: list[Tensor] = []
    held = rnnkit.tensors_replaced(cell, dict(zip(kernel.names, weights, strict=True)))
    casting = torch.autocast(tensors[0].device.type, dtype=ctx.autocast, enabled=ctx.autocast is not None)
    with held, casting, torch.enable_grad():
        last = run(cell, cell.project(tensors[0]), state, Masks(ctx.live, None, ()), ys.append)
        outputs = [torch.stack(ys), *last]
    return gradient(outputs, gradients, tensors, create_graph=again)


@rnnkit.hookimpl
def rnnkit_unrollers() -> list[type[rnnkit.Unroller]]:
    """Offer torch's kernels."""
    return [Vendor]
