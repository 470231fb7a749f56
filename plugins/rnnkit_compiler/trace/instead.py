"""The value of one tensor with the gradient of another: what writing in place under `no_grad` makes of a tensor."""

from typing import Any

import torch
from torch import Tensor

NAME = "rnnkit::instead"


class _Instead(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, source: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, grad


class Operator:
    """Stands among aten's operators in a recording."""

    _schema = torch._C.parse_schema(f"{NAME}(Tensor value, Tensor source) -> Tensor")
    tags = frozenset((torch.Tag.pointwise,))

    def __call__(self, value: Tensor, source: Tensor) -> Tensor:
        """Return `value`, whose gradient goes to `source`."""
        result: Tensor = _Instead.apply(value, source)  # type: ignore[no-untyped-call]
        return result

    def __str__(self) -> str:
        return "instead"


instead = Operator()
"""The one object."""
