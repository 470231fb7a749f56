"""The recorder: a dispatch mode that notes each aten operation below autograd, and what autograd makes of it.

Some changes of the graph are not operations: `no_grad`, `detach_`, `tensor.data`. They show in `requires_grad`, which
is compared, whenever a tensor is read, with what the operations noted so far would make of it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

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
        """By their numbers; kept, so that no id is used twice. A tensor that was overwritten has several."""

        self._numbers: dict[int, int] = {}
        self._given: set[int] = set()
        """The numbers of what the step was given, which it must not overwrite."""

        self._has_gradient: list[bool] = []
        """By number, whether a gradient goes through the tensor, by the operations alone."""

    def enter(self, tensor: Tensor, original: Tensor | None = None) -> int:
        """Number what the step is given; it may come upon the `original` that the tensor stands for as well."""
        number = self._number(tensor, tensor.requires_grad)
        self._given.add(number)
        if original is not None:
            self._numbers.setdefault(id(original), number)
        return number

    def _number(self, tensor: Tensor, has_gradient: bool) -> int:
        number = len(self.tensors)
        self._numbers[id(tensor)] = number
        self.tensors.append(tensor)
        self._has_gradient.append(has_gradient and tensor.is_floating_point())
        self.recording.shapes.append(tuple(tensor.shape))
        self.recording.dtypes.append(tensor.dtype)
        return number

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        _check(func)
        if func is aten.lift_fresh.default and id(args[0]) not in self._numbers:
            result = func(*args)
            self.recording.constants[self._number(result, False)] = result.detach().clone()
            return result
        functional = self._functional(func, args[0]) if func._schema.is_mutable else func
        seen_args, seen_kwargs = map_tensors((args, kwargs), self._ref)
        call = Call(functional, seen_args, seen_kwargs, (), False)
        has_gradient = functional is not aten.detach.default and any(self._has_gradient[k] for k in call.reads)
        result = _run(func, args, kwargs)
        several = isinstance(result, tuple | list)
        outputs = tuple(
            self._number(item, has_gradient) if isinstance(item, Tensor) else None
            for item in (result if several else (result,))
        )
        self.recording.calls.append(call._replace(outputs=outputs, several=several))
        return result

    def _ref(self, tensor: Tensor) -> Ref:
        """Return the number of a tensor that is read, cut off from the gradient where autograd has cut it off."""
        number = self._numbers.get(id(tensor))
        if number is None:
            raise NotRecordable("step() reads a tensor that is neither parameter, buffer, projection nor state")
        if self._has_gradient[number] == tensor.requires_grad or number in self._given:
            return Ref(number)
        if tensor.requires_grad:
            raise NotRecordable("step() has a gradient that its operations do not show")
        after = self._number(tensor, False)
        self.recording.calls.append(Call(aten.detach.default, (Ref(number),), {}, (after,), False))
        return Ref(after)

    def _functional(self, func: Any, target: Any) -> Any:
        """Return the operation that makes a new tensor in place of overwriting `target`, which nothing else may see."""
        name = func._schema.name.removeprefix("aten::")
        packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") else None
        if torch.Tag.nondeterministic_seeded in func.tags:
            raise NotRecordable(_draws(func))
        if packet is None or func._overloadname not in packet.overloads() or not isinstance(target, Tensor):
            raise NotRecordable(f"step() calls {name}, which overwrites a tensor")
        if torch.Tag.inplace_view in func.tags:
            raise NotRecordable(f"step() calls {name}, which changes the shape of a tensor in place")
        if target.requires_grad and not torch.is_grad_enabled():
            raise NotRecordable(f"step() calls {name} under no_grad on a tensor whose gradient goes on as it was")
        storage = target.untyped_storage().data_ptr()
        sharing = {id(kept) for kept in self.tensors if kept.untyped_storage().data_ptr() == storage}
        if sharing - {id(target)} or self._numbers.get(id(target)) in self._given:
            raise NotRecordable(f"step() calls {name} on a tensor that others see")
        return getattr(packet, func._overloadname)

    def leave(self, y: Tensor, states: Sequence[Tensor]) -> None:
        """Note the results, and refuse what has a gradient of its own making."""
        self.recording.output = self._ref(y).number
        self.recording.next_states = [self._ref(state).number for state in states]
        _check_graph([y, *states])
        if any(tensor._backward_hooks for tensor in self.tensors):
            raise NotRecordable("step() puts hooks on tensors")


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
    made = [item for item in (result if isinstance(result, tuple | list) else [result]) if isinstance(item, Tensor)]
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
