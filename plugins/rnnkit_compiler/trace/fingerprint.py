"""The fingerprint of a cell: equal for two cells whose steps are the same but for the values of their tensors."""

from collections.abc import Container, Hashable, Iterable, Iterator
from types import MethodType
from typing import Any

from torch import Tensor, nn

from rnnkit_compiler.trace.foreign_generators import KINDS, STATES
from rnnkit_compiler.trace.frozen import EXACT, Seen, Unfrozen, frozen, kind_of
from rnnkit_compiler.trace.held import form_of, is_ordinary
from rnnkit_compiler.trace.identity import Identity, identity
from rnnkit_compiler.trace.reach import Reach
from rnnkit_compiler.trace.torch_modules import FOR_ALL, attributes_of, hooks_of, tables_of

MISSING = object()


class Fingerprint:
    """What a step may depend on besides the values of parameters and buffers, found in one walk over the cell."""

    def __init__(self, cell: nn.Module) -> None:
        self.tensors: list[Tensor] = []
        """Parameters and buffers, module by module."""

        self.attributes: dict[str, Tensor] = {}
        """Other tensors that modules hold by name, by their paths."""

        self.beside: list[Tensor] = []
        """Tensors in containers, objects, globals and the like."""

        self.again: list[nn.Module] = []
        """Modules of the cell that are held there as well."""

        self.meets_itself = False
        """Whether a copy of the cell may come upon modules of the cell, or their tables, in what both hold."""

        self.has_hooks = any(FOR_ALL)
        """Whether a module that a step may call has hooks, which a recorded step would not call."""

        self.unseen = ""
        """What the cell holds whose changes cannot be seen, so that no recording may be kept; empty: nothing."""

        self.reach: Reach | None = None
        """What was walked; None: something may change unseen."""

        self._first: dict[int, int] = {}
        self._seen: Seen = {}
        self.key: Hashable = None
        """Equal for two cells whose steps are the same but for the values of their tensors."""

        try:
            own = self._module(cell, "")
            self.reach = reach = Reach(cell)
            self.has_hooks |= any(any(hooks_of(one)) for one in reach.outer)
            self.key = (own, (reach.key(self._seen), self._find_beside(cell)))
            held = (*self.tensors, *self.attributes.values(), *self.beside)
            drawing = next((value for _, value in self._seen.values() if isinstance(value, KINDS)), None)
            if drawing is not None and reach.names_any(STATES):
                self.unseen = f"the step may read the state of a {type(drawing).__name__} that the cell holds"
            if (place := reach.libraries.asks_for_grad) and has_grad(held):
                self.unseen = f"{place} may ask for the gradient of a parameter, which has one"
        except Unfrozen as reason:
            self.unseen = str(reason)

    @property
    def learns_elsewhere(self) -> bool:
        """Whether a step may read what learns by another way than as a parameter or buffer of the cell's modules.

        Who gives a copy of the cell other weights, to differentiate by those, would miss it.
        """
        again = (parameter for module in self.again for parameter in module.parameters())
        return any(tensor.requires_grad for tensor in (*self.attributes.values(), *self.beside, *again))

    def _find_beside(self, cell: nn.Module) -> Hashable:
        """Collect what was opened on the way; return which of it is held by another name as well."""
        own = {*map(id, cell.modules())}
        values = [value for _, value in self._seen.values()]
        self.beside = [value for value in values if is_ordinary(value)]
        self.again = [value for value in values if id(value) in own]
        tables = {id(table) for module in cell.modules() for table in tables_of(module)}
        self.meets_itself = bool(self.again) or not tables.isdisjoint(self._seen)
        names: dict[int, Hashable] = {**self._first}
        others = (*self.attributes.items(), *enumerate(self.beside))
        tied = ((name, names.setdefault(id(tensor), name)) for name, tensor in others)
        return tuple(pair for pair in tied if pair[0] is not pair[1])

    def _module(self, module: nn.Module, path: str) -> Hashable:
        own: list[object] = [kind_of(module)]
        self.has_hooks |= any(hooks_of(module))
        for name, value in attributes_of(module):
            own.append(name)
            own.append(_of_own_method(module, value) or self._attribute(path + name, value))
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                own.append(name)
                own.append(None if tensor is None else self._tensor(tensor))
        for name, child in module._modules.items():
            own.append(name)
            own.append(None if child is None else self._module(child, f"{path}{name}."))
        return tuple(own)

    def _attribute(self, path: str, value: Any) -> Hashable:
        if type(value) in EXACT:
            return (type(value), value)
        if is_ordinary(value):
            self.attributes[path] = value
            return (Tensor, form_of(value))
        return frozen(value, path.rpartition(".")[2], self._seen)

    def _tensor(self, tensor: Tensor) -> Hashable:
        """Describe a tensor; the same tensor under two names is told from two equal ones."""
        self.tensors.append(tensor)
        place = self._first.setdefault(id(tensor), len(self._first))
        return (place, form_of(tensor))


