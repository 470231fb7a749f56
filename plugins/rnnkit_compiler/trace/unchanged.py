"""Whether a cell is as it was: told by the identity of what it holds, in a fraction of the time of a fingerprint."""

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from itertools import chain
from operator import is_, methodcaller
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit_compiler.trace.classes import containers_of
from rnnkit_compiler.trace.frozen import PLAIN_TYPES, frozen
from rnnkit_compiler.trace.reach import Reach, Reading
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
        self._modules = list(cell.modules())
        self._kinds = [*map(type, self._modules)]
        reach = Reach(cell)
        self._tables = [*self._tables_of_modules(), *map(vars, reach.classes)]
        self._sizes = [*map(len, self._tables)]
        self._held = [*chain.from_iterable(map(_values, self._tables))]
        self._hooks = [*FOR_ALL, *(hooks for module in self._modules for hooks in hooks_of(module))]
        self._globals = [(table.get, names) for table, names in reach.lookups]
        self._named = [*self._look_up_globals()]
        self._tensors = [*self._tensors_of_modules()]
        self._complex = [tensor for tensor in self._tensors if tensor.is_complex()]
        self._places = self._look_up_places()
        self._mutable = [*self._mutable_values(reach)]
        self._dtype = torch.get_default_dtype()

    def __call__(self) -> bool:
        """Tell whether all is as it was."""
        return (
            [*map(len, self._tables)] == self._sizes
            and all(map(is_, chain.from_iterable(map(_values, self._tables)), self._held))
            and all(map(is_, map(type, self._modules), self._kinds))
            and not any(self._hooks)
            and all(map(is_, self._look_up_globals(), self._named))
            and self._look_up_places() == self._places
            and torch.get_default_dtype() is self._dtype
            and all(frozen(read(), name) == known for read, name, known in self._mutable)
        )

    def _tables_of_modules(self) -> Iterator[dict[str, Any]]:
        for module in self._modules:
            yield vars(module)
            yield from (getattr(module, name) for name in TABLES)

    def _tensors_of_modules(self) -> Iterator[Tensor]:
        for module in self._modules:
            yield from (t for name in TABLES[:2] for t in getattr(module, name).values() if t is not None)

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

    def _mutable_values(self, reach: Reach) -> Iterator[tuple[Callable[[], Any], str, Hashable]]:
        """Say how to read what may change in place, by what name, and what it holds now."""
        of_classes = (pair for kind in reach.classes for pair in containers_of(kind))
        of_modules = (pair for module in self._modules for pair in attributes_of(module))
        held = ((name, value) for name, value in (*of_modules, *of_classes, *reach.named()) if _may_change(value))
        readings: list[Reading] = [(partial(_itself, value), name) for name, value in held]
        for read, name in (*readings, *reach.readings()):
            yield read, name, frozen(read(), name)


def _may_change(value: Any) -> bool:
    """Tell whether what a value holds may change while it stays the same."""
    if type(value) in (tuple, frozenset):
        return any(map(_may_change, value))
    return type(value) not in PLAIN_TYPES


def _itself(value: Any) -> Any:
    return value
