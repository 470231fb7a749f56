"""Drawing: what a recorder makes of operations that draw random numbers.

An operation whose numbers depend on values draws some that do not, and computes: of a probability p, torch's kernels
draw u between 0 and 1 and take u < p. Only those are here of which that is so to the bit, generator included.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.draws import DRAWN, is_ordered
from rnnkit_compiler.trace.generators import Generators, Source
from rnnkit_compiler.trace.instead import instead
from rnnkit_compiler.trace.recording import Call, NotRecordable, Ref

aten = torch.ops.aten

Emit = Callable[[Any, tuple[Any, ...], dict[str, Any]], list[int]]

FILLS = frozenset(
    (
        *(aten.bernoulli_.float, aten.uniform_.default, aten.normal_.default, aten.exponential_.default),
        *(aten.cauchy_.default, aten.log_normal_.default, aten.geometric_.default),
        *(aten.random_.default, getattr(aten.random_, "from"), aten.random_.to),
    )
)
"""What fills a tensor, whatever was in it."""

UNIFORM, NORMAL = (aten.uniform_.default, (0.0, 1.0)), (aten.normal_.default, (0.0, 1.0))

MADE: dict[str, Callable[[Mapping[str, Any]], tuple[Any, tuple[Any, ...]]]] = {
    **dict.fromkeys(("rand", "rand_like"), lambda given: UNIFORM),
    **dict.fromkeys(("randn", "randn_like"), lambda given: NORMAL),
    **dict.fromkeys(
        ("randint", "randint_like"),
        lambda given: (getattr(aten.random_, "from"), (given.get("low", 0), given["high"])),
    ),
}
"""By the name of an operation, from its arguments to how a new tensor is filled, and with which."""

COMPUTED = frozenset(
    (
        *(aten.bernoulli.default, aten.bernoulli.p, aten.multinomial.default),
        *(aten.normal.Tensor_Tensor, aten.normal.Tensor_float, aten.normal.float_Tensor),
    )
)


class Drawing:
    """Notes the draws of one run of a step.

    Args:
        emit: notes a call and makes it.
        note: notes a call that returns a tensor; gives the number of that.
        tensors: by number.
        conditions: the numbers of masks that have to be true everywhere.
    """

    def __init__(
        self,
        emit: Emit,
        note: Callable[[Call, Tensor], int],
        tensors: Sequence[Tensor],
        conditions: list[int],
    ) -> None:
        self._emit, self._note, self._tensors, self._conditions = emit, note, tensors, conditions
        self.generators: Generators | None = None
        """Of all runs of the step; None: nothing may be drawn."""
        self._is_ordered = True
        """Whether all that was made empty lies in the order of its axes."""
        self.rows: tuple[int, ...] = ()
        """The rows of the run."""
        self.made: list[Tensor] = []
        """What was drawn."""

    def begin(self, generators: Generators, rows: tuple[int, ...]) -> None:
        """Begin a run on some rows."""
        self.generators, self.rows = generators, rows

    def end(self, after: Sequence[Tensor]) -> None:
        """End the run, which gave these states; raises NotRecordable if draws would be others at the next step."""
        if not self.made or self.generators is None:
            return
        if not all(map(is_ordered, after)):
            raise NotRecordable("step() draws random numbers, and returns a state that is transposed")
        self.generators.check()
        if self.generators.examples is None:
            self.generators.examples = self.made

    def note_order(self, order: torch.memory_format | None) -> None:
        """Note in which order of its axes the step makes a tensor that it is to fill."""
        self._is_ordered &= order not in (torch.channels_last, torch.channels_last_3d)

    def takes(self, func: Any) -> bool:
        """Tell whether an operation makes a new tensor of draws."""
        return self.generators is not None and (func in COMPUTED or func._schema.name.removeprefix("aten::") in MADE)

    def fills(self, func: Any) -> bool:
        """Tell whether an operation fills a tensor with draws."""
        return self.generators is not None and (func in FILLS or func is aten.bernoulli_.Tensor)

    def filled(self, func: Any, target: Tensor, seen: tuple[Any, ...], source: Any) -> int:
        """Fill a tensor; return the number of what is in it.

        Args:
            func: what fills it.
            target: is filled.
            seen: the arguments, tensors by their numbers.
            source: the generator, or None.
        """
        if func is aten.bernoulli_.Tensor:
            probability = self._tensors[seen[1].number]
            if (probability.shape, probability.dtype) != (target.shape, target.dtype):
                raise NotRecordable("step() draws random numbers with a probability of another form than they have")
            number = self._of_probability(seen[1], source)
        else:
            number = self._draw(target, func, seen[1:], source)
        with torch.no_grad():
            target.copy_(self._tensors[number])
        return self._with_zeros(number, [seen[0]])

    def new(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], seen: tuple[Any, ...]) -> int:
        """Return the number of a new tensor of draws.

        Args:
            func: the operation.
            args: its arguments.
            kwargs: its arguments by name.
            seen: the arguments, tensors by their numbers.
        """
        return self._with_zeros(self._new(func, args, kwargs, seen), self._differentiable(func, seen))

    def _new(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], seen: tuple[Any, ...]) -> int:
        source = kwargs.get("generator")
        name = func._schema.name.removeprefix("aten::")
        if name in MADE:
            given = Call(func, args, dict(kwargs), (), False).arguments
            fill, numbers = MADE[name](given)
            if any(isinstance(number, Tensor) for number in numbers):
                raise NotRecordable(f"step() draws random numbers ({func}) up to a number that a tensor has")
            return self._draw(_room(name, given, kwargs), fill, numbers, source)
        if func is aten.bernoulli.default:
            return self._of_probability(seen[0], source)
        if func is aten.bernoulli.p:
            if torch.is_grad_enabled() and args[0].requires_grad:
                raise NotRecordable("step() draws random numbers (bernoulli) like what has a gradient; torch has none")
            return self._draw(torch.empty_like(args[0]), aten.bernoulli_.float, args[1:], source)
        if func is aten.multinomial.default:
            return self._chosen(args, seen, kwargs)
        return self._normal(func, args, seen, source)

    def _draw(self, target: Tensor, fill: Any, args: Sequence[Any], source: torch.Generator | None) -> int:
        """Note a draw like a tensor; return its number."""
        if not (target.is_contiguous() and self._is_ordered):
            raise NotRecordable("step() draws random numbers into a tensor whose elements do not lie one by one")
        assert self.generators is not None
        self.generators.move(source, target.device)
        made = self._example(target, fill, args)
        self.made.append(made)
        held = None if source is None else Source(source)
        given = (list(target.shape), target.dtype, target.device, fill, tuple(args), held)
        return self._note(Call(DRAWN, given, {}, (), False), made)

    def _example(self, target: Tensor, fill: Any, args: Sequence[Any]) -> Tensor:
        """Return numbers such as are drawn, for each row the same in all runs."""
        assert self.generators is not None
        known = self.generators.examples
        if known is None:
            generator = torch.Generator(target.device).manual_seed(1 + len(self.made))
            made = torch.empty(target.shape, dtype=target.dtype, device=target.device)
            fill(made, *args, generator=generator)
            return made
        if len(self.made) >= len(known):
            raise NotRecordable("step() draws more random numbers for other rows")
        return _of_rows(known[len(self.made)], target.shape, self.rows)

    def _of_probability(self, p: Ref, source: Any) -> int:
        """Return 1 with a probability, else 0."""
        tensor = self._cpu(p)
        drawn = self._draw(tensor, *UNIFORM, source)
        (mask,) = self._emit(aten.lt.Tensor, (Ref(drawn), p), {})
        self._hold((aten.ge.Scalar, p, 0), (aten.le.Scalar, p, 1))
        return self._as(mask, tensor.dtype)

    def _chosen(self, args: tuple[Any, ...], seen: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
        """Return the place of one element of each row, by how likely each is."""
        if args[1] != 1 or args[0].dim() != 2:
            raise NotRecordable("step() draws random numbers (multinomial, several of a row); project() is the place")
        p = seen[0]
        drawn = self._draw(self._cpu(p), aten.exponential_.default, (1.0,), kwargs.get("generator"))
        (share,) = self._emit(aten.div.Tensor, (p, Ref(drawn)), {})
        (place,) = self._emit(aten.argmax.default, (Ref(share), -1, True), {})
        (total,) = self._emit(aten.sum.dim_IntList, (p, [-1]), {})
        self._hold((aten.ge.Scalar, p, 0), (aten.lt.Scalar, p, math.inf), (aten.ne.Scalar, Ref(total), 0))
        return place

    def _normal(self, func: Any, args: tuple[Any, ...], seen: tuple[Any, ...], source: Any) -> int:
        """Return normally distributed numbers, of means and deviations of which one is a tensor."""
        mean, deviation = seen[0], (seen[1] if len(seen) > 1 else 1.0)
        tensors = [self._cpu(each) for each in (mean, deviation) if isinstance(each, Ref)]
        like = torch.empty_like(sum(tensors, torch.zeros((), dtype=tensors[0].dtype)))
        if any(tensor.dtype != like.dtype for tensor in tensors):
            raise NotRecordable("step() draws random numbers of a mean and a deviation of two dtypes")
        fill, (_, one) = NORMAL
        drawn = self._draw(like, fill, (0.0, one if isinstance(deviation, Ref) else deviation), source)
        if isinstance(deviation, Ref):
            self._hold((aten.ge.Scalar, deviation, 0))
            (drawn,) = self._emit(aten.mul.Tensor, (Ref(drawn), deviation), {})
        if isinstance(mean, Ref) or mean:
            (drawn,) = self._emit(aten.add.Tensor, (Ref(drawn), mean), {})
        return drawn

    def _differentiable(self, func: Any, seen: tuple[Any, ...]) -> list[Ref]:
        """List what autograd hands a gradient of zeros where an operation has drawn."""
        if func not in COMPUTED or func is aten.multinomial.default:
            return []
        return [ref for ref in seen if isinstance(ref, Ref)]

    def _with_zeros(self, number: int, sources: Sequence[Ref]) -> int:
        """Return a draw by a number of its own, which gives its sources a gradient of zeros if there is any."""
        (number,) = self._emit(aten.detach.default, (Ref(number),), {})
        zeros = [self._emit(aten.mul.Tensor, (ref, 0), {})[0] for ref in sources]
        while len(zeros) > 1:
            zeros = [*self._emit(aten.add.Tensor, (Ref(zeros[0]), Ref(zeros[1])), {}), *zeros[2:]]
        if not torch.is_grad_enabled() or not any(self._tensors[ref.number].requires_grad for ref in sources):
            return number
        if self._tensors[zeros[0]].shape != self._tensors[number].shape:
            raise NotRecordable("step() draws random numbers of something smaller that has a gradient")
        return self._emit(instead, (Ref(number), Ref(zeros[0])), {})[0]

    def _as(self, number: int, dtype: torch.dtype) -> int:
        if self._tensors[number].dtype == dtype:
            return number
        return self._emit(aten._to_copy.default, (Ref(number),), {"dtype": dtype})[0]

    def _hold(self, *checks: tuple[Any, Ref, Any]) -> None:
        """Note what torch checks of values before it draws, and raises of."""
        self._conditions += [self._emit(check, (ref, bound), {})[0] for check, ref, bound in checks]

    def _cpu(self, ref: Ref) -> Tensor:
        """Return a tensor that numbers are drawn of; raises NotRecordable where it is not known how."""
        tensor = self._tensors[ref.number]
        if not tensor.is_cpu or tensor.dtype not in (torch.float32, torch.float64):
            where = f"of {tensor.dtype} on {tensor.device}"
            raise NotRecordable(f"step() draws random numbers that depend on values {where}; project() is the place")
        return tensor


def _room(name: str, given: Mapping[str, Any], kwargs: Mapping[str, Any]) -> Tensor:
    """Return an empty tensor of the form that an operation is to return."""
    forms = ("dtype", "layout", "device", "memory_format")
    options = {form: kwargs[form] for form in forms if kwargs.get(form) is not None}
    if "size" not in given:
        return torch.empty_like(given["self"], **options)
    whole = {"dtype": torch.int64} if name == "randint" else {}
    return torch.empty(given["size"], **whole | options)


def _of_rows(drawn: Tensor, shape: Sequence[int], rows: Sequence[int]) -> Tensor:
    """Return what some rows have of the draws of all; all of it where the batch is not in it."""
    if drawn.shape == torch.Size(shape):
        return drawn.clone()
    axes = [k for k, (one, other) in enumerate(zip(drawn.shape, shape, strict=False)) if one != other]
    if len(axes) != 1 or len(shape) != drawn.dim() or shape[axes[0]] % len(rows):
        raise NotRecordable("step() draws random numbers of another shape for another number of rows")
    (axis,) = axes
    times = shape[axis] // len(rows)
    places = torch.tensor([row * times + k for row in rows for k in range(times)], device=drawn.device)
    if int(places.max()) >= drawn.shape[axis]:
        raise NotRecordable("step() draws random numbers of another shape for another number of rows")
    return drawn.index_select(axis, places)