def _of_own_method(module: nn.Module, value: object) -> Hashable:
    """Describe a method of a module that is its attribute as well; those of a copy are the copy's."""
    is_own = isinstance(value, MethodType) and value.__self__ is module
    return (MethodType, identity(value.__func__)) if is_own else None  # type: ignore[attr-defined]


def has_grad(tensors: Iterable[Tensor]) -> bool:
    """Tell whether one of some parameters has a gradient."""
    return any(tensor.is_leaf and tensor.grad is not None for tensor in tensors)


BESIDE = ""
"""Stands among names of attributes for all that is not the cell's own."""


def changed_attribute(before: Hashable, after: Hashable) -> str:
    """Return the name of the first attribute in which the keys of two cells of one class differ; "" if in none.

    One that is new, or gone, is none that changes from call to call.
    """
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return ""
    found = [*_differing(before[0], after[0], "")]
    return found[0][0] if found and all(MISSING not in values for _, *values in found) else ""


def changed_numbers(before: Hashable, after: Hashable) -> tuple[str, ...]:
    """Name the attributes in which the keys of two cells of one class differ, if all of these are floats; else none."""
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        return ()
    found = [*_differing(before[0], after[0], "")]
    are_numbers = all(_is_of_number(one) and _is_of_number(other) for _, one, other in found)
    return tuple(path for path, *_ in found) if are_numbers else ()


def differences(before: Hashable, after: Hashable) -> Iterator[str]:
    """Name the attributes in which the keys of two cells of one class differ, `inner.scale` for one of a module."""
    if not (isinstance(before, tuple) and isinstance(after, tuple)):
        if before != after:
            yield BESIDE
        return
    yield from (path for path, *_ in _differing(before[0], after[0], ""))
    if before[1] != after[1]:
        yield BESIDE


def without(key: Hashable, paths: Container[str]) -> Hashable:
    """Return what a key says of a cell but for some attributes."""
    if not isinstance(key, tuple):
        return key
    return (_without(key[0], paths, ""), None if BESIDE in paths else key[1])


def _said(own: Any) -> dict[str, Any]:
    """Take apart what `_module` says of a module after its class: names and what they stand for in turn."""
    return dict(zip(own[1::2], own[2::2], strict=True))


def _differing(before: Any, after: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    """Name what differs, with what is said of it before and after; MISSING where it is not there."""
    old, new = _said(before), _said(after)
    for name in old | new:
        one, other = old.get(name, MISSING), new.get(name, MISSING)
        if one == other:
            continue
        if _is_of_module(one) and _is_of_module(other) and one[0] == other[0]:
            yield from _differing(one, other, f"{path}{name}.")
        else:
            yield path + name, one, other


def _without(own: Any, paths: Container[str], path: str) -> Hashable:
    kept = ((name, value) for name, value in _said(own).items() if path + name not in paths)
    inside = ((name, _without(v, paths, f"{path}{name}.") if _is_of_module(v) else v) for name, v in kept)
    return (own[0], *inside)


def _is_of_number(said: Any) -> bool:
    return isinstance(said, tuple) and bool(said) and said[0] is float


def _is_of_module(said: Any) -> bool:
    return isinstance(said, tuple) and bool(said) and isinstance(said[0], Identity) and said[0].is_class_of(nn.Module)
