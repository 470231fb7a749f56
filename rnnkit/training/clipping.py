"""A bound on the gradients."""

from collections.abc import Iterable

import torch
from torch import nn

from rnnkit.errors import UsageError, check_positive
from rnnkit.training.choices import CLIPPED_BY


def check_clip(bound: float | None, by: str) -> None:
    """Raise UsageError unless gradients can be clipped so; None: they are not."""
    if bound is not None:
        check_positive("clip", bound)
    if by not in CLIPPED_BY:
        raise UsageError(f"clip_by is {by!r}; it must be {' or '.join(CLIPPED_BY)}")


def clip_gradients(parameters: Iterable[nn.Parameter], norm: float, bound: float, by: str) -> None:
    """Scale gradients of that Euclidean norm down to the bound, or by "value" cut each element to it."""
    if by == "value":
        nn.utils.clip_grad_value_(parameters, bound)
    elif norm > bound:
        parameters = list(parameters)
        dtype = next(p.grad.dtype for p in parameters if p.grad is not None)
        nn.utils.clip_grads_with_norm_(parameters, bound, torch.tensor(norm, dtype=dtype))
