"""Whether a cell is as it was: told by the identity of what it holds, in a fraction of the time of a fingerprint."""

from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from itertools import chain
from operator import is_, methodcaller
from types import FunctionType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from rnnkit_compiler.trace.fingerprint import HOOKS, ignored
from rnnkit_compiler.trace.frozen import PLAIN, frozen
from rnnkit_compiler.trace.outer_values import containers_in, names_in, own_bases, reached_by, tables_of

TABLES = ("_parameters", "_buffers", "_modules")

_values = methodcaller("values")

_Read: TypeAlias = tuple[Callable[[], Any], str]
"""How to read something, and its name."""


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
        self._tables = [*self._tables_of_modules(), *map(vars, self._classes())]
        self._sizes = [*map(len, self._tables)]
        self._held = [*chain.from_iterable(map(_values, self._tables))]
        self._hooks = [getattr(module, name) for module in self._modules for name in HOOKS]
        functions = list(dict.fromkeys(chain.from_iterable(map(reached_by, self._modules))))
        self._globals = [(table.get, names_in(f.__code__)) for f in functions for table in tables_of(f)]
        self._named = [*self._look_up_globals()]
        self._tensors = [*self._tensors_of_modules()]
        self._complex = [tensor for tensor in self._tensors if tensor.is_complex()]
        self._places = self._look_up_places()
        self._mutable = [*self._mutable_values(functions)]
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

    def _classes(self) -> list[type]:
        return list(dict.fromkeys(chain.from_iterable(map(own_bases, self._kinds))))

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

    def _mutable_values(self, functions: list[FunctionType]) -> Iterator[tuple[Callable[[], Any], str, Hashable]]:
        """Say how to read what may change in place, by what name, and what it holds now."""
        for read, name in (*self._of_modules(), *self._of_classes(), *_of_globals(functions), *_of_closures(functions)):
            yield read, name, frozen(read(), name)

    def _of_modules(self) -> Iterator[_Read]:
        for module in self._modules:
            skipped = ignored(module)
            own = ((n, v) for n, v in vars(module).items() if n not in skipped and not isinstance(v, PLAIN))
            yield from ((partial(_itself, value), name) for name, value in own)

    def _of_classes(self) -> Iterator[_Read]:
        for kind in self._classes():
            yield from (
                (partial(_itself, v), n) for n, v in containers_in(vars(kind)).items() if not n.startswith("__")
            )


def _of_globals(functions: Iterable[FunctionType]) -> Iterator[_Read]:
    for function in functions:
        for table in tables_of(function):
            named = {name: table.get(name) for name in names_in(function.__code__)}
            yield from ((partial(_itself, value), name) for name, value in containers_in(named).items())


def _of_closures(functions: Iterable[FunctionType]) -> Iterator[_Read]:
    for function in functions:
        given = (name for name in ("__defaults__", "__kwdefaults__") if getattr(function, name))
        yield from ((partial(getattr, function, name), function.__name__) for name in given)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        yield from ((partial(getattr, cell, "cell_contents"), name) for name, cell in cells if name != "__class__")


def _itself(value: Any) -> Any:
    return value
