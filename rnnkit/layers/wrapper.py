"""The wrapper: a cell around any cell."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from torch import Tensor

from rnnkit.core.cell import Cell, Projected, State, starting_state
from rnnkit.errors import UsageError, check_rate
from rnnkit.plugin.cell_spec import CellLike, choose


class Wrapper(Cell):
    """A cell that changes what goes into another one, or what comes out: the base of zoneout, residual and the like.

    By itself it is the identity: its state, output and numbers are the inner cell's. A wrapper overrides `project`,
    `step` or `initial_state` and calls the inner cell's. What it draws, it draws in `project`, and hands on beside the
    inner cell's own projection, as a tuple.

    In a layer the inner cell's parameters keep their names, so that state dicts go between a cell and the same cell
    wrapped.

    Args:
        input_size: D.
        hidden_size: H.
        inner: what is wrapped: a name, MODULE:CLASS, an expression, a Cell class or a `functools.partial` of one.
        **options: of the inner cell.
    """

    learns_initial_state: ClassVar[bool] = False
    """Whether its own parameters are the initial state: `trainable_state=True` of a layer puts it around every cell.
    One registered wrapper alone may declare it."""

    def __init__(self, input_size: int, hidden_size: int, *, inner: CellLike = "lstm", **options: Any) -> None:
        super().__init__(input_size, hidden_size)
        choice = choose(inner)
        bias = options.pop("bias", True)
        self.inner = choice.build(input_size, hidden_size, options, bias)
        self.state_names = self.inner.state_names
        self.state_domains = self.inner.state_domains
        self.straight_through = self.inner.straight_through or type(self).straight_through

    @property
    def output_size(self) -> int:
        """Width of the inner cell's output."""
        return self.inner.output_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Widths of the inner cell's state."""
        return self.inner.state_sizes

    def initial_state(self, batch_size: int) -> State:
        """Return the inner cell's initial state."""
        return starting_state(self.inner, batch_size)

    def project(self, xs: Tensor) -> Projected:
        """Return what the inner cell computes from the input alone."""
        return self.inner.project(xs)

    def step(self, p: Any, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell one step."""
        return self.inner.step(p, state)

    def advance(self, p: Any, read: State, state: State) -> tuple[Tensor, State]:
        """Advance the inner cell by what it is to read; a wrapper that has a step of its own, by that."""
        if type(self).step is not Wrapper.step:
            return self.step(p, read)
        return self.inner.advance(p, read, state)

    def reset_parameters(self) -> None:
        """Draw the inner cell's parameters again, in its own way."""
        resetter(self.inner)()

    def rates_for(self, label: str, rate: float | dict[str, float], names: tuple[str, ...]) -> dict[str, float]:
        """Read a rate for all of `names`, or a table of some of them; the others have rate 0."""
        table = rate if isinstance(rate, dict) else dict.fromkeys(names, rate)
        for name, value in table.items():
            if name not in names:
                raise UsageError(f"cell {self.name!r}: {label} has {name!r}; there are {', '.join(names)}")
            check_rate(f"cell {self.name!r}: {label} of {name!r}", value)
        return {name: float(table.get(name, 0.0)) for name in names}


def nested_cells(cell: Cell) -> Iterator[Cell]:
    """Go through a cell and, if it is a wrapper, those inside of it, from the outside in."""
    yield cell
    while isinstance(cell, Wrapper):
        cell = cell.inner
        yield cell


def innermost(cell: Cell) -> Cell:
    """Return the cell without its wrappers."""
    *_, inner = nested_cells(cell)
    return inner


def resetter(cell: Cell) -> Callable[[], None]:
    """Return what draws a cell's parameters again, in its own way.

    Raises:
        UsageError: the cell, or the one inside of it, cannot; nothing has been drawn.
    """
    inner = innermost(cell)
    if not hasattr(inner, "reset_parameters"):
        raise UsageError(f"cell {inner.name!r} has no reset_parameters(); build the layer anew")
    reset: Callable[[], None] = cell.reset_parameters  # type: ignore[assignment]
    return reset
