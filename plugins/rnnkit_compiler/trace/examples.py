"""Examples: the numbers on which a step is recorded, in rows that differ, and others to check it by."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.generators import Generators
from rnnkit_compiler.trace.holdings import Holdings
from rnnkit_compiler.trace.verification import ALL, LARGE

WITHIN: dict[str | None, Callable[[Tensor], Tensor]] = {
    "positive": torch.exp,
    "non-negative": torch.exp,
    "unit interval": torch.sigmoid,
}
"""From any numbers to those of a state's domain; the real ones stay as they are."""


class Examples(NamedTuple):
    """What a step is recorded on."""

    parts: list[Tensor]
    """Each (ALL rows, ...)."""

    states: list[Tensor]
    """Each (ALL rows, ...)."""

    weights: dict[str, Tensor]
    """The cell's parameters, buffers and other tensors, by path."""

    live: frozenset[int]
    """The ids of weights that a step may come upon elsewhere, so that nothing stands in for them."""

    meets_cell: bool
    """Whether a copy of the cell may come upon modules of the cell itself, or their tables."""

    generators: Generators
    """What draws in all runs."""


def examples_of(cell: rnnkit.Cell, parts: Sequence[Tensor], states: Sequence[Tensor]) -> Examples:
    """Return examples for a cell, of the shapes and dtypes of such parts (T, B, ...) and states (B, ...)."""
    domains = getattr(cell, "state_domains", {})
    signs = [domains.get(name) for name in cell.state_names]
    held = Holdings(cell)
    return Examples(
        [_example(part.shape[2:], part, None) for part in parts],
        [_example(state.shape[1:], state, sign) for state, sign in zip(states, signs, strict=True)],
        {
            **dict(cell.named_parameters(remove_duplicate=False)),
            **dict(cell.named_buffers(remove_duplicate=False)),
            **held.tensors,
        },
        held.live,
        held.meet_cell,
        Generators(next((tensor.device for tensor in (*parts, *states)), torch.device("cpu"))),
    )


def _example(shape: Sequence[int], like: Tensor, domain: str | None) -> Tensor:
    """Return ALL rows of numbers in which no row is the mean, median or an extreme of the few, and no two are equal."""
    count = len(ALL)
    if like.is_complex():
        real = _example((2, *shape), like.real, None)
        return torch.complex(real[:, 0], real[:, 1].roll(1, 0))
    if not like.is_floating_point():  # so that the few are others backwards
        rows = torch.tensor([0, 0, 1, 0, 1, 1, 0], dtype=like.dtype, device=like.device)
        return rows.view(count, *(1 for _ in shape)).repeat(1, *shape)
    with torch.inference_mode(False), torch.no_grad():
        each = torch.arange(torch.Size(shape).numel(), dtype=torch.float64, device="cpu")
        levels = torch.tensor([-0.5, -0.28, -0.17, -0.02, 0.21, 0.33, 0.5], dtype=torch.float64, device="cpu")
        rows = levels.unsqueeze(1) + 0.05 * torch.sin(each + torch.arange(count, device="cpu").unsqueeze(1))
        if domain in WITHIN:
            rows = WITHIN[domain](rows)
        return rows.to(like.device, like.dtype).view(count, *shape)


def otherwise(examples: Examples, kept: Collection[str] = ()) -> Examples:
    """Return examples with other numbers of the same kind; of large weights, which nobody reads singly, the same.

    Args:
        examples: that are changed.
        kept: the paths of those that stay.
    """
    stay = {id(examples.weights[path]) for path in kept}.union(examples.live)
    weights = {id(tensor): tensor for tensor in examples.weights.values()}  # tied ones stay tied
    others = {
        key: tensor if tensor.numel() > LARGE or key in stay else _other(tensor) for key, tensor in weights.items()
    }
    return examples._replace(
        parts=[_other(tensor) for tensor in examples.parts],
        states=[_other(tensor) for tensor in examples.states],
        weights={path: others[id(tensor)] for path, tensor in examples.weights.items()},
    )


def _other(tensor: Tensor) -> Tensor:
    if isinstance(tensor, torch.nn.Parameter):  # stays one: Python asks it first in `tensor < parameter`
        return torch.nn.Parameter(_other(tensor.detach()), tensor.requires_grad)
    if tensor.is_floating_point() or tensor.is_complex():
        return tensor * 0.875
    if tensor.numel() > 1:  # indices stay within their range
        return tensor.flatten().roll(1).view(tensor.shape)
    return ~tensor if tensor.dtype == torch.bool else tensor + 1
