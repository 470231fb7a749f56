"""Projections, one tensor or several, handled alike."""

from rnnkit import Projected, map_parts


def between(projected: Projected, start: int, stop: int) -> Projected:
    return map_parts(lambda part: part[start:stop], projected)


def detached(projected: Projected) -> Projected:
    return map_parts(lambda part: part.detach(), projected)
