"""Annealed numbers: floats of a cell that change from call to call, in whose place a step reads tensors."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.example import on_trial
from rnnkit_compiler.trace.paths import number_at, tensor_at, weights_at
from rnnkit_compiler.trace.random_states import kept

FACTORS = (1.0, 0.875, 4.0, 0.01)
"""From a number to those at which a step is tried with it and with a tensor."""

TOLERANCE = 64
"""Units in the last place by which the two may differ."""


class Strict(Tensor):
    """A tensor that lets nobody ask what kind of object it is: what was answered would not hold for a number."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    def __hash__(self) -> int:
        raise TypeError("a step looks up a number")

    @property  # type: ignore[misc] # what `isinstance` asks for where a type is another
    def __class__(self) -> Any:
        raise TypeError("a step asks for the type of a number")


def with_tensors(cell: rnnkit.Cell, paths: Iterable[str]) -> rnnkit.Cell:
    """Return a copy of a cell that has buffers in place of floats."""
    copied = rnnkit.copy_with_tensors(cell, {})
    for path, tensor in zip(paths, weights_at(cell, paths), strict=True):
        owner, name = _place(copied, path)
        del vars(owner)[name]
        owner._buffers[name] = tensor
    return copied


def _strict(cell: rnnkit.Cell, paths: Iterable[str]) -> rnnkit.Cell:
    """Return a copy of a cell that has tensors of the strict kind in place of floats."""
    copied = with_tensors(cell, paths)
    for path in paths:
        owner, name = _place(copied, path)
        owner._buffers[name] = tensor_at(copied, path).as_subclass(Strict)
    return copied


def steps_alike(cell: rnnkit.Cell, paths: Sequence[str], xs: Tensor, states: Sequence[Tensor]) -> bool:
    """Tell whether a step with tensors gives what it does with numbers, these and others: it may ask what they are.

    Args:
        cell: whose step it is.
        paths: of the numbers.
        xs: like its input (T, B, D).
        states: like its states.
    """
    try:
        return all(_is_alike(cell, paths, factor, xs, states) for factor in FACTORS)
    except Exception:  # whatever it is: a step with a number is what the user wrote
        return False


def _is_alike(cell: rnnkit.Cell, paths: Sequence[str], factor: float, xs: Tensor, states: Sequence[Tensor]) -> bool:
    with on_trial(cell) as tried, kept(xs), torch.no_grad():
        for path in paths:
            owner, name = _place(tried, path)
            vars(owner)[name] = vars(owner)[name] * factor
        one, other = (_stepped(each, xs, states) for each in (tried, _strict(tried, paths)))
    return all(map(_same, one, other))


def _place(cell: torch.nn.Module, path: str) -> tuple[torch.nn.Module, str]:
    """Return the module that has an attribute, and its name there."""
    parent, _, name = path.rpartition(".")
    return cell.get_submodule(parent), name


def numbers_of(cell: rnnkit.Cell, paths: Iterable[str]) -> tuple[str, ...]:
    """Choose the paths where the cell has a float of its own now, for which none of its class would be read.

    A zero is left alone: Python raises where something is divided by it.
    """
    found = (path for path in paths if number_at(cell, path))
    return tuple(path for path in found if not hasattr(type(_place(cell, path)[0]), _place(cell, path)[1]))


def _stepped(cell: rnnkit.Cell, xs: Tensor, states: Sequence[Tensor]) -> list[Tensor]:
    """Step over two rows of plain numbers."""
    example = torch.linspace(-1, 1, 2 * xs.shape[2], dtype=torch.float64, device="cpu").sin().view(1, 2, -1)
    before = [torch.linspace(0.1, 0.9, 2 * s[:1].numel(), device="cpu").view(2, *s.shape[1:]).to(s) for s in states]
    (p,) = rnnkit.time_slices(cell.project(example.to(xs)))
    y, after = cell.step(p, tuple(before))
    return [y, *after]


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    if not (one.is_floating_point() or one.is_complex()):
        return torch.equal(one, other)
    tolerance = TOLERANCE * torch.finfo(one.dtype).eps
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
