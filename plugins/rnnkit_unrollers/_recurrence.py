"""Linear recurrences h_t = A_t h_{t-1} + b_t, all steps at once, by an associative scan.

Two steps in a row are one: (A, b) then (A', b') is (A' A, A' b + b'). Neighbours are joined, the sequence of half as
many steps is solved by the same rule, and the steps in between follow from it: 2 log T operations on whole sequences,
in which about three times as much is computed as step by step. Nothing is ever divided by a product of coefficients,
which underflows.

Papers: Blelloch, "Prefix Sums and Their Applications", CMU-CS-90-190, 1990; Martin & Cundy, "Parallelizing Linear
Recurrent Neural Nets Over Sequence Length", ICLR 2018.
"""

from typing import Any

import torch
from torch import Tensor

SMALL = 4
"""Size of blocks up to which a product of sums is faster than torch's product of many matrices."""


class LinearRecurrence(torch.autograd.Function):
    """Solves h_t = A_t h_{t-1} + b_t from h_{-1} = 0; its derivative is the same, backwards in time."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
        """Return h, as b; see `solved`."""
        h = scanned(a, b)
        ctx.save_for_backward(a, h)
        return h

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        """Return the gradients of A and b."""
        a, h = ctx.saved_tensors
        adjoint = solved(*reversed_in_time(a, gradient)).flip(0)
        before = shifted(h)
        if a.ndim == h.ndim:
            return adjoint * before, adjoint
        return adjoint.unsqueeze(-1) * before.unsqueeze(-2), adjoint


def solved(a: Tensor, b: Tensor) -> Tensor:
    """Return h_t = A_t h_{t-1} + b_t for all t, from h_{-1} = 0, differentiable any number of times.

    Args:
        a: the coefficients: as b, one number for each element, or (T, ..., m, m), a matrix for each m elements. A_0 is
            of no account.
        b: (T, ..., m).
    """
    if torch.is_grad_enabled() and (a.requires_grad or b.requires_grad):
        h: Tensor = LinearRecurrence.apply(a, b)  # type: ignore[no-untyped-call]
        return h
    return scanned(a, b)


def reversed_in_time(a: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return the recurrence of the adjoint, l_t = A_{t+1}^T l_{t+1} + g_t, last step first."""
    transposed = a if a.ndim == gradient.ndim else a.transpose(-1, -2)
    return torch.cat([transposed[:1], transposed[1:].flip(0)]), gradient.flip(0)


def scanned(a: Tensor, b: Tensor) -> Tensor:
    """Solve as `solved` does, without autograd."""
    steps = len(b)
    if steps == 1:
        return b
    pairs = 2 * (steps // 2)
    first, second = a[0:pairs:2], a[1:pairs:2]
    odd = scanned(_product(second, first, a.ndim > b.ndim), applied(second, b[0:pairs:2]).add_(b[1:pairs:2]))
    h = torch.empty_like(b)
    h[0] = b[0]
    h[1:pairs:2] = odd
    if steps > 2:
        h[2::2] = applied(a[2::2], odd[: (steps - 1) // 2]).add_(b[2::2])
    return h


def _product(later: Tensor, earlier: Tensor, matrices: bool) -> Tensor:
    if not matrices:
        return later * earlier
    if later.shape[-1] > SMALL:
        return later @ earlier
    return (later.unsqueeze(-1) * earlier.unsqueeze(-3)).sum(-2)


def shifted(h: Tensor) -> Tensor:
    """Return h_{t-1} for all t, zero before the first."""
    return torch.cat([torch.zeros_like(h[:1]), h[:-1]])


def applied(a: Tensor, h: Tensor) -> Tensor:
    """Return A_t h_t for all t; shapes as in `solved`."""
    if a.ndim == h.ndim:
        return a * h
    if a.shape[-1] > SMALL:
        return (a @ h.unsqueeze(-1)).squeeze(-1)
    return (a * h.unsqueeze(-2)).sum(-1)
