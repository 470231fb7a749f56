"""The trial: a small random batch, and all that is compared of what two ways make of it."""

from collections.abc import Callable

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Results, Tensors, Timeline

STEPS, BATCH = 3, 18
"""Of the batch, which has more rows than a program."""

LOW = (torch.bfloat16, torch.float16)

Run = Callable[[Tensors, Timeline], Results]


def drawn(tensors: Tensors, seed: int) -> tuple[Tensors, Timeline]:
    """Return a small random batch for these invariants; whole numbers are those of the call, which fit its step."""
    generator = torch.Generator().manual_seed(seed)

    def numbers(tensor: Tensor, *shape: int) -> Tensor:
        if tensor.dtype == torch.bool:
            return torch.rand(*shape, *tensor.shape[len(shape) :], generator=generator, device="cpu").gt(0.5).to(device)
        if not (tensor.is_floating_point() or tensor.is_complex()):
            return _repeated(tensor, *shape)
        normal = torch.randn(*shape, *tensor.shape[len(shape) :], generator=generator, device="cpu")
        return normal.to(tensor.device, tensor.dtype).requires_grad_()

    def copied(tensor: Tensor) -> Tensor:
        return tensor.detach().clone().requires_grad_(tensor.is_floating_point() or tensor.is_complex())

    device = tensors.states[0].device
    parts = [numbers(tensor, STEPS, BATCH) for tensor in tensors.parts]
    states, initial = ([numbers(tensor, BATCH) for tensor in tensors.states] for _ in range(2))
    row = torch.arange(BATCH, device=device)
    lengths = 1 + row % STEPS
    reset = (row + torch.arange(STEPS, device=device).unsqueeze(1)) % 5 == 1
    order = lengths.argsort(descending=True, stable=True)
    given = Tensors(parts, states, initial, [copied(tensor) for tensor in tensors.invariants])
    return given, Timeline(STEPS, BATCH, lengths, order, reset)


def _repeated(tensor: Tensor, *shape: int) -> Tensor:
    """Return a tensor of another size in its first dimensions, by its own numbers again and again."""
    if not tensor.numel():
        return tensor.new_zeros(*shape, *tensor.shape[len(shape) :])
    for axis, size in enumerate(shape):
        tensor = tensor.index_select(axis, torch.arange(size, device=tensor.device) % tensor.shape[axis])
    return tensor


def everything(run: Run, tensors: Tensors, timeline: Timeline) -> list[Tensor]:
    """Return outputs, last states and gradients: with lengths and resets, and plain; and outputs of inference."""
    plain = Timeline(STEPS, BATCH, None, None, None)
    found: list[Tensor] = []
    for given, when in ((tensors, timeline), (tensors._replace(initial=()), plain)):
        ys, last = run(given, when)
        results = [ys, *last]
        found += [tensor.detach() for tensor in results]
        weighed = [tensor.abs().sum() if tensor.is_complex() else (tensor * tensor).sum() for tensor in results]
        loss = sum(weight for weight in weighed if weight.requires_grad)
        wanted = [t for group in given for t in group if t.requires_grad]
        if wanted and isinstance(loss, Tensor):
            found += torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)
    with torch.no_grad():
        ys, last = run(tensors, timeline)
    return [*found, ys, *last]


def is_low(tensors: Tensors) -> bool:
    """Tell whether numbers are kept in low precision."""
    return any(tensor.dtype in LOW for group in tensors for tensor in group)


def in_float32(run: Run) -> Run:
    """Return what computes in float32 and keeps states in low precision after each step, as kernels do.

    Where rounding decides, as about where a fraction begins again, operations that round one by one are far from it.
    """

    def run_in_float32(tensors: Tensors, timeline: Timeline) -> Results:
        dtypes = [state.dtype for state in tensors.states]
        wide = Tensors(*([*map(_wide, group)] for group in tensors))
        states, outputs = wide.states, []
        for t in range(timeline.steps):
            parts = [part[t : t + 1] for part in wide.parts]
            ys, states = run(wide._replace(parts=parts, states=states), timeline.between(t, t + 1))
            states = [_wide(state.to(dtype)) for state, dtype in zip(states, dtypes, strict=True)]
            outputs.append(ys)
        return torch.cat(outputs), tuple(states)

    return run_in_float32


def _wide(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in LOW else tensor
