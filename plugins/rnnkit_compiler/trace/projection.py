"""The projection: whether it may be recorded with the step, as what it makes of one row of one step."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.example import on_trial
from rnnkit_compiler.trace.named import stores
from rnnkit_compiler.trace.paths import tensor_at
from rnnkit_compiler.trace.random_states import kept
from rnnkit_compiler.trace.recording import NotRecordable
from rnnkit_compiler.trace.written import Written

Nest = Callable[[rnnkit.Cell, Sequence[Tensor]], rnnkit.Projected]
"""From a cell and the parts of one step, in a list, to what `step` takes: the form that `project` returned."""

STEPS, ROWS = 3, 2

NAMES = frozenset(("linear", "layer_norm", "matmul", "mm", "addmm", "t", "T", "mT", "weight", "bias", "project"))
"""What the code of a projection may call: nothing that reads shapes or values, draws, or treats dimensions apart."""

MODULES = (torch, torch.nn.functional)
PARTS = (Tensor, bool, int, float, str, type(None))
LAYERS = (torch.nn.Linear, torch.nn.LayerNorm)


def of_one_step(cell: rnnkit.Cell, inputs: Sequence[Tensor]) -> rnnkit.Projected:
    """Return what `step` takes, from the input of one step, (B, D) and alone in a list.

    Raises:
        NotRecordable: now or later, the projection does not go step by step.
    """
    try:
        return cell.project(inputs[0])
    except Exception as error:
        raise NotRecordable("project() takes sequences only") from error


def nesting(projected: rnnkit.Projected) -> Nest:
    """Return the function that puts a list of parts into the form of `projected`."""

    def nest(cell: rnnkit.Cell, parts: Sequence[Tensor]) -> rnnkit.Projected:
        left = iter(parts)
        return rnnkit.map_parts(lambda _: next(left), projected)

    return nest


def check_projection(cell: rnnkit.Cell, xs: Tensor) -> None:
    """Raise NotRecordable unless the projection is made of products and norms of features, by its code and on numbers.

    The numbers alone would not do: with weights that are zero now, whatever mixes rows looks harmless.

    Args:
        cell: the cell.
        xs: like its input; only the dtype and device are read.
    """
    if not _is_plain(cell):
        raise NotRecordable("project() does more than products and norms")
    example = _several(cell, xs)
    with torch.no_grad(), on_trial(cell) as tried:
        together = rnnkit.parts_of(of_one_step(tried, [example]))
        for t in range(STEPS):
            alone = rnnkit.parts_of(of_one_step(tried, [example[t]]))
            if len(alone) != len(together) or not all(map(_same, alone, [part[t] for part in together])):
                raise NotRecordable("project() mixes steps")


def check_writes_nothing(cell: rnnkit.Cell, xs: Tensor, paths: Iterable[str]) -> None:
    """Raise NotRecordable if the projection writes on the cell, or in tensors whose contents are looked at.

    It is called once for all steps, between that look and the steps, which would then find something else.

    Args:
        cell: the cell.
        xs: like its input; only the dtype and device are read.
        paths: of these tensors.
    """
    with kept(xs), torch.no_grad(), on_trial(cell) as tried:
        tensors = {path: tensor_at(tried, path) for path in paths}
        before = {path: (tensor.clone(), tensor._version) for path, tensor in tensors.items()}
        written, several = Written(tried, tensors), _several(cell, xs)
        tried.project(several)
        for path, (values, version) in before.items():
            is_same = (tensors[path] == values) | (values != values)
            if tensors[path]._version != version or not bool(is_same.all()):
                raise NotRecordable(f"project() changes {path} in place, and step() asks for what is in it")
        written.check(lambda: tried.project(several))


def _several(cell: rnnkit.Cell, like: Tensor) -> Tensor:
    """Return several rows of several steps, of which no two are equal."""
    size = STEPS * ROWS * cell.input_size
    return torch.linspace(-1, 1, size, dtype=like.dtype, device=like.device).sin().view(STEPS, ROWS, -1)


def may_write(cell: rnnkit.Cell) -> bool:
    """Tell whether the code of a projection sets an attribute of something."""
    return stores(type(cell).project.__code__) or "project" in vars(cell)


def _is_plain(cell: rnnkit.Cell) -> bool:
    """Whether all names in the code of `project` are known to be harmless."""
    function = type(cell).project
    code = function.__code__
    if "project" in vars(cell) or code.co_freevars or any(hasattr(constant, "co_code") for constant in code.co_consts):
        return False
    return all(_is_harmless(cell, name, function.__globals__.get(name)) for name in code.co_names)


def _is_harmless(cell: rnnkit.Cell, name: str, value: object) -> bool:
    if name in NAMES or any(value is module for module in MODULES):
        return True
    own = getattr(cell, name, cell)
    return isinstance(own, PARTS) or type(own) in LAYERS or (isinstance(own, rnnkit.Cell) and _is_inner(cell, own))


def _is_inner(cell: rnnkit.Cell, own: rnnkit.Cell) -> bool:
    return own is not cell and _is_plain(own)


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    tolerance = 1e3 * torch.finfo(one.dtype).eps if one.is_floating_point() else 0.0
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
