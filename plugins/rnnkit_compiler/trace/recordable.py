"""What of torch's operations can be recorded, and how each is run meanwhile."""

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.recording import NotRecordable
from rnnkit_compiler.trace.way_back import nodes_of

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


def listed(result: Any) -> Sequence[Any]:
    """Return what an operation returns as several."""
    return result if isinstance(result, tuple | list) else (result,)


def functional_form(func: Any, target: Any) -> Any:
    """Return the operation that makes a new tensor in place of overwriting `target`; None: a copy of its argument.

    Raises:
        NotRecordable: there is none.
    """
    name = func._schema.name.removeprefix("aten::")
    if torch.Tag.nondeterministic_seeded in func.tags:
        raise NotRecordable(_draws(func))
    form = _new_form(func) if isinstance(target, Tensor) else None
    if form is None:
        raise NotRecordable(f"step() calls {name}, which overwrites a tensor")
    if name == "zero_" and target.is_complex():  # torch has no derivative of the other one
        return aten.zeros_like.default
    return None if name == "copy_" else form


@cache
def _new_form(func: Any) -> Any:
    """Return the operation that takes what another overwrites a tensor by, and makes a new one; None: there is none.

    By what it takes, since names mislead: `pow_.Scalar` is a power of a tensor, `pow.Scalar` one of a number.
    """
    name = func._schema.name.removeprefix("aten::")
    packet = getattr(aten, name.removesuffix("_"), None) if name.endswith("_") else None
    forms = [] if packet is None else [getattr(packet, overload) for overload in packet.overloads()]
    return next((form for form in forms if _taken_by(form) == _taken_by(func)), None)


def _taken_by(func: Any) -> list[str]:
    return [str(argument.type) for argument in func._schema.arguments]


def check_operation(func: Any) -> None:
    """Raise NotRecordable if what an operation does depends on the numbers of this run, or is not known."""
    if func.namespace != "aten":
        raise NotRecordable(f"step() calls {func}, which is no operation of torch's own")
    if func is aten._local_scalar_dense.default or torch.Tag.data_dependent_output in func.tags:
        raise NotRecordable("step() reads the values of a tensor")
    if torch.Tag.dynamic_output_shape in func.tags and func is not aten.index.Tensor:
        raise NotRecordable(f"step() calls {func}, whose result has a shape that depends on values")


def unknown(tensor: Tensor, strided: Sequence[Tensor]) -> str:
    """Say why a tensor that is read has no number."""
    if any(tensor is made for made in strided):
        return "step() reads memory by strides, which may be others the next time"
    if tensor.layout is not torch.strided:
        return f"step() reads a tensor that is {tensor.layout}; kernels read dense ones, as to_dense() makes"
    return "step() reads a tensor that it neither makes nor is given, and that is not found in the cell or beside it"


def check_index(func: Any, args: tuple[Any, ...]) -> None:
    """Raise NotRecordable if elements are taken by a mask over the rows, of which there may be any number."""
    if func is aten.index.Tensor and isinstance(args[1][0], Tensor) and args[1][0].dtype == torch.bool:
        raise NotRecordable("step() takes elements by a mask, of which there may be any number; torch.where keeps all")


def run(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run an operation; raises NotRecordable if it draws random numbers.

    What might draw need not, as attention without dropout. On other devices than the CPU it is taken to do so.
    """
    if torch.Tag.nondeterministic_seeded not in func.tags:
        return func(*args, **kwargs)
    if kwargs.get("generator") is not None:
        raise NotRecordable(_draws(func))
    before = torch.get_rng_state()
    result = func(*args, **kwargs)
    made = [item for item in listed(result) if isinstance(item, Tensor)]
    if all(tensor.is_cpu for tensor in made) and torch.equal(before, torch.get_rng_state()):
        return result
    raise NotRecordable(_draws(func))


def _draws(func: Any) -> str:
    return f"step() draws random numbers ({func}); project() is the place"


def check_graph(tensors: Sequence[Tensor], known: Collection[Any]) -> None:
    """Raise NotRecordable if a Function written in Python is in the graph and not known: its forward alone shows."""
    for node in nodes_of(tensors):
        if isinstance(node, torch._C._FunctionBase) and node not in known:
            raise NotRecordable(f"step() applies {type(node).__name__.removesuffix('Backward')}, an autograd.Function")


def one_of_its_own(like: Tensor, kwargs: Mapping[str, Any]) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """Return the call that makes a one like a number of which only the form counts."""
    given = {name: value for name, value in kwargs.items() if name != "memory_format" and value is not None}
    return aten.ones.default, ([],), {"dtype": like.dtype, "device": like.device} | given
