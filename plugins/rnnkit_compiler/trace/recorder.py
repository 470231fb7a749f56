"""The recorder: a dispatch mode that notes each aten operation below autograd, and what autograd makes of it.

Some changes of the graph are not operations: `no_grad`, `detach_`, `tensor.data`. They show in `requires_grad`, which
is compared, whenever a tensor is read, with what the operations noted so far would make of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit_compiler.trace.instead import instead
from rnnkit_compiler.trace.memory import Memory, View
from rnnkit_compiler.trace.naming import author_frame, names_in
from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording, Ref, map_tensors

aten = torch.ops.aten


EMPTY = {
    aten.empty.memory_format: aten.zeros.default,
    aten.empty_like.default: aten.zeros_like.default,
    aten.new_empty.default: aten.new_zeros.default,
}
"""What leaves open what it makes, and what says so: what is in it is for the step to fill."""

RESHAPED_IN_PLACE = {
    aten.squeeze_.default: aten.squeeze.default,
    aten.squeeze_.dim: aten.squeeze.dim,
    aten.squeeze_.dims: aten.squeeze.dims,
    aten.unsqueeze_.default: aten.unsqueeze.default,
    aten.t_.default: aten.t.default,
    aten.transpose_.default: aten.transpose.int,
}
"""What changes the shape of a tensor itself, and what makes a view of that shape."""


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes each operation; its recording has the sizes of this very run."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else torch wraps what is below in its own compiler, whose import takes a second

    def __init__(self, rows: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.recording = Recording(rows)
        self.tensors: list[Tensor] = []
        """By their numbers; kept, so that no id is used twice. A tensor that was overwritten has several, all of them
        with what it was overwritten with."""

        self._numbers: dict[int, int] = {}
        self._given: set[int] = set()
        """The numbers of what the step was given, which it must not overwrite."""

        self._resolved: set[int] = set()
        """The numbers of copies that are made below autograd of what is conjugate or negative by a mark."""

        self._has_gradient: list[bool] = []
        """By number, whether a gradient goes through the tensor, by the operations alone."""

        self._memory = Memory(self._emit, self.recording.shapes)

    def enter(self, tensor: Tensor, original: Tensor | None = None) -> int:
        """Number what the step is given; it may come upon the `original` that the tensor stands for as well."""
        number = self._number(tensor, tensor.requires_grad)
        self._enter(tensor, number, is_given=True)
        self._given.add(number)
        if original is not None and id(original) not in self._numbers:
            self._enter(original, number, is_given=True)
        return number

    def _enter(self, tensor: Tensor, number: int, is_given: bool = False) -> None:
        """Have a tensor of the step's, which is no view of another, go by a number."""
        self._numbers[id(tensor)] = number
        self._memory.enter(tensor, number, is_given)

    def _number(self, tensor: Tensor, has_gradient: bool) -> int:
        """Return a new number, by which a tensor may be found."""
        number = len(self.tensors)
        self.tensors.append(tensor)
        self._has_gradient.append(has_gradient and (tensor.is_floating_point() or tensor.is_complex()))
        self.recording.shapes.append(tuple(tensor.shape))
        self.recording.dtypes.append(tensor.dtype)
        return number

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        self.recording.names |= names_in(author_frame(), self._numbers)
        if func in EMPTY:
            func = EMPTY[func]
            kwargs.pop("memory_format", None)
        _check(func)
        if func is aten.lift_fresh.default and id(args[0]) not in self._numbers:
            result = func(*args)
            number = self._number(result, False)
            self._enter(result, number)
            self.recording.constants[number] = result.detach().clone()
            return result
        if func._schema.is_mutable:
            return self._overwrite(func, args, kwargs)
        seen_args, seen_kwargs = map_tensors((args, kwargs), self._ref)
        result = _run(func, args, kwargs)
        outputs = self._note(func, seen_args, seen_kwargs, result)
        if func is aten.clone.default and (args[0].is_conj() or args[0].is_neg()):
            self._resolved.update(number for number in outputs if number is not None)
        for place, (item, made) in enumerate(zip(_listed(result), outputs, strict=True)):
            if made is None:
                continue
            if func._schema.returns[0].alias_info is None:
                self._enter(item, made)
            else:
                self._numbers[id(item)] = made
                self._memory.enter_view(item, args[0], View(func, args[1:], kwargs, place))
        return result

    def _note(
        self, operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> tuple[int | None, ...]:
        """Note a call, and number its results."""
        several = isinstance(result, tuple | list)
        call = Call(operator, args, kwargs, (), several)
        has_gradient = operator is not aten.detach.default and any(self._has_gradient[k] for k in call.reads)
        outputs = tuple(
            self._number(item, has_gradient) if isinstance(item, Tensor) else None for item in _listed(result)
        )
        self.recording.calls.append(call._replace(outputs=outputs))
        return outputs

    def _emit(self, operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int]:
        """Make a call that the step did not make, on tensors by their numbers, and note it."""
        given = [self.tensors[argument.number] if isinstance(argument, Ref) else argument for argument in args]
        with torch.no_grad():
            # a script writes `reshape` for `view` too, since the next tensor may have other strides
            result = (aten.reshape.default if operator is aten.view.default else operator)(*given, **kwargs)
        return [number for number in self._note(operator, args, kwargs, result) if number is not None]

    def _ref(self, tensor: Tensor) -> Ref:
        """Return the number of a tensor that is read, cut off from the gradient where autograd has cut it off."""
        number = self._numbers.get(id(tensor))
        if number is None:
            raise NotRecordable("step() reads a tensor that is neither parameter, buffer, projection nor state")
        if number in self._given:
            return Ref(number)
        if self._memory.is_stale(tensor):
            number = self._rename(tensor, self._memory.again(tensor))
        if self._has_gradient[number] == tensor.requires_grad or number in self._resolved:
            return Ref(number)
        if tensor.requires_grad:
            _check_graph([tensor])
            raise NotRecordable("step() has a gradient that its operations do not show")
        return Ref(self._rename(tensor, self._detached(number)))

    def _rename(self, tensor: Tensor, number: int) -> int:
        """Have a tensor of the step's go by another number from now on."""
        self._numbers[id(tensor)], self.tensors[number] = number, tensor
        return number

    def _detached(self, number: int) -> int:
        return self._emit(aten.detach.default, (Ref(number),), {})[0]

    def _overwrite(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note an operation in place as one that makes a new tensor, which its target is from then on."""
        if torch.Tag.inplace_view in func.tags:
            return self._reshape(func, args, kwargs)
        functional, target = _functional(func, args[0]), args[0]
        name = func._schema.name.removeprefix("aten::")
        seen_args, seen_kwargs = map_tensors((args, kwargs), self._ref)
        root = self._memory.overwrite(target, name)
        if self._has_gradient[root.number] and not root.tensor.requires_grad:
            root.number = self._detached(root.number)
        result = _run(func, args, kwargs)
        if functional is None:
            number = self._copied(target, seen_args[1])
        else:
            (made,) = self._note(functional, seen_args, seen_kwargs, result)
            assert made is not None
            number = made
        if not torch.is_grad_enabled():
            if target.requires_grad:  # which goes on as it was
                number = self._emit(instead, (Ref(number), seen_args[0]), {})[0]
            elif self._has_gradient[number]:
                number = self._detached(number)
        self._memory.overwritten(target, self._rename(target, number))
        return result

    def _reshape(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note a change of a tensor's own shape as a view of what it was."""
        target, name = args[0], func._schema.name.removeprefix("aten::")
        if func not in RESHAPED_IN_PLACE:
            raise NotRecordable(f"step() calls {name}, which changes a tensor in place")
        before = self._ref(target).number
        if before in self._given:
            raise NotRecordable(f"step() calls {name} on a tensor that others see")
        stand_in = target.detach().requires_grad_(target.requires_grad)
        functional = RESHAPED_IN_PLACE[func]
        self.tensors = [stand_in if tensor is target else tensor for tensor in self.tensors]
        result = func(*args, **kwargs)
        (made,) = self._note(functional, (Ref(before), *args[1:]), kwargs, result)
        assert made is not None
        self._memory.reshaped(target, stand_in, View(functional, args[1:], kwargs, 0))
        self._rename(target, made)
        return result

    def _copied(self, target: Tensor, source: Ref) -> int:
        """Note what `copy_` makes of a tensor; return its number."""
        shape, dtype = tuple(target.shape), target.dtype
        if self.recording.shapes[source.number] != shape:
            source = Ref(self._emit(aten.expand.default, (source, list(shape)), {})[0])
        if self.recording.dtypes[source.number] != dtype:
            return self._emit(aten._to_copy.default, (source,), {"dtype": dtype})[0]
        return self._emit(aten.clone.default, (source,), {})[0]

    def _result(self, tensor: Tensor) -> int:
        """Return the number of a result, without the mark of a conjugate, which a state does not carry on."""
        ref = self._ref(tensor)
        if not tensor.is_conj():
            return ref.number
        return self._rename(tensor, self._emit(aten.resolve_conj.default, (ref,), {})[0])

    def leave(self, y: Tensor, states: Sequence[Tensor]) -> None:
        """Note the results, and refuse what has a gradient of its own making."""
        self.recording.output = self._result(y)
        self.recording.next_states = [self._result(state) for state in states]
        _check_graph([y, *states])
        if any(tensor._backward_hooks for tensor in self.tensors):
            raise NotRecordable("step() puts hooks on tensors")


def _listed(result: Any) -> Sequence[Any]:
    return result if isinstance(result, tuple | list) else (result,)


def _functional(func: Any, target: Any) -> Any:
    """Return the operation that makes a new tensor in place of overwriting `target`; None: a copy of its argument.

    Raises:
        NotRecordable: there is none.
    """
    name = func._schema.name.removeprefix("aten::")
    packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") else None
    if torch.Tag.nondeterministic_seeded in func.tags:
        raise NotRecordable(_draws(func))
    if packet is None or func._overloadname not in packet.overloads() or not isinstance(target, Tensor):
        raise NotRecordable(f"step() calls {name}, which overwrites a tensor")
    return None if name == "copy_" else getattr(packet, func._overloadname)


def _check(func: Any) -> None:
    if func.namespace != "aten":
        raise NotRecordable(f"step() calls {func}, which is no operation of torch's own")
    if func is aten._local_scalar_dense.default or torch.Tag.data_dependent_output in func.tags:
        raise NotRecordable("step() reads the values of a tensor")
    if func._schema.name == "aten::as_strided":
        raise NotRecordable("step() reads memory by strides, which may be others the next time")
    if torch.Tag.dynamic_output_shape in func.tags and func is not aten.index.Tensor:
        raise NotRecordable(f"step() calls {func}, whose result has a shape that depends on values")


def _run(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run an operation; raises NotRecordable if it draws random numbers.

    What might draw need not, as attention without dropout. On other devices than the CPU it is taken to do so.
    """
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return func(*args, **kwargs)
    before = torch.get_rng_state()
    result = func(*args, **kwargs)
    made = [item for item in _listed(result) if isinstance(item, Tensor)]
    if all(tensor.is_cpu for tensor in made) and torch.equal(before, torch.get_rng_state()):
        return result
    raise NotRecordable(_draws(func))


def _draws(func: Any) -> str:
    return f"step() draws random numbers ({func}); project() is the place"


def _check_graph(tensors: Sequence[Tensor]) -> None:
    """Raise NotRecordable if a Function written in Python is in the graph: the recording shows its forward alone."""
    stack: list[Any] = [tensor.grad_fn for tensor in tensors]
    seen = set()
    while stack:
        node = stack.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, torch._C._FunctionBase):
            raise NotRecordable(f"step() applies {type(node).__name__.removesuffix('Backward')}, an autograd.Function")
        stack += [following for following, _ in node.next_functions]
