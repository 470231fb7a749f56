"""The recorder: a dispatch mode that notes each aten operation below autograd, and what autograd makes of it.

Some changes of the graph are not operations: `no_grad`, `detach_`, `tensor.data`. They show in `requires_grad`, which
is compared, whenever a tensor is read, with what the operations noted so far would make of it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rnnkit_compiler.trace.applied import function_of
from rnnkit_compiler.trace.asked import note_question
from rnnkit_compiler.trace.drawing import Drawing
from rnnkit_compiler.trace.functions import Functions
from rnnkit_compiler.trace.instead import instead
from rnnkit_compiler.trace.memory import Memory, View
from rnnkit_compiler.trace.naming import Place, author_frame, author_line, names_in, place_of
from rnnkit_compiler.trace.recordable import (
    EMPTY,
    RESHAPED_IN_PLACE,
    check_graph,
    check_index,
    check_operation,
    functional_form,
    listed,
    one_of_its_own,
    run,
    unknown,
)
from rnnkit_compiler.trace.recording import Call, NotRecordable, Recording, Ref, map_tensors

aten = torch.ops.aten


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

        self._strided: list[Tensor] = []
        """What was made by strides."""

        self._is_within = False
        """Whether an operation is being noted, below autograd."""

        self._place: Place | None = None
        """Where the operation is called that is being noted."""

        self._has_gradient: list[bool] = []
        """By number, whether a gradient goes through the tensor, by the operations alone."""

        self._memory = Memory(self._emit, self.recording.shapes, self.recording.dtypes)
        self._functions = Functions(self, self.recording, self.tensors, self._emit, self._ref, self._give)
        self.drawing = Drawing(self._emit, self._note_draw, self.tensors, self.recording.conditions)

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
        before, self._is_within = self._is_within, True
        try:
            return self._dispatched(func, args, kwargs)
        except NotRecordable as reason:
            raise reason.placed(author_line()) from None
        finally:
            self._is_within = before

    def _dispatched(self, func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any] | None) -> Any:
        kwargs = dict(kwargs or {})
        frame = author_frame()
        self.recording.names |= names_in(frame, self._numbers)
        self._place = place_of(frame)
        if func in EMPTY:
            func = EMPTY[func]
            self.drawing.note_order(kwargs.pop("memory_format", None))
        if func is aten.ones_like.default and not args[0].dim():  # where a gradient begins, whatever the number is
            func, args, kwargs = one_of_its_own(args[0], kwargs)
        if func is aten.as_strided.default:  # autograd makes views of other views so, which no one reads
            self._strided.append(func(*args, **kwargs))
            return self._strided[-1]
        if func is aten._local_scalar_dense.default and self._note_question(args[0]):
            return func(*args)
        check_operation(func)
        check_index(func, args)
        if func is aten.lift_fresh.default and id(args[0]) not in self._numbers:
            result = func(*args)
            self._enter(result, number := self._number(result, False))
            self.recording.constants[number] = result.detach().clone()
            return result
        if func._schema.is_mutable:
            return self._overwrite(func, args, kwargs)
        if self.drawing.takes(func):
            number = self.drawing.new(func, args, kwargs, map_tensors(args, self._ref))
            drawn = self.tensors[number].clone()
            self._enter(drawn, self._rename(drawn, number))
            return drawn
        if func is aten.detach.default and function_of(args[0]) is not None:  # its gradients may not be there yet
            seen_args, seen_kwargs = (Ref(self._numbers[id(args[0])]),), {}
        else:
            seen_args, seen_kwargs = map_tensors((args, kwargs), self._ref)
        result = run(func, args, kwargs)
        outputs = self._note(func, seen_args, seen_kwargs, result)
        if func is aten.clone.default and (args[0].is_conj() or args[0].is_neg()):
            self._resolved.update(number for number in outputs if number is not None)
        for place, (item, made) in enumerate(zip(listed(result), outputs, strict=True)):
            if made is None:
                continue
            if func._schema.returns[0].alias_info is None:
                self._enter(item, made)
            else:
                self._numbers[id(item)] = made
                self._memory.enter_view(item, args[0], View(func, args[1:], kwargs, place))
        return result

    def _note_question(self, tensor: Tensor) -> bool:
        if (number := self._numbers.get(id(tensor))) is None or self._memory.is_stale(tensor):
            return False
        return note_question(self.recording, tensor, number, self._has_gradient)

    def _note(
        self, operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
    ) -> tuple[int | None, ...]:
        """Note a call, and number its results."""
        several = isinstance(result, tuple | list)
        call = Call(operator, args, kwargs, (), several)
        has_gradient = operator is not aten.detach.default and any(self._has_gradient[k] for k in call.reads)
        number = partial(self._number, has_gradient=has_gradient)
        outputs = tuple(number(item) if isinstance(item, Tensor) else None for item in listed(result))
        self.recording.calls.append(call._replace(outputs=outputs))
        self.recording.places |= dict.fromkeys(outputs, self._place)
        return outputs

    def _note_draw(self, call: Call, drawn: Tensor) -> int:
        number = self._number(drawn, False)
        self.recording.calls.append(call._replace(outputs=(number,)))
        return number

    def _emit(self, operator: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[int]:
        """Make a call that the step did not make, on tensors by their numbers, and note it."""
        given = [self.tensors[argument.number] if isinstance(argument, Ref) else argument for argument in args]
        with torch.no_grad():
            # a script writes `reshape` for `view` too, since the next tensor may have other strides
            result = (aten.reshape.default if operator is aten.view.default else operator)(*given, **kwargs)
        return [number for number in self._note(operator, args, kwargs, result) if number is not None]

    def _give(self, operator: Any, args: tuple[Any, ...], result: Tensor) -> int:
        """Note a call that is not made, of which a tensor of the step's stands for the result."""
        (number,) = self._note(operator, args, {}, result)
        assert number is not None
        self._has_gradient[number] = result.requires_grad
        self._enter(result, number)
        return number

    def _ref(self, tensor: Tensor) -> Ref:
        """Return the number of a tensor that is read, cut off from the gradient where autograd has cut it off."""
        number = self._numbers.get(id(tensor))
        if number is None:
            raise NotRecordable(unknown(tensor, self._strided))
        if number in self._given:
            return Ref(number)
        if self._memory.is_stale(tensor):
            number = self._rename(tensor, self._memory.again(tensor))
        functions = self._functions
        if (function := function_of(tensor)) is not None and number not in functions.results.values():
            if function not in functions.results:
                self._rename(tensor, functions.result(tensor, number, function, self._is_within))
            return Ref(functions.results[function])
        if self._has_gradient[number] == tensor.requires_grad or number in self._resolved:
            return Ref(number)
        if tensor.requires_grad:
            if tensor.is_leaf:  # where a gradient begins that the step itself takes
                self._has_gradient[number] = True
                return Ref(number)
            if (origin := self._saved_of(tensor, number)) is not None:
                self._numbers[id(tensor)] = origin
                return Ref(origin)
            check_graph([tensor], self._functions.results)
            raise NotRecordable("step() has a gradient that its operations do not show")
        return Ref(self._rename(tensor, self._detached(number)))

    def _rename(self, tensor: Tensor, number: int) -> int:
        """Have a tensor of the step's go by another number from now on."""
        self._numbers[id(tensor)], self.tensors[number] = number, tensor
        return number

    def _saved_of(self, tensor: Tensor, number: int) -> int | None:
        """Return the number of the result that autograd saved for a gradient and hands out again, with its history."""
        saved = {call.output: call.reads[0] for call in self.recording.calls if call.operator is aten.detach.default}
        while (number := saved.get(number, -1)) >= 0:
            origin = self.tensors[number]
            if origin.grad_fn is tensor.grad_fn and origin.output_nr == tensor.output_nr:
                return number
        return None

    def _detached(self, number: int) -> int:
        return self._emit(aten.detach.default, (Ref(number),), {})[0]

    def _overwrite(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Note an operation in place as one that makes a new tensor, which its target is from then on."""
        if torch.Tag.inplace_view in func.tags:
            return self._reshape(func, args, kwargs)
        target, fills = args[0], self.drawing.fills(func)
        functional = None if fills else functional_form(func, target)
        seen_args, seen_kwargs = map_tensors((args, kwargs), self._ref)
        root = self._memory.overwrite(target, func._schema.name.removeprefix("aten::"))
        if self._has_gradient[root.number] and not root.tensor.requires_grad:
            root.number = self._detached(root.number)
        result = target if fills else run(func, args, kwargs)
        if fills:
            number = self.drawing.filled(func, target, seen_args, kwargs.get("generator"))
        elif functional is None:
            number = self._memory.copied(target, seen_args[1])
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
        if (functional := RESHAPED_IN_PLACE.get(func)) is None:
            raise NotRecordable(f"step() calls {name}, which changes a tensor in place")
        before = self._ref(target).number
        if before in self._given:
            raise NotRecordable(f"step() calls {name} on a tensor that others see")
        stand_in = target.detach().requires_grad_(target.requires_grad)
        self.tensors[:] = [stand_in if tensor is target else tensor for tensor in self.tensors]
        result = func(*args, **kwargs)
        (made,) = self._note(functional, (Ref(before), *args[1:]), kwargs, result)
        assert made is not None
        self._memory.reshaped(target, stand_in, View(functional, args[1:], kwargs, 0))
        self._rename(target, made)
        return result

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
        check_graph([y, *states], self._functions.results)
        if any(tensor._backward_hooks for tensor in self.tensors):
            raise NotRecordable("step() puts hooks on tensors")
