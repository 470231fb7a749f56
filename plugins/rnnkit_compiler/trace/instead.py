"""The value of one tensor with the gradient of another: what writing in place under `no_grad` makes of a tensor."""

from collections.abc import Callable, Collection
from typing import Any

import torch
from torch import Tensor

NAME = "rnnkit::instead"


class Operator:
    """Stands among aten's operators in a recording.

    Args:
        schema: of its call, as aten has it, without what it returns: one tensor.
        function: what it does.
        tags: what torch would say of it.
    """

    def __init__(
        self, schema: str, function: Callable[..., Any], tags: Collection[torch.Tag] = (torch.Tag.pointwise,)
    ) -> None:
        self._schema = torch._C.parse_schema(f"{schema} -> Tensor")
        self._function, self.tags = function, frozenset(tags)

    def __call__(self, *arguments: Any) -> Tensor:
        """Return what the function makes of tensors and other arguments."""
        result: Tensor = self._function(*arguments)
        return result

    def __str__(self) -> str:
        return str(self._schema.name).partition("::")[2]


class _Instead(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, source: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, grad


instead = Operator(f"{NAME}(Tensor value, Tensor source)", _Instead.apply)
"""Returns `value`, whose gradient goes to `source`."""
