"""What looks at every operation, and so would miss what is computed where it cannot see."""

import torch
from torch import Tensor
from torch.autograd import forward_ad


def watched_by(*tensors: Tensor | None) -> str:
    """Say what looks at every operation just now, or on these tensors: a transform, a mode, a tracer; empty: nothing.

    An unroller that computes out of autograd's sight asks this in the forward pass and in the backward, since a
    transform may begin in between (`is_grads_batched`, `jacobian(vectorize=True)`, `vmap` over `autograd.grad`), and
    then has torch's own operations do it.
    """
    if transform := transformed_by():
        return transform
    traced = torch._C._get_tracing_state() is not None
    if traced or torch._C._len_torch_dispatch_stack() or torch.compiler.is_compiling():
        return "something looks at every operation"
    if tensors and any(
        tensor is not None and torch._C._functorch.is_legacy_batchedtensor(tensor) for tensor in tensors
    ):
        return "a tensor stands for a batch of them"  # by `is_grads_batched`, which leaves no other trace
    return ""


def transformed_by() -> str:
    """Say which transform is at work just now, under which a plain autograd.Function cannot run; empty: none."""
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return "a transform of torch.func is at work"
    return "forward-mode differentiation is at work" if forward_ad._current_level >= 0 else ""


def is_traced() -> bool:
    """Tell whether `torch.jit.trace` or `torch.export` wants to see every operation of the call, and nothing else."""
    if torch.compiler.is_compiling():
        return torch.compiler.is_exporting()
    return torch._C._get_tracing_state() is not None
