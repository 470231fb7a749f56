"""Rows: whether those of a batch are computed each by itself."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State
from rnnkit.plugin.resolve import reference_unroller
from rnnkit.testing import culprits
from rnnkit.testing.author import Author
from rnnkit.testing.conformance import located
from rnnkit.testing.law import labels

COUNTS = (1, 2, 3, 4, 5)
"""Rows in which the same ones must come to the same numbers."""


def mixed_rows(cell: Cell, author: Author, xs: Tensor, state: State) -> Iterator[str]:
    """Yield a sentence where a row depends on another one, or else on how many there are.

    Args:
        cell: whose steps are run, by the loop.
        author: of its class.
        xs: (T, B, D), B of two at least.
        state: before the first step.
    """
    count = xs.shape[1]
    others = torch.arange(count) != 1
    changed = xs.clone()
    changed[:, 1] += 1
    runs = (seeded(unrolled, cell, xs, state), seeded(unrolled, cell, changed, state))
    before, after = (run() for run in runs)
    pairs = zip(before, after, strict=True)
    mixed = [k for k, (was, now) in enumerate(pairs) if not _close(_rows(was, k, others), _rows(now, k, others))]
    if mixed:
        place = culprits.mixing(author, *runs, count)
        yield _sentence(cell, "of one row depends on another row of the batch", mixed, place, author)
    elif not _draws(runs[0]):
        yield from _counted_rows(cell, author, xs, state)


def _counted_rows(cell: Cell, author: Author, xs: Tensor, state: State) -> Iterator[str]:
    whole = unrolled(cell, xs, state)
    for count in COUNTS:
        chosen = torch.arange(count) % xs.shape[1]
        found = unrolled(cell, xs[:, chosen], tuple(tensor[chosen] for tensor in state))
        pairs = zip(whole, found, strict=True)
        differ = [k for k, (was, now) in enumerate(pairs) if not _close(_rows(was, k, chosen), now)]
        if differ:
            yield _sentence(cell, f"of a row is another one among {count} rows than among others", differ, None, author)
            return


def _sentence(cell: Cell, what: str, differing: list[int], place: Any, author: Author) -> str:
    names = [labels(cell)[k] for k in differing]
    also = f"; so it is with {', '.join(names[1:])}" if names[1:] else ""
    return located(f"{names[0]} {what}{also}", place, author.definition("step"))


def _rows(tensor: Tensor, number: int, chosen: Tensor) -> Tensor:
    """Return some rows of the output, which is the first, or of a state."""
    return tensor[chosen] if number else tensor[:, chosen]


def _close(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-9, atol=1e-9)


def _draws(run: Callable[[], object]) -> bool:
    """Tell whether a run draws random numbers, so that another number of rows has others."""
    run()  # which sets the seed first
    after = torch.get_rng_state()
    torch.manual_seed(1)
    return not torch.equal(after, torch.get_rng_state())


def seeded(function: Callable[..., list[Tensor]], *arguments: Any) -> Callable[[], list[Tensor]]:
    """Return a function that draws the same random numbers at each call."""

    def run() -> list[Tensor]:
        torch.manual_seed(1)
        return function(*arguments)

    return run


def unrolled(cell: Cell, xs: Tensor, state: State) -> list[Tensor]:
    """Return the loop's output (T, B, O) and last state."""
    with torch.no_grad():
        ys, last = reference_unroller()(cell, xs, state)
    return [ys, *last]
