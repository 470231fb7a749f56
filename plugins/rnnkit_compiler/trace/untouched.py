"""Tensors that a trial of a step must leave as they are: where they lie, whether they learn, and their gradients."""

from collections.abc import Iterable
from typing import Any

from torch import Tensor

from rnnkit_compiler.trace.recording import NotRecordable


class Untouched:
    """Puts back what is changed of tensors past their operations while it is entered, and raises NotRecordable then.

    Args:
        tensors: that a step is given.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._known = [(tensor, tensor.detach(), _described(tensor)) for tensor in tensors]

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        changed = [each for each in self._known if not _are_same(_described(each[0]), each[2])]
        for tensor, data, (_, learns, gradient) in changed:
            tensor.data = data
            if tensor.is_leaf:
                tensor.requires_grad_(learns)
                tensor.grad = gradient
        if changed and kind is None:
            raise NotRecordable("step() exchanges the data or the gradient of a tensor that others see")


def _described(tensor: Tensor) -> tuple[Any, bool, Tensor | None]:
    form = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
    return (form, tensor.requires_grad, tensor.grad if tensor.is_leaf else None)


def _are_same(one: tuple[Any, bool, Tensor | None], other: tuple[Any, bool, Tensor | None]) -> bool:
    return one[:2] == other[:2] and one[2] is other[2]
