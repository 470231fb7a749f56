"""Whether a cell is as it was: told by the identity of what it holds, in a fraction of the time of a fingerprint."""

from collections.abc import Hashable, Iterable, Iterator
from itertools import chain
from operator import call, is_, methodcaller
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit_compiler.trace.classes import containers_of
from rnnkit_compiler.trace.fingerprint import Fingerprint, has_grad
from rnnkit_compiler.trace.frozen import PLAIN_TYPES, Seen, Unfrozen, frozen
from rnnkit_compiler.trace.reach import Reach
from rnnkit_compiler.trace.snapshot import Snapshot
from rnnkit_compiler.trace.torch_modules import FOR_ALL, attributes_of, hooks_of

TABLES = ("_parameters", "_buffers", "_modules")

_values = methodcaller("values")


class Unchanged:
    """Remembers a cell; called, tells whether its step is the same: by attributes, classes, globals, places of tensors.

    The numbers in tensors are not remembered. It sees all that a `Fingerprint` sees, and may see a change where there
    is none.

    Args:
        cell: whose fingerprint tells of nothing unseen.
    """

    def __init__(self, cell: nn.Module) -> None:
        fingerprint = Fingerprint(cell)
        reach = fingerprint.reach or Reach(cell)
        self._modules = [*cell.modules()]
        self._kinds = [*map(type, self._modules)]
        self._tables = [*self._tables_of_modules((*self._modules, *reach.outer))]
        self._classes = [*map(vars, reach.classes)]
        self._attributes = [*map(tuple, self._classes)]
        self._sizes = [*map(len, self._tables)]
        self._held = [*chain.from_iterable(map(_values, self._tables))]
        self._hooks = [*FOR_ALL, *(hooks for module in (*self._modules, *reach.outer) for hooks in hooks_of(module))]
        of_classes = [(vars(kind), names) for kind, names in reach.read_of_classes()]
        self._globals = [(table.get, names) for table, names in (*reach.lookups, *of_classes)]
        self._named = [*self._look_up_globals()]
        self._tensors = [*fingerprint.tensors, *fingerprint.attributes.values(), *fingerprint.beside]
        self._complex = [tensor for tensor in self._tensors if tensor.is_complex()]
        self._asks_for_grad = bool(reach.libraries.asks_for_grad)
        self._places = self._look_up_places()
        readings = [*reach.readings()]
        self._reads, self._names = [read for read, _ in readings], [name for _, name in readings]
        self._given = [*map(call, self._reads)]
        self._mutable = [*self._mutable_values(reach)]
        self._known = self._frozen()
        self._snapshot = self._taken()
        self._dtype = torch.get_default_dtype()

    def __call__(self) -> bool:
        """Tell whether all is as it was."""
        try:
            return self._is_same()
        except Unfrozen:  # what cannot be compared may be another
            return False

    def _is_same(self) -> bool:
        return (
            [*map(len, self._tables)] == self._sizes
            and all(map(is_, chain.from_iterable(map(_values, self._tables)), self._held))
            and all(map(is_, map(type, self._modules), self._kinds))
            and not any(self._hooks)
            and all(map(is_, self._look_up_globals(), self._named))
            and self._look_up_places() == self._places
            and not (self._asks_for_grad and has_grad(self._tensors))
            and torch.get_default_dtype() is self._dtype
            and [*map(tuple, self._classes)] == self._attributes
            and ((all(map(is_, map(call, self._reads), self._given)) and self._snapshot()) or self._is_equal())
        )

    def _is_equal(self) -> bool:
        """Tell whether what may change in place is equal to what it was; from then on it is known by identity again."""
        if self._frozen() != self._known:
            return False
        self._given = [*map(call, self._reads)]
        self._snapshot = self._taken()
        return True

    def _frozen(self) -> list[Hashable]:
        seen: Seen = {}
        read = zip(self._names, map(call, self._reads), strict=True)
        return [frozen(value, name, seen) for name, value in (*read, *self._mutable)]

    def _taken(self) -> Snapshot:
        return Snapshot((*self._given, *(value for _, value in self._mutable)))

    def _tables_of_modules(self, modules: Iterable[nn.Module]) -> Iterator[dict[str, Any]]:
        for module in modules:
            yield vars(module)
            yield from (getattr(module, name) for name in TABLES)

    def _look_up_globals(self) -> Iterator[Any]:
        return chain.from_iterable(map(get, names) for get, names in self._globals)

    def _look_up_places(self) -> list[Any]:
        """Say where the tensors lie, and how: an exchange of `.data` changes no object."""
        tensors = self._tensors
        return [
            *map(Tensor.data_ptr, tensors),
            *map(Tensor.size, tensors),
            *map(Tensor.stride, tensors),
            *map(Tensor.is_neg, tensors),
            *map(Tensor.is_conj, self._complex),
            *[tensor.dtype for tensor in tensors],
            *[tensor.requires_grad for tensor in tensors],
        ]

    def _mutable_values(self, reach: Reach) -> Iterator[tuple[str, Any]]:
        """Give what may change in place, by name."""
        of_classes = (pair for kind in reach.classes for pair in containers_of(kind))
        of_modules = (pair for module in self._modules for pair in attributes_of(module))
        held = (*of_modules, *of_classes, *reach.named())
        yield from ((name, value) for name, value in held if _may_change(value))


def _may_change(value: Any) -> bool:
    """Tell whether what a value holds may change while it stays the same."""
    if type(value) in (tuple, frozenset):
        return any(map(_may_change, value))
    return type(value) not in PLAIN_TYPES and not isinstance(value, Tensor)
