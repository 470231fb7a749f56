"""The unroller: how a cell is stepped over a sequence and differentiated."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, NamedTuple

from torch import Tensor
from torch.nn.functional import embedding

from rnnkit.core.advancer import Advancer
from rnnkit.core.bound import Bound
from rnnkit.core.cell import Cell, State, name_after_class, parameters_of
from rnnkit.core.input_checks import (
    check_input,
    check_lengths,
    check_reset,
    check_state,
    checked_start,
    describe,
    plain_state,
)
from rnnkit.core.rival import Rival
from rnnkit.core.row_masks import running_rows
from rnnkit.errors import ShapeError


class Unroller(ABC):
    """Runs a cell over time. It trades time for memory, never numbers.

    For every cell and input, outputs, final state and all gradients equal those of the plain loop:

        projected = cell.project(xs)
        for t in range(T):
            y[t], state = cell.step(projected[t], state)

    Options of an unroller are arguments of its constructor.
    """

    name: ClassVar[str]
    """What the registry and the command line call the unroller."""

    auto_rank: ClassVar[int | None] = None
    """`unroller="auto"` takes the highest rank among those that apply; None: only by name, unless `rank` says more."""

    is_reference: ClassVar[bool] = False
    """Whether this is the plain loop, which all others must equal: what runs where they cannot. One unroller alone is.
    """

    takes_all_cells: ClassVar[bool] = True
    """Whether it runs every cell, if need be by the plain loop. One that does not says in `refusal` which it refuses;
    checks of all cells pass these over.
    """

    replays: ClassVar[bool] = False
    """Whether it keeps some states and runs the rest again in the backward pass, so that it takes less memory.

    Then its constructor takes `segment`, steps, or `budget`, bytes, as the attributes of these names keep them, and
    `schedule(cell, xs, state)` returns how xs (T, B, D) is taken back: `leaf` steps of a segment, `slots` states kept,
    `runs()` steps run forward. Memory is predicted by that, and limits propose a budget.
    """

    @classmethod
    def variants(cls) -> "list[Unroller]":
        """Return one for each way in which it may run a cell, however it would choose: what checks try.

        One that a cell does not go with says so by `applies`.
        """
        return [cls()]

    def __init_subclass__(cls, **options: Any) -> None:
        """Name a class that sets no name of its own after itself."""
        super().__init_subclass__(**options)
        name_after_class(cls)

    def applies(self, cell: Cell) -> bool:
        """Tell whether this unroller can run `cell`; `auto` passes over those that can't.

        It is asked when a layer is built, and again when the layer's parameters have moved or changed their dtype. What
        it says must hold within a wrapper that returns the states too; where that is too much to promise, fall back to
        the plain loop.
        """
        return True

    def refusal(self, cell: Cell, use: str = "first") -> str:
        """Say in a sentence why this unroller does not do `use` with `cell`; empty: it does.

        By default all is done with what it applies to. One that does not take all cells is asked when a layer is built
        with it, and raises UsageError with the same sentence when it is called. In `rnnkit gradcheck --matrix` it is a
        declared exception, where all else has to be right.

        Args:
            cell: what would be stepped.
            use: "first", gradients; "second", gradients of gradients; "vmap" and "jvp", as of `torch.func`;
                "float32", gradients in float32.
        """
        if self.applies(cell):
            return ""
        return f"it does not apply to this cell ({self.explain(cell).partition(chr(10))[0]})"

    def rank(self, cell: Cell) -> int | None:
        """Return the rank by which `auto` goes for `cell` in its dtype and on its device; None: it is passed over.

        By default `auto_rank`. To answer must be cheap: `applies` is asked after it, and only from the highest rank
        down.
        """
        return self.auto_rank

    @abstractmethod
    def __call__(
        self,
        cell: Cell,
        xs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over `xs`.

        Args:
            cell: what is stepped.
            xs: (T, B, D), time first.
            state: the state before the first step, one tensor (B, ...) for each name; None: the cell's initial
                state.
            lengths: (B,) integers from 1 to T. Past the end of its row the output is zero and the state stays.
            reset: (T, B) booleans. Where true, that row starts again from the cell's initial state before step t.

        Returns:
            ys (T, B, O) and the state after the last step.

        Raises:
            ShapeError: an input does not fit the cell, see `prepare`.
        """

    def over_symbols(
        self,
        cell: Cell,
        symbols: Tensor,
        table: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over the rows of a table that symbols name; with the numbers of a call on these rows.

        Args:
            cell: what is stepped.
            symbols: (T, B) integers from 0 to V - 1.
            table: (V, D).
            state: as in a call.
            lengths: as in a call.
            reset: as in a call.
        """
        return self(cell, embedding(symbols, table), state, lengths=lengths, reset=reset)

    def stacked(
        self, cells: Sequence[Cell], xs: Tensor, states: Sequence[State | None], lengths: Tensor | None
    ) -> tuple[Tensor, list[State]] | None:
        """Unroll cells one on top of the other in one call; None: a layer is to run each by itself.

        Args:
            cells: each is fed with the output of the one before.
            xs: (T, B, D), the input of the first.
            states: of each cell, as in a call.
            lengths: as in a call.

        Returns:
            ys (T, B, O) of the last cell, and of each the state after the last step.
        """
        return None

    def products(self, multiplications: int) -> AbstractContextManager[object]:
        """Return what has products with matrices done faster while it is entered: those around a layer, as a readout.

        Args:
            multiplications: of the product; for few it does nothing.
        """
        return nullcontext()

    def advancer(self, cell: Cell, steps: int, rows: int) -> Advancer | None:
        """Return what runs a cell over inputs (steps, rows, D) at less cost than a call; None: nothing does.

        It gives the numbers of a call. A layer asks for it, for calls without gradients, and so does a stepper.
        """
        return None

    def bound(self, cell: Cell) -> Bound | None:
        """Return what runs a cell over real input, with gradients or without, at less cost than a call; None: nothing.

        It gives the numbers of a call. A layer asks for it.
        """
        return None

    def beats(self, cell: Cell, xs: Tensor, state: State, masks: dict[str, Tensor | None], rival: Rival) -> bool:
        """Tell whether it runs a call in less time than another way; by default it does not say so.

        Args:
            cell: what is stepped.
            xs: (T, B, D), the input.
            state: before the first step.
            masks: `lengths` and `reset`, as of a call.
            rival: the other way.
        """
        return False

    def explain(self, cell: Cell) -> str:
        """Say how this unroller runs `cell`, in one line or several: what is fused, what is not and why."""
        return "steps through time with torch's operations"

    def arrange(self, cell: Cell) -> None:  # noqa: B027  (most read them anywhere)
        """Lay out the parameters of `cell` in memory as this unroller reads them fastest; they and their numbers stay.

        A layer asks for it when it is built, has moved, or gets another unroller.
        """

    def arrange_stack(self, cells: Sequence[Cell]) -> None:
        """Do so for cells one on top of the other, which `stacked` may run in one call."""
        for cell in cells:
            self.arrange(cell)

    @classmethod
    def facts(cls) -> dict[str, str]:
        """Say what `rnnkit doctor` shows of it: what it needs of the machine and keeps on disk, and what it lacks."""
        return {}

    @classmethod
    def clear_cache(cls) -> int:
        """Remove what it keeps on disk; return how many bytes that were."""
        return 0

    @classmethod  # noqa: B027  (most keep none)
    def release_memory(cls) -> None:
        """Give back memory that it keeps for the next call; nothing that is in use."""

    def __repr__(self) -> str:
        return self.name


class Masks(NamedTuple):
    """Which rows run at which step; slices with time as the tensors do."""

    live: Tensor | None
    """(T, B) booleans: the row has not ended before this step. None: all rows run to the end."""

    restart: Tensor | None
    """(T, B) booleans: the row starts again at this step. None: no row does."""

    initial: State
    """Where a row starts again from: the cell's initial state; empty if no row does."""

    def between(self, start: int, stop: int) -> "Masks":
        """Return the masks of steps start to stop - 1."""
        return Masks(
            None if self.live is None else self.live[start:stop],
            None if self.restart is None else self.restart[start:stop],
            self.initial,
        )


class Prepared(NamedTuple):
    """What an unroller works on, checked: see `prepare`."""

    xs: Tensor
    state: State
    masks: Masks


def prepare(cell: Cell, xs: Tensor, state: State | None, lengths: Tensor | None, reset: Tensor | None) -> Prepared:
    """Check what was handed to an unroller and fill in the defaults: the one boundary check.

    Every unroller begins with it, so its loop may trust what it gets. Input past a row's end is zeroed, so
    that whatever stands in the padding, NaN included, reaches neither outputs nor gradients.

    Raises:
        ShapeError: in one sentence, the tensor at fault, its shape and the shape that fits.
    """
    if xs.ndim != 3:
        raise ShapeError(
            f"{describe(cell)}: the input has shape {tuple(xs.shape)}; an unroller takes (time, batch, input_size)"
        )
    check_input(cell, xs, xs.shape[0], parameters_of(cell))
    time, batch = xs.shape[:2]
    if lengths is not None:
        lengths = check_lengths(lengths, time, batch, xs.device)
    if reset is not None:
        reset = check_reset(reset, time, batch, xs.device)
    own = type(cell).initial_state is not Cell.initial_state
    given = state is not None
    initial = () if given and reset is None and not own else checked_start(cell, batch, xs)
    state = initial if state is None else state
    if given:  # zeros made here fit
        check_state(cell, state, initial or plain_state(cell, batch, xs), "initial state")
    live = None
    if lengths is not None:
        live = running_rows(lengths, time, xs.device)
        xs = xs.masked_fill(~live.unsqueeze(-1), 0)
    return Prepared(xs, state, Masks(live, reset, () if reset is None else initial))
