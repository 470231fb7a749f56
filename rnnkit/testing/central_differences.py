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

VALUES = 1 << 22
"""Numbers that the tensors of one batched pass may have, all of its copies together."""


class BatchedDifferences:
    """Differences of all elements of a tensor at once: the loop is run over a batch of copies, by `torch.func.vmap`.

    That takes a thirtieth of the time. Not every module can be run so (a branch on a value, an autograd.Function
    without a rule for it, a draw that would be another one): where it fails, or gives another scalar than the unroller
    does at the point itself, there are none.
    """

    def __init__(self, probe: GradientProbe, order: int) -> None:
        self.order = order
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
                return self._of(self.probe, name)
        except Exception:  # what cannot be batched raises all kinds, and may leave its wrappers in the copy
            self.probe = None
            return None

    def _of(self, probe: GradientProbe, name: str) -> Tensor | None:
        tensor = probe.tensors[name].detach()
        point = tensor.flatten()
        copies = max(1, VALUES // (2 * sum(each.numel() for each in probe.tensors.values())))
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
    with torch.set_grad_enabled(order == 2):
        for index in product(*map(range, tensor.shape)):
            differences[index] = _difference(probe, tensor, index, order)
    return differences


def _difference(probe: GradientProbe, tensor: Tensor, index: tuple[int, ...], order: int) -> Tensor:
    """Return the central difference by one element, which is as it was afterwards."""
    value = tensor[index].item()
    ends = []
    for moved in (value + STEP, value - STEP, value):
        with torch.no_grad():
            tensor[index] = moved
        if moved != value:
            ends.append((moved, probe.scalar(order, create_graph=False).detach()))
    (right, upper), (left, lower) = ends
    return (upper - lower) / (right - left)
