"""The fingerprint of a cell: equal for two cells whose steps are the same but for the values of their tensors."""

from collections.abc import Hashable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)

EXACT = (bool, int, str, type(None))
"""Types whose equal values are the same to a step."""

HOOKS = frozenset(("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"))

IGNORED = frozenset(
    (
        *HOOKS,
        *("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_is_full_backward_hook"),
        *("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs"),
        *("_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
    )
)
"""What torch keeps in a module and a step does not read."""


class Identity:
    """An object that is equal to itself alone; held, so that no other can take its address."""

    __slots__ = ("held",)

    def __init__(self, held: object) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Identity) and other.held is self.held

    def __hash__(self) -> int:
        return id(self.held)


class Fingerprint:
    """What a step may depend on besides the values of parameters and buffers, found in one walk over the cell."""

    def __init__(self, cell: nn.Module) -> None:
        self.tensors: list[Tensor] = []
        """Parameters and buffers, module by module."""

        self.has_hooks = False
        """Whether a module inside of the cell has hooks, which a recorded step would not call."""

        self._first: dict[int, int] = {}
        self.key: Hashable = self._module(cell)
        """Equal for two cells whose steps are the same but for the values of their tensors."""

    def _module(self, module: nn.Module) -> Hashable:
        own: list[object] = [type(module), _surroundings(type(module))]
        for name, value in module.__dict__.items():
            if name in HOOKS:
                self.has_hooks |= bool(value)
            elif name not in IGNORED:
                own.append(name)
                own.append((type(value), value) if type(value) in EXACT else _frozen(value, 3))
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                own.append(name)
                own.append(None if tensor is None else self._tensor(tensor))
        for name, child in module._modules.items():
            own.append(name)
            own.append(None if child is None else self._module(child))
        return tuple(own)

    def _tensor(self, tensor: Tensor) -> Hashable:
        """Describe a tensor; the same tensor under two names is told from two equal ones."""
        self.tensors.append(tensor)
        place = self._first.setdefault(id(tensor), len(self._first))
        shape = None if is_lazy(tensor) else tensor.shape
        return (place, shape, tensor.dtype, tensor.device)


def _surroundings(kind: type[nn.Module]) -> Hashable:
    """Describe what the code of a step reads beside the module: plain globals, class attributes and closures."""
    project = getattr(kind, "project", None)
    found = _around(kind, getattr(kind, "step", None) or kind.forward)
    return found if project is None else (found, _around(kind, project))


def _around(kind: type[nn.Module], function: Any) -> Hashable:
    code = getattr(function, "__code__", None)
    if code is None:
        return Identity(function)
    found: list[object] = [Identity(code)]
    outside = function.__globals__
    for name in code.co_names:
        for value in (outside.get(name), getattr(kind, name, None)):
            if value is not None and isinstance(value, PLAIN):
                found.append(_frozen(value, 0))
    for cell in function.__closure__ or ():
        found.append(_frozen(cell.cell_contents, 3))
    return tuple(found)


def _frozen(value: Any, depth: int) -> Hashable:
    if isinstance(value, PLAIN):
        return (type(value), repr(value) if isinstance(value, float) else value)
    if depth and isinstance(value, list | tuple):
        return (type(value), *(_frozen(item, depth - 1) for item in value))
    if depth and isinstance(value, dict):
        return (type(value), *((_frozen(key, 0), _frozen(item, depth - 1)) for key, item in value.items()))
    if depth and type(value).__module__ != "builtins" and not callable(value) and hasattr(value, "__dict__"):
        return (type(value), Identity(value), _frozen(vars(value), depth - 1))
    return Identity(value)
