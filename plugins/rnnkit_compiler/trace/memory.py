"""Who sees which memory: what overwrites a tensor in place becomes operations that make new ones.

Every tensor is a chain of views of a root. What is written through one of them waits at the root; whoever reads
another is made again, from the root with the writes in it. So nothing is noted of memory that nobody reads again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import NotRecordable, Ref
from rnnkit_compiler.trace.scattered import back_from, of_complex

aten = torch.ops.aten

RESHAPES = frozenset(("view", "_reshape_alias", "unsqueeze", "squeeze"))
"""Views that have all elements of what they are of, in the same order."""

Emit = Callable[[Any, tuple[Any, ...], dict[str, Any]], list[int]]
"""Notes a call of an operator with arguments, and returns the numbers of its results."""


class View(NamedTuple):
    """One step from a tensor to a view of it."""

    operator: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    """Of the operation, behind its first argument; no tensors."""

    place: int
    """Which result of the operation it is."""

    @property
    def name(self) -> str:
        """Name the operation without its overload."""
        return str(self.operator._schema.name).removeprefix("aten::")

    def argument(self, name: str) -> Any:
        """Return an argument of the operation."""
        schema = self.operator._schema.arguments
        given = dict(zip((argument.name for argument in schema[1:]), self.args, strict=False)) | self.kwargs
        return given.get(name, next(a.default_value for a in schema if a.name == name))


class Write(NamedTuple):
    """What a view was overwritten with."""

    views: tuple[View, ...]
    number: int


@dataclass(eq=False)
class Root:
    """A tensor that is no view of another: what its memory holds, by number, and what was written to it since."""

    number: int
    tensor: Tensor
    is_given: bool
    """Whether the step must not overwrite it."""

    version: int = 0
    writes: list[Write] = field(default_factory=list)
    lost: str = ""
    """Why nobody may read it any more."""


@dataclass
class Alias:
    """A tensor as a chain of views of a root, and the version of it that it was read at last."""

    tensor: Tensor
    root: Root
    views: tuple[View, ...]
    version: int


class Memory:
    """All tensors of a recording, by what they are views of.

    Args:
        emit: notes a call.
        shapes: of the recording's tensors, by number.
        dtypes: of these.
    """

    def __init__(self, emit: Emit, shapes: Sequence[tuple[int, ...]], dtypes: Sequence[torch.dtype]) -> None:
        self._emit, self._shapes, self._dtypes = emit, shapes, dtypes
        self._aliases: dict[int, Alias] = {}
        self._roots: dict[int, list[Root]] = {}
        """By the address of their storage."""

    def enter(self, tensor: Tensor, number: int, is_given: bool) -> None:
        """Note a tensor that is no view of another, or of which nobody says so."""
        root = Root(number, tensor, is_given)
        self._aliases[id(tensor)] = Alias(tensor, root, (), 0)
        self._roots.setdefault(_address(tensor), []).append(root)

    def enter_view(self, tensor: Tensor, base: Tensor, view: View) -> None:
        """Note a view of another tensor."""
        alias = self._aliases[id(base)]
        self._aliases[id(tensor)] = Alias(tensor, alias.root, (*alias.views, view), alias.root.version)

    def reshaped(self, tensor: Tensor, before: Tensor, view: View) -> None:
        """Note that a tensor has become a view of what it was, for which `before` stands from now on."""
        alias = self._aliases[id(tensor)]
        if alias.root.tensor is tensor:
            alias.root.tensor = before
        alias.views = (*alias.views, view)

    def copied(self, target: Tensor, source: Ref) -> int:
        """Note what `copy_` makes of a tensor; return its number."""
        shape, dtype = tuple(target.shape), target.dtype
        if self._shapes[source.number] != shape:
            source = Ref(self._emit(aten.expand.default, (source, list(shape)), {})[0])
        if self._dtypes[source.number] != dtype:
            return self._emit(aten._to_copy.default, (source,), {"dtype": dtype})[0]
        return self._emit(aten.clone.default, (source,), {})[0]

    def is_stale(self, tensor: Tensor) -> bool:
        """Tell whether a tensor has to be made again before it is read: its memory was written to by another.

        Raises:
            NotRecordable: what it has become cannot be said by operations.
        """
        alias = self._aliases[id(tensor)]
        if alias.root.lost:
            raise NotRecordable(alias.root.lost)
        return alias.version < alias.root.version

    def again(self, tensor: Tensor) -> int:
        """Return the number of a stale tensor, made again from its root."""
        alias = self._aliases[id(tensor)]
        self._flush(alias.root)
        alias.version = alias.root.version
        return self._through(alias.views, alias.root.number)[-1]

    def _flush(self, root: Root) -> None:
        """Put into a root what was written to it."""
        for write in root.writes:
            root.number = self._with(write, root.number)
        root.writes.clear()

    def overwrite(self, tensor: Tensor, name: str) -> Root:
        """Note that an operation of this name is about to overwrite a tensor; return its root.

        Raises:
            NotRecordable: the step was given it.
        """
        alias = self._aliases[id(tensor)]
        root, seen = alias.root, f"step() calls {name} on a tensor that others see"
        others = [other for other in self._roots[_address(tensor)] if other is not root]
        if any(other.is_given for other in (root, *others)):
            raise NotRecordable(seen)
        for other in others:
            if _overlap(tensor, other.tensor):
                other.lost = seen
        detached = any(view.name == "detach" for view in alias.views)
        if detached or (root.tensor.requires_grad and not tensor.requires_grad):  # autograd knows nothing of the root
            self._part(alias, seen)
        return alias.root

    def _part(self, alias: Alias, seen: str) -> None:
        """Give views that autograd follows no further a root of their own; what else sees the memory is lost."""
        root = alias.root
        cuts = [k for k, view in enumerate(alias.views, 1) if view.name == "detach"]
        prefix = alias.views[: cuts[-1] if cuts else None]
        self._flush(root)
        own = Root(self._through(prefix, root.number)[-1], alias.tensor, False, root.version)
        for other in self._aliases.values():
            if other.root is root and other.views[: len(prefix)] == prefix:
                if len(other.views) == len(prefix):
                    own.tensor = other.tensor
                other.root, other.views = own, other.views[len(prefix) :]
        self._roots[_address(alias.tensor)].append(own)
        root.lost = seen

    def overwritten(self, tensor: Tensor, number: int) -> None:
        """Note the number of what a tensor was overwritten with."""
        alias = self._aliases[id(tensor)]
        root = alias.root
        root.version += 1
        alias.version = root.version
        if root.writes and root.writes[-1].views is alias.views:
            root.writes.pop()
        root.writes.append(Write(alias.views, number))

    def _through(self, views: tuple[View, ...], number: int) -> list[int]:
        """Note a chain of views; return the numbers on the way, the first one included."""
        numbers = [number]
        for view in views:
            numbers.append(self._emit(view.operator, (Ref(numbers[-1]), *view.args), view.kwargs)[view.place])
        return numbers

    def _with(self, write: Write, root: int) -> int:
        """Return what a root is with a view of it replaced."""
        number = write.number
        if write.views:
            bases = self._through(write.views[:-1], root)
            for view, base in zip(reversed(write.views), reversed(bases), strict=True):
                number = self._scattered(view, base, number)
        return number

    def _scattered(self, view: View, base: int, number: int) -> int:
        """Return a tensor with a view of it replaced, all by number.

        Raises:
            NotRecordable: there is no operation for it.
        """
        if view.name == "alias":
            return number
        operator: Any = None
        words: list[Any] = [Ref(base), Ref(number)]
        if view.name in RESHAPES:
            operator, words = aten.view.default, [Ref(number), list(self._shapes[base])]
        elif view.name in ("t", "transpose"):
            operator, words = view.operator, [Ref(number), *view.args]
        elif view.name == "permute":
            dims = [dim % len(self._shapes[base]) for dim in view.argument("dims")]
            operator, words = aten.permute.default, [Ref(number), [dims.index(k) for k in range(len(dims))]]
        elif view.name in ("select", "unbind"):
            index = view.place if view.name == "unbind" else view.argument("index")
            operator, words = aten.select_scatter.default, [*words, view.argument("dim"), index]
        elif view.name in ("slice", "split", "split_with_sizes"):
            operator, words = aten.slice_scatter.default, [*words, *_bounds(view)]
        elif view.name == "diagonal":
            dims = [view.argument(word) for word in ("offset", "dim1", "dim2")]
            operator, words = aten.diagonal_scatter.default, [*words, *dims]
        elif view.name in ("view_as_real", "view_as_complex"):
            operator, words = back_from(view.name), [Ref(number)]
        if operator is None:
            raise NotRecordable(f"step() overwrites a tensor through {view.name}, while others see it")
        if self._dtypes[base].is_complex:
            operator = of_complex(operator)
        return self._emit(operator, tuple(words), {})[0]


def _bounds(view: View) -> list[Any]:
    """Return the dimension, start, stop and step of a piece."""
    if view.name == "slice":
        return [view.argument(word) for word in ("dim", "start", "end", "step")]
    sizes = view.argument("split_size" if view.name == "split" else "split_sizes")
    start = view.place * sizes if view.name == "split" else sum(sizes[: view.place])
    return [view.argument("dim"), start, start + (sizes if view.name == "split" else sizes[view.place]), 1]


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _overlap(one: Tensor, other: Tensor) -> bool:
    """Tell whether two tensors of one storage have an element in common."""
    size = max(_last(one), _last(other))
    seen = torch.zeros(size, dtype=torch.bool)
    _elements(seen, one).fill_(True)
    return bool(_elements(seen, other).any())


def _last(tensor: Tensor) -> int:
    """Return the number of elements of a storage up to the last one that a tensor has."""
    if not tensor.numel():
        return 0
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    return int(tensor.storage_offset()) + sum((size - 1) * stride for size, stride in steps) + 1


def _elements(storage: Tensor, tensor: Tensor) -> Tensor:
    return storage.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset() if tensor.numel() else 0)
