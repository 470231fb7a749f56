"""Central differences of a probe's scalar by each element of a tensor: in one batched pass, or one by one."""

import warnings
from collections.abc import Callable
from itertools import product

import torch
from torch import Tensor

from rnnkit.plugin.resolve import reference_unroller
from rnnkit.testing.gradient_probe import GradientProbe

STEP = 1e-6
"""Half the distance between the two points of a difference."""

SAME = 1e-10
"""How far, relatively, the scalar of the batched pass may be from the unroller's own: by rounding only."""

VALUES = 1 << 25
"""Numbers that one batched pass may hold, roughly, all of its copies together."""

KEPT = {1: 8, 2: 32}
"""For each order, as many numbers as the states have are held for each step, and so many times."""

ALONG, OF_ITS_SIZE = 1e-7, 1e-6
"""How far a difference along a direction may be from the sum of those by its elements: absolute, for the root of their
number, and relative to their norm."""


class BatchedDifferences:
    """Differences of all elements of a tensor at once: the loop is run over a batch of copies, by `torch.func.vmap`.

    That takes a fraction of the time. Not every module can be run so (a branch on a value, an autograd.Function
    without a rule for it, a draw that would be another one): where it fails, or gives another scalar than the unroller
    does at the point itself, there are none. Nor are there where the module itself, moved in a random direction,
    changes otherwise: the copy may not know all uses of a tensor, such as one in a closure over the module.
    """

    def __init__(self, probe: GradientProbe, order: int) -> None:
        self.order, self.original = order, probe
        self.probe: GradientProbe | None = None
        try:
            with torch.set_grad_enabled(order == 2):
                self.expected = probe.scalar(order, create_graph=False).detach()
            self.probe = probe.copied(reference_unroller())
        except Exception:  # whatever somebody's cell may raise: the one that is not copied will tell
            self.probe = None

    def of(self, name: str) -> Tensor | None:
        """Return the differences by each element of the tensor of this name, in its shape; None if there are none."""
        if self.probe is None:
            return None
        try:
            with warnings.catch_warnings(), torch.set_grad_enabled(self.order == 2):
                warnings.simplefilter("error")  # such as that of an operation which is not batched
                differences = self._of(self.probe, name)
                return differences if differences is not None and self._holds(name, differences) else None
        except Exception:  # what cannot be batched raises all kinds, and may leave its wrappers in the copy
            self.probe = None
            return None

    def _of(self, probe: GradientProbe, name: str) -> Tensor | None:
        tensor = probe.tensors[name].detach()
        point = tensor.flatten()
        numbers_of = {key: each.numel() for key, each in probe.tensors.items()}
        kept = KEPT[self.order] * len(probe.tensors["input"]) * sum(numbers_of[state] for state in probe.states)
        copies = max(1, VALUES // (2 * (sum(numbers_of.values()) + kept)))
        parts = []
        numbers = torch.arange(point.numel(), device=tensor.device)
        for start in range(0, point.numel(), copies):
            places = numbers[start : start + copies]
            steps = STEP * (places[:, None] == numbers).to(point)
            points = torch.cat([point + steps, point - steps, point[None]])
            scalars = torch.func.vmap(self._scalar(probe, name), randomness="same")(
                points.view(-1, *tensor.shape)
            ).detach()
            if not torch.allclose(scalars[-1], self.expected, rtol=SAME, atol=SAME):
                return None
            right, left = scalars[: len(places)], scalars[len(places) : -1]
            distances = (points[: len(places)] - points[len(places) : -1]).sum(1)  # as the steps were rounded
            parts.append((right - left) / distances)
        return torch.cat(parts).view(tensor.shape) if parts else torch.empty_like(tensor)

    def _holds(self, name: str, differences: Tensor) -> bool:
        """Tell whether the module itself changes so along a random direction, by the unroller."""
        generator = torch.Generator().manual_seed(0)
        direction = torch.randn(differences.shape, dtype=differences.dtype, generator=generator).to(differences)
        parts = differences * direction
        error = _slope(self.original, self.original.tensors[name], direction, self.order) - parts.sum()
        return bool(error.abs() <= ALONG * parts.numel() ** 0.5 + OF_ITS_SIZE * parts.norm())

    def _scalar(self, probe: GradientProbe, name: str) -> Callable[[Tensor], Tensor]:
        """Return the scalar as a function of one tensor, made of what `torch.func` takes."""

        def loss(tensors: dict[str, Tensor]) -> Tensor:
            with probe.holding(tensors):
                return probe.loss()

        def combination(tensor: Tensor) -> Tensor:
            wanted = {key: value.detach() for key, value in probe.tensors.items() if value.requires_grad}
            return probe.weighed(torch.func.grad(loss)({**wanted, name: tensor}))

        return combination if self.order == 2 else lambda tensor: loss({name: tensor})


def differences_one_by_one(probe: GradientProbe, name: str, order: int) -> Tensor:
    """Return the differences by each element of the tensor of this name, in its shape, two runs each."""
    tensor = probe.tensors[name]
    differences = torch.empty_like(tensor.detach())
    direction = torch.zeros_like(differences)
    with torch.set_grad_enabled(order == 2):
        for index in product(*map(range, tensor.shape)):
            direction[index] = 1
            differences[index] = _slope(probe, tensor, direction, order)
            direction[index] = 0
    return differences


def _slope(probe: GradientProbe, tensor: Tensor, direction: Tensor, order: int) -> Tensor:
    """Return how the scalar changes along a direction, by a central difference; the tensor is as it was afterwards."""
    point, ends = tensor.detach().clone(), []
    points = point + STEP * direction, point - STEP * direction
    try:
        for moved in points:
            with torch.no_grad():
                tensor.copy_(moved)
            ends.append(probe.scalar(order, create_graph=False).detach())
    finally:
        with torch.no_grad():
            tensor.copy_(point)
    distance = ((points[0] - points[1]) * direction).sum() / direction.square().sum()  # as the steps were rounded
    return (ends[0] - ends[1]) / distance
