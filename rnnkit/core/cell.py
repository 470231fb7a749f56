"""The cell: what is stepped. State in, state out, in plain tensor operations."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from types import FunctionType
from typing import Any, ClassVar, TypeAlias

import torch
from torch import Tensor, nn

from rnnkit.core.cell_view import cell_html
from rnnkit.core.reserved_names import Guarded
from rnnkit.errors import KindError, ShapeError, check_whole

State: TypeAlias = tuple[Tensor, ...]
"""The recurrent state: one tensor (B, ...) for each of the cell's `state_names`; a tuple even for one."""

Projected: TypeAlias = "Tensor | tuple[Projected, ...]"
"""What `Cell.project` returns: (T, B, P), or a tuple of tensors (T, B, ...), nested if need be."""


class Cell(Guarded, ABC):
    """One step of a recurrence, written in tensor operations that autograd can differentiate.

    A cell is pure: tensors in, tensors out; nothing in place on its inputs, no branch on tensor values,
    rows of the batch independent of each other, and all randomness drawn in `project`. It never mentions
    device or dtype: whoever builds it does so in the right context. `rnnkit.testing.check_cell` tests each
    of these promises.

    A cell whose weight_ih, weight_hh, bias_ih and bias_hh are blocks of `hidden_size` rows may say so in its class, for
    `rnnkit.init` and `rnnkit.inspection`: `gates`, the names of the blocks in their order; `forget_gate`, which of them
    keeps the state when it is open; `input_gate`, which of them lets new input in, if it is another. Elsewhere these
    names are free.

    What its class has already, as `project` or `step`, is refused as the name of a parameter, buffer or submodule.

    Shapes: T time, B batch, D `input_size`, H `hidden_size`, P projected, O `output_size`.
    """

    name: ClassVar[str]
    """What the registry, errors and the command line call it; by default its class's, in lower case."""

    state_names: tuple[str, ...] = ("h",)
    """One name for each tensor of the state; errors, gradient checks and plots use them."""

    state_domains: Mapping[str, str] = {}
    """What the numbers of a state tensor are, where not all are allowed: {"n": "positive"}, "non-negative" or "unit
    interval". Checks draw states accordingly."""

    straight_through: bool = False
    """Whether a gradient is on purpose not the derivative, as that of a straight-through estimator or one that is cut
    off: then checks do not hold it to finite differences, and say so."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Name a class that sets no name of its own after itself, whatever its parent is called.

        Raises:
            KindError: a method stands where a number or tuple is read.
        """
        super().__init_subclass__(**options)
        name_after_class(cls)
        for name in ("output_size", "state_sizes"):
            if isinstance(vars(cls).get(name), FunctionType):
                raise KindError(f"{cls.__qualname__}.{name} is a method; write @property above it")

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        check_whole(f"{type(self).__name__}: input_size", input_size)
        check_whole(f"{type(self).__name__}: hidden_size", hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size

    @property
    def output_size(self) -> int:
        """Width O of the output `y`; `hidden_size` unless the cell says otherwise."""
        return self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each state tensor; `hidden_size` unless the cell says otherwise."""
        return (self.hidden_size,) * len(self.state_names)

    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first step: zeros (B, width) for each of `state_sizes`.

        They have the dtype of the cell's first real parameter, of the first of another kind where there is none. A cell
        whose state has more dimensions, is complex beside real weights, or is learnt, overrides this.
        """
        real = (t for t in chain(parameters_of(self), self.buffers()) if t.dtype.is_floating_point)
        like = next(real, None)
        if like is None:
            like = next(chain(parameters_of(self), self.buffers()), None)
        dtype, device = (None, None) if like is None else (like.dtype, like.device)
        return tuple(torch.zeros(batch_size, size, dtype=dtype, device=device) for size in self.state_sizes)

    def project(self, xs: Tensor) -> Projected:
        """Compute what depends on the input alone, for all steps at once: (T, B, D) -> (T, B, P).

        One matrix product over T * B rows is many times faster than T small ones, so the unroller calls this
        once a sequence and hands each step its slice. The default gives the input itself. Step t of the
        result may depend on step t of `xs` only, except for masks that are drawn once a sequence.
        """
        return xs

    @abstractmethod
    def step(self, p: Any, state: State) -> tuple[Tensor, State]:
        """Advance one step: the equation of the cell.

        `p` is one time slice of what `project` returned, (B, P) or a tuple of such; `state` one tensor for each
        name. Returns the output y (B, O) and the new state.
        """

    def advance(self, p: Any, read: State, state: State) -> tuple[Tensor, State]:
        """Advance one step whose products read `read` in place of `state`: for dropout of recurrent connections.

        By default all of the step reads it. A cell that also hands a state on directly, as a GRU does by z ⊙ h,
        overrides this, so that what is handed on stays whole.
        """
        return self.step(p, read)

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Advance one step from the raw input x (B, D), projection and all, by default from the initial state."""
        if state is None:
            state = starting_state(self, x.shape[0], x)
        return self.step(time_slice(self.project(x.unsqueeze(0)), 0), state)

    def extra_repr(self) -> str:
        """Show the sizes, as torch's own modules do."""
        return f"{self.input_size}, {self.hidden_size}"

    def _repr_html_(self) -> str:
        """Show the equation, states and parameters in a notebook."""
        return cell_html(self)


def name_after_class(cls: Any) -> None:
    """Set `name` to the name of the class in lower case, unless the class itself sets one."""
    if "name" not in vars(cls) and not _same_to_torch(cls):
        cls.name = cls.__name__.lower()


def _same_to_torch(cls: type) -> bool:
    """Tell whether torch has derived the class, of a module that is parametrized or sharded: it is the same cell."""
    derived = {f"{prefix}{base.__name__}" for prefix in ("Parametrized", "FSDP", "Replicate") for base in cls.__bases__}
    return cls.__name__ in derived and cls.__module__.partition(".")[0] in ("torch", "abc")


def parameters_of(module: nn.Module) -> Iterator[Tensor]:
    """Go through the parameters in the order of `module.parameters()`, much faster; tied ones come more than once."""
    for parameter in module._parameters.values():
        if parameter is not None:
            yield parameter
    for child in module._modules.values():
        if child is not None:
            yield from parameters_of(child)


def begins_with_zeros(cell: Cell) -> bool:
    """Tell whether a cell has the initial state of its base class; one that calls another's may be as well."""
    return type(cell).initial_state is Cell.initial_state


def starting_state(cell: Cell, batch_size: int, like: Tensor | None = None) -> State:
    """Return the cell's initial state, in the dtype and on the device of its tensors; without any, of `like`."""
    tensors = (t for t in chain(parameters_of(cell), cell.buffers()) if t.dtype.is_floating_point)
    first = next(tensors, like)
    if first is None or (first is not like and type(cell).initial_state is Cell.initial_state):
        return cell.initial_state(batch_size)
    here = torch.empty(0)  # mostly there is nothing to change, which is cheaper and can be traced
    if first.device == here.device and (first.dtype == here.dtype or not first.dtype.is_floating_point):
        return cell.initial_state(batch_size)
    with building(first.device, first.dtype if first.dtype.is_floating_point else None):
        return cell.initial_state(batch_size)


@contextmanager
def building(device: torch.device | str | None, dtype: torch.dtype | None) -> Iterator[None]:
    """Let tensors be created on `device` and in `dtype`: cells mention neither.

    Raises:
        UsageError: a dtype that is not of floating point, or a device that torch does not know.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise KindError(f"dtype is {dtype!r}; it must be a floating-point dtype of torch's, such as torch.float32")
    try:
        where = torch.get_default_device() if device is None else torch.device(device)
    except (RuntimeError, TypeError):
        raise ShapeError(f"device is {device!r}; it must be a device of torch's, such as 'cpu' or 'cuda:0'") from None
    before = torch.get_default_dtype()
    try:
        if dtype is not None:
            torch.set_default_dtype(dtype)
        with where:
            yield
    finally:
        torch.set_default_dtype(before)


def behaves_as_tensor(value: object) -> bool:
    """Tell whether this is a tensor or, by `__torch_function__`, to be taken for one."""
    return isinstance(value, Tensor) or hasattr(type(value), "__torch_function__")


def parts_of(projected: Projected) -> tuple[Tensor, ...]:
    """Return the tensors of what `project` returned, one or several, nested or not."""
    if isinstance(projected, tuple | list):  # all else is a tensor, or behaves as one
        return tuple(tensor for part in projected for tensor in parts_of(part))
    return (projected,)


def map_parts(function: Callable[[Tensor], Tensor], projected: Projected) -> Projected:
    """Apply a function to each tensor of what `project` returned."""
    if isinstance(projected, tuple | list):
        return tuple(map_parts(function, part) for part in projected)
    return function(projected)


def time_slice(projected: Projected, t: int) -> Projected:
    """Return step t of what `project` returned: (T, B, ...) -> (B, ...)."""
    return map_parts(lambda part: part[t], projected)


def time_slices(projected: Projected) -> list[Projected]:
    """Return all T steps of what `project` returned.

    By `unbind`, whose backward is one `stack`; indexing step by step would cost a full-size gradient each.
    """
    if isinstance(projected, tuple | list):
        return list(zip(*map(time_slices, projected), strict=True))
    return list(projected.unbind(0))


@contextmanager
def tensors_replaced(cell: nn.Module, tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Let `cell` use `tensors` in place of its own parameters and buffers of those names, for a while.

    Names are dotted paths as `named_parameters` gives them. Any tensors will do: views, results of other
    operations, functorch's wrappers.
    """
    before: list[tuple[dict[str, Any], str, Any]] = []
    for path, tensor in tensors.items():
        parent, _, name = path.rpartition(".")
        module = cell.get_submodule(parent)
        store: dict[str, Any] = module._parameters if name in module._parameters else module._buffers
        before.append((store, name, store[name]))
        store[name] = tensor
    try:
        yield
    finally:
        for store, name, tensor in reversed(before):  # one that was replaced twice, by two names, is the first again
            store[name] = tensor
