"""Projections, one tensor or several, handled alike."""

from torch import Tensor

from rnnkit import Projected


def between(projected: Projected, start: int, stop: int) -> Projected:
    if isinstance(projected, Tensor):
        return projected[start:stop]
    return tuple(part[start:stop] for part in projected)


def detached(projected: Projected) -> Projected:
    if isinstance(projected, Tensor):
        return projected.detach()
    return tuple(part.detach() for part in projected)
