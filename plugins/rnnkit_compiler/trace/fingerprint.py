"""The fingerprint of a cell: equal for two cells whose steps are the same but for the values of their tensors."""

from collections.abc import Hashable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnkit_compiler.trace.frozen import EXACT, Seen, Unfrozen, frozen, kind_of
from rnnkit_compiler.trace.identity import Identity
from rnnkit_compiler.trace.reach import Reach
from rnnkit_compiler.trace.torch_modules import FOR_ALL, attributes_of, hooks_of


class Fingerprint:
    """What a step may depend on besides the values of parameters and buffers, found in one walk over the cell."""

    def __init__(self, cell: nn.Module) -> None:
        self.tensors: list[Tensor] = []
        """Parameters and buffers, module by module."""

        self.has_hooks = any(FOR_ALL)
        """Whether a module inside of the cell has hooks, which a recorded step would not call."""

        self.unseen = ""
        """What the cell holds whose changes cannot be seen, so that no recording may be kept; empty: nothing."""

        self._first: dict[int, int] = {}
        self._seen: Seen = {}
        self.key: Hashable = None
        """Equal for two cells whose steps are the same but for the values of their tensors."""

        try:
            own, reach = self._module(cell), Reach(cell)
            self.key = (own, reach.key(self._seen))
            if (place := reach.libraries.asks_for_grad) and has_grad(self.tensors):
                self.unseen = f"{place} may ask for the gradient of a parameter, which has one"
        except Unfrozen as reason:
            self.unseen = str(reason)

    def _module(self, module: nn.Module) -> Hashable:
        own: list[object] = [kind_of(module)]
        self.has_hooks |= any(hooks_of(module))
        for name, value in attributes_of(module):
            own.append(name)
            own.append((type(value), value) if type(value) in EXACT else frozen(value, name, self._seen))
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
        return (place, shape, tensor.dtype, tensor.device, tensor.requires_grad)


def has_grad(tensors: Iterable[Tensor]) -> bool:
    """Tell whether one of some parameters has a gradient."""
    return any(tensor.is_leaf and tensor.grad is not None for tensor in tensors)


def changed_attribute(before: Hashable, after: Hashable) -> str:
    """Return the name of the first attribute in which the keys of two cells of one class differ; "" if in none."""
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return ""
    return _changed(before[0], after[0], "")


def _changed(before: Any, after: Any, path: str) -> str:
    """Compare what `_module` says of two modules: the class, and then names and what they stand for in turn."""
    if before[0] != after[0] or before[1::2] != after[1::2]:
        return ""
    for name, old, new in zip(before[1::2], before[2::2], after[2::2], strict=True):
        if old == new:
            continue
        is_module = isinstance(old, tuple) and isinstance(new, tuple) and _is_of_module(old) and _is_of_module(new)
        return _changed(old, new, f"{path}{name}.") if is_module else path + name
    return ""


def _is_of_module(said: tuple[Any, ...]) -> bool:
    return bool(said) and isinstance(said[0], Identity) and said[0].is_class_of(nn.Module)
