"""Held tensors: neither parameters nor buffers, but in attributes, lists, objects or globals that a step reads."""

from collections.abc import Callable, Hashable
from weakref import ref

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

ORDINARY = (Tensor, torch.nn.Parameter, torch.nn.Buffer)


class Held(str):
    """The path of a tensor that is told by which it is, not by where: a list, a closure or an object has it.

    Args:
        name: what it is called.
        tensor: which it is; it is not kept alive.
    """

    _tensor: Callable[[], Tensor | None]

    def __new__(cls, name: str, tensor: Tensor) -> "Held":
        """Return the name, which knows the tensor."""
        made = super().__new__(cls, name)
        made._tensor = ref(tensor)
        return made

    @property
    def tensor(self) -> Tensor:
        """Return the tensor; raises KeyError where it is gone, and with it every cell that held it."""
        tensor = self._tensor()
        if tensor is None:
            raise KeyError(self)
        return tensor


def is_ordinary(value: object) -> bool:
    """Tell whether a value is a tensor of numbers that lie in memory one by one, as those of parameters do."""
    return (
        type(value) in ORDINARY
        and isinstance(value, Tensor)
        and not is_lazy(value)
        and value.layout is torch.strided
        and not (value.is_meta or value.is_quantized or value.is_neg() or value.is_conj() or value.is_inference())
    )


def form_of(tensor: Tensor) -> Hashable:
    """Return what a recording relies on of a tensor, whatever its numbers are."""
    shape = None if is_lazy(tensor) else tensor.shape
    return (shape, tensor.dtype, tensor.device, tensor.requires_grad, tensor.layout)
