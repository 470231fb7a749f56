"""Effective memory: how many of the last inputs the output really depends on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnnkit.core.cell import State, starting_state
from rnnkit.core.task import Batch, Task
from rnnkit.errors import DivergedError, UsageError, check_positive, check_whole
from rnnkit.inspection.passage import Visitor, traverse
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, Study, studying
from rnnkit.inspection.subject import Part
from rnnkit.inspection.wording import count, number, percent
from rnnkit.support.figures import COLOURS, empty

ROWS = 2048
"""Of a batch in which several contexts are tried at once."""
ALL, SOME = 256, 64
"""Up to so many steps every context is tried; of more, so many, evenly spaced in the logarithm."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectiveMemory(Inspection):
    """What is lost with a shorter context; see `effective_memory`."""

    title = "Effective memory"

    contexts: Numbers
    """How many inputs the first of the judged outputs has seen, (K,); the last one all there are."""
    cost: Numbers
    """What each costs, as a share: by how much the loss is higher, or the relative difference of the output, (K,)."""
    loss: Numbers | None
    """The task's loss for each context (K,); None without a task."""
    tolerance: float

    @property
    def memory(self) -> int:
        """The shortest context from which on the cost is below the tolerance."""
        bad = np.flatnonzero(~(self.cost < self.tolerance))
        return int(self.contexts[min(int(bad[-1]) + 1, len(self.contexts) - 1)]) if len(bad) else int(self.contexts[0])

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        longest = int(self.contexts[-1])
        what = "the loss" if self.loss is not None else "the last output"
        if self.memory == longest:
            return f"It uses all {count(longest, 'input')} that there are, and perhaps would use more."
        close = (
            f"is less than {percent(self.tolerance)} higher"
            if self.loss is not None
            else (f"differs by less than {percent(self.tolerance)}")
        )
        return f"Its memory is {count(self.memory, 'input')}: with no more than these, of {longest}, {what} {close}."

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return "A trained model remembers about as long as its task asks for, a new cell for ten inputs or so."

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        if self.memory == int(self.contexts[-1]):
            return "Take longer sequences, to see where it ends."
        return "If the task asks for more, train on longer windows, or open the forget gate (rnnkit.init.chrono_)."

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        rows = [("memory, inputs", str(self.memory))]
        chosen = sorted({int(i) for i in np.linspace(0, len(self.contexts) - 1, 6)})
        costs = [(f"cost with {count(int(self.contexts[i]), 'input')}", percent(float(self.cost[i]))) for i in chosen]
        return rows + costs + ([] if self.loss is None else [("loss with all of them", number(float(self.loss[-1])))])

    def to_json(self) -> dict[str, Any]:
        """Return everything as `json.dumps` takes it."""
        return {**super().to_json(), "memory": self.memory}

    def _draw(self, axes: Any) -> None:
        shown = np.where(self.cost > 0, self.cost, np.nan)
        axes.plot(self.contexts, shown, color=COLOURS[0], linewidth=1.6, marker="o", markersize=3)
        axes.axhline(self.tolerance, color=COLOURS[-1], linewidth=1, linestyle="--")
        axes.axvline(self.memory, color=COLOURS[1], linewidth=1.2)
        axes.annotate(
            f"memory {self.memory}",
            (self.memory, 0.97),
            xycoords=("data", "axes fraction"),
            va="top",
            xytext=(5, 0),
            textcoords="offset points",
            color=COLOURS[1],
        )
        if (self.cost > 0).any():
            axes.set_yscale("log")
        else:
            empty(axes, "no context costs anything")
        axes.set_xlabel("inputs that it has seen")
        axes.set_ylabel("higher loss, as a share" if self.loss is not None else "relative difference of the output")
        axes.grid(alpha=0.3)


