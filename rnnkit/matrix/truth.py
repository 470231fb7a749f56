"""The truth of a problem: numbers, and central differences in float64, of the plain loop over rows."""

import warnings
from functools import cached_property

import torch
from torch import Tensor

from rnnkit.matrix.comparison import UNIT, Comparison
from rnnkit.matrix.problem import Problem, Tensors

STEP = 2.0**-20
"""From the middle of a difference to its nearer points. The numbers of a problem are such as float32 has, so that in
float64 this is added without rounding."""

PLACES = (1, -1, 2, -2)
"""Where the points of a difference are, in steps."""

FACTORS = (8 / 12, -8 / 12, -1 / 12, 1 / 12)
"""By what they are multiplied: the error is of the order `STEP`⁴, so that steep cells have good differences too."""

SAME = 1e-10
"""How far the scalar of the batched pass may be from that of a run by itself, relatively: by rounding only."""

DIRECTIONS = 3
"""Random directions, in all tensors together, along which gradients are differentiated."""

DRAWS = 4
"""Of numbers moved by a last place of float32."""


class Truth:
    """What all unrollers must find, computed once a problem and only when it is asked for."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self._shapes = {name: problem.tensors[name].shape for name in problem.wanted}
        self._point = torch.cat([problem.tensors[name].flatten() for name in problem.wanted])
        self._slopes: dict[int, Tensors] = {}
        self._curvatures: dict[int, Tensors] = {}

    @cached_property
    def values(self) -> Tensors:
        """Outputs and final states."""
        with torch.no_grad():
            return self.problem.expected(self.problem.tensors)

    @cached_property
    def gradients(self) -> Tensors:
        """The scalar's differences by every element of every tensor."""
        steps = STEP * torch.eye(len(self._point), dtype=torch.float64)
        points = torch.cat([self._point + place * steps for place in PLACES])
        with torch.no_grad():
            scalars = self._batched(points)
            if scalars is None:
                scalars = torch.stack([self._scalar(point) for point in points])
        return self._named(_difference(list(scalars.chunk(len(PLACES)))))

    def slopes(self, number: int) -> Tensors:
        """How outputs and final states change along a direction."""
        if number not in self._slopes:
            with torch.no_grad():
                ends = [self.problem.expected(tensors) for tensors in self._along(number)]
            names = [name for name, tensor in ends[0].items() if tensor.is_floating_point()]
            self._slopes[number] = {name: _difference([end[name] for end in ends]) for name in names}
        return self._slopes[number]

    def curvatures(self, number: int) -> Tensors:
        """How the gradients change along a direction: differences of gradients that differences have proven."""
        if number not in self._curvatures:
            ends = [self.gradients_at(tensors) for tensors in self._along(number)]
            self._curvatures[number] = {name: _difference([end[name] for end in ends]) for name in ends[0]}
        return self._curvatures[number]

    def gradients_at(self, tensors: Tensors) -> Tensors:
        """Autograd's gradients of the plain loop."""
        return self._differentiated(tensors)[1]

    @cached_property
    def sensitivity(self) -> dict[str, float]:
        """How far results and gradients move, in last places of float32, where all numbers do by one, by component.

        No computation in float32 can be held to less: its numbers are rounded at every step.
        """
        middle, moved = self._differentiated(self.problem.tensors), dict[str, float]()
        generator = torch.Generator().manual_seed(self.problem.seed)
        for _ in range(DRAWS):
            shaken = 1 + UNIT * (2 * torch.rand(self._point.shape, dtype=torch.float64, generator=generator) - 1)
            ends = self._differentiated(self._tensors(self._point * shaken))
            for label, end, start in zip(("", "the gradient of "), ends, middle, strict=True):
                for name, tensor in start.items():
                    distance = Comparison("", end[name].detach(), tensor.detach(), 0.0).error / UNIT
                    moved[label + name] = max(moved.get(label + name, 0.0), distance)
        return moved

    def _differentiated(self, tensors: Tensors) -> tuple[Tensors, Tensors]:
        """Return outputs and final states, and the gradients, by the plain loop."""
        wanted = self.problem.wanted
        leaves = {n: t.detach().requires_grad_(n in wanted) for n, t in tensors.items()}
        results = self.problem.expected(leaves)
        return results, self.problem.gradients(self.problem.scalar(results), leaves)

    def _batched(self, points: Tensor) -> Tensor | None:
        """Return the scalar at all points by one pass; None where it cannot be had so, or would be another one."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # such as that of an operation which is not batched
                scalars = torch.func.vmap(self._scalar, randomness="same")(points)
        except Exception:  # what cannot be batched raises all kinds
            return None
        trial = [0, len(points) // 2 - 1, len(points) - 1]
        alone = torch.stack([self._scalar(points[k]) for k in trial])
        return scalars if torch.allclose(scalars[trial], alone, rtol=SAME, atol=SAME) else None

    def _scalar(self, point: Tensor) -> Tensor:
        return self.problem.scalar(self.problem.expected(self._tensors(point)))

    def _along(self, number: int) -> list[Tensors]:
        """Return the points of a difference along a direction."""
        direction = self.problem.direction(number)
        step = STEP * torch.cat([direction[name].flatten() for name in self.problem.wanted])
        return [self._tensors(self._point + place * step) for place in PLACES]

    def _tensors(self, point: Tensor) -> Tensors:
        return {**self.problem.tensors, **self._named(point)}

    def _named(self, point: Tensor) -> Tensors:
        parts = torch.split(point, [shape.numel() for shape in self._shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self._shapes.items(), parts, strict=True)}


def _difference(ends: list[Tensor]) -> Tensor:
    """Return the difference over one unit of what was computed at its four points."""
    return torch.stack([factor * end for factor, end in zip(FACTORS, ends, strict=True)]).sum(0) / STEP