def effective_memory(
    subject: Any,
    inputs: Any = None,
    *,
    task: Task | None = None,
    batch: Batch | None = None,
    last: int = 1,
    tolerance: float = 0.01,
    contexts: Sequence[int] | None = None,
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    **options: Any,
) -> EffectiveMemory:
    """Return how much is lost when only the last k inputs are seen, from a fresh state, for each k.

    With a task a context is judged by the task's loss at the last steps, without one by how far the outputs there are
    from those that have seen everything, ‖y_k - y‖ / ‖y‖ over the batch.

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        task: judges a Model.
        batch: of the task; None: one that it draws.
        last: outputs that are judged; the first of them has seen k inputs, each further one more.
        tolerance: the cost below which nothing is lost.
        contexts: numbers k; None: all, of more than 256 steps 64 of them. All inputs are added to them.
        steps: T, where inputs are drawn.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.
        DivergedError: an output or the loss is not finite.

    Source: Khandelwal, He, Qi & Jurafsky, "Sharp Nearby, Fuzzy Far Away: How Neural Language Models Use Context", ACL
    2018.
    """
    check_whole("last", last)
    check_positive("tolerance", tolerance)
    drawn = Drawn(steps, batch_size, seed, options)
    with studying(subject, inputs, drawn, task=task, batch=batch) as study, torch.no_grad():
        length = len(study.inputs)
        _check_last(last, length, task)
        tried, notes = _contexts(contexts, length - last + 1)
        outputs = _outputs(study, tried, last)
        cost, losses = _costs(study, outputs, last)
        free = int((cost[:-1] <= 0).sum())
        if 0 < free < len(tried) - 1:
            notes.append(f"{count(free, 'context')} of {len(tried)} cost nothing, and are gaps in the picture.")
        return EffectiveMemory(
            subject=study.subject.label,
            notes=(*study.notes, *notes),
            contexts=np.array(tried, dtype=float),
            cost=cost,
            loss=losses,
            tolerance=tolerance,
        )


def _check_last(last: int, length: int, task: Task | None) -> None:
    if last > length:
        raise UsageError(f"last is {last}; the sequence has {count(length, 'step')}")
    if task is not None and not task.every_step and last > 1:
        raise UsageError(f"last is {last}; task {task.name!r} has one target a sequence, so it must be 1")


class _Restarting(Visitor):
    """Lets groups of rows begin anew, each at a step of its own; a cell that goes backwards has seen no more anyway."""

    def __init__(self, starts: Tensor, rows: int) -> None:
        self._starts, self._rows = starts, rows
        self._initial: dict[str, State] = {}

    def begin(self, part: Part, state: State) -> State:
        """Return the state in which every group begins."""
        groups = len(self._starts) // self._rows
        state = tuple(t.repeat(groups, *[1] * (t.ndim - 1)) for t in starting_state(part.cell, self._rows, state[0]))
        self._initial[part.suffix] = state
        return state

    def before(self, part: Part, step: int, state: State) -> State:
        """Return the state, fresh in the rows that begin here."""
        here = self._starts == step
        if part.reverse or step == 0 or not bool(here.any()):
            return state
        pairs = zip(state, self._initial[part.suffix], strict=True)
        return tuple(torch.where(here.view(-1, *[1] * (t.ndim - 1)), fresh, t) for t, fresh in pairs)


def _contexts(given: Sequence[int] | None, longest: int) -> tuple[list[int], list[str]]:
    """Return the contexts to be tried, and what is to be said of them."""
    if given is None and longest > ALL:
        spaced = {round(k) for k in np.geomspace(1, longest, SOME)}
        note = f"Of {longest} contexts {len(spaced)} were tried, so the memory is known to about a tenth."
        return sorted(spaced), [note]
    for k in given or ():
        check_whole("contexts: k", k)
        if k > longest:
            raise UsageError(f"contexts has {k}; there are {count(longest, 'input')} before the first judged output")
    return sorted({*(given or range(1, longest + 1)), longest}), []


def _outputs(study: Study, contexts: list[int], last: int) -> list[Tensor]:
    """Return the last outputs (last, B, O) of each context."""
    xs = study.xs
    rows = xs.shape[1]
    at_once = max(1, ROWS // rows)
    outputs: list[Tensor] = []
    for first in range(0, len(contexts), at_once):
        group = contexts[first : first + at_once]
        longest = group[-1]
        starts = torch.tensor([longest - k for k in group], device=xs.device).repeat_interleave(rows)
        seen = xs[len(xs) - last + 1 - longest :].repeat(1, len(group), 1)
        ys = traverse(study.subject, seen, _Restarting(starts, rows)).outputs[-last:]
        outputs += ys.reshape(last, len(group), rows, -1).unbind(1)
    return outputs


def _costs(study: Study, outputs: list[Tensor], last: int) -> tuple[Numbers, Numbers | None]:
    """Return what each context costs, and with a task its loss."""
    losses: Numbers | None = None
    if study.task is None:
        whole = outputs[-1]
        scale = float(whole.abs().double().norm()) or 1.0
        cost = np.array([float((ys - whole).abs().double().norm()) / scale for ys in outputs])
    else:
        losses = np.array([float(study.task_loss(ys, last)) for ys in outputs])
        cost = (losses - losses[-1]) / max(abs(float(losses[-1])), 1e-12)
    if not np.isfinite(cost).all():
        raise DivergedError(
            f"{study.subject.label}: the outputs or the loss are not finite, so contexts cannot be compared; look at "
            "them with rnnkit.inspection.record"
        )
    return cost, losses
