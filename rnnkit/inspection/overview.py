"""The overview: every question that this room can ask of one subject, one after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnkit import inspection
from rnnkit.core.task import Batch, Task
from rnnkit.errors import DivergedError, ShapeError, UnknownNameError, UsageError, nearest
from rnnkit.inspection.result import Inspection
from rnnkit.inspection.study import longest_rows


@dataclass(frozen=True)
class Target:
    """What is asked about, and on which data."""

    subject: Any
    """A cell by name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`."""

    task: Task | None = None
    """Judges a model; without one a loss is drawn."""

    batch: Batch | None = None
    """Of the task."""

    drawn: Mapping[str, int] = field(default_factory=dict)
    """`steps`, `batch_size` and `seed` of inputs, where they are drawn."""

    options: Mapping[str, Any] = field(default_factory=dict)
    """Of a cell by name or class."""


@dataclass(frozen=True)
class Question:
    """One function of this room."""

    ask: Callable[..., Inspection]
    judged: bool
    """Whether it takes the task's loss, and not the inputs alone."""


QUESTIONS = {
    "flow": Question(inspection.gradient_flow, judged=True),
    "jacobian": Question(inspection.jacobian_spectrum, judged=False),
    "gates": Question(inspection.gate_activity, judged=False),
    "memory": Question(inspection.effective_memory, judged=True),
    "truncation": Question(inspection.truncation_bias, judged=True),
    "saliency": Question(inspection.input_saliency, judged=True),
    "exploding": Question(inspection.exploding_steps, judged=True),
    "lyapunov": Question(inspection.lyapunov_spectrum, judged=False),
    "trajectory": Question(inspection.state_trajectory, judged=False),
}
"""By the name that `rnnkit inspect --only` takes, in the order in which the answers are read."""


def names_of(only: Sequence[str]) -> list[str]:
    """Return which questions are asked, in their order; all of them where none is named.

    Raises:
        UnknownNameError: there is no such question.
    """
    for name in only:
        if name not in QUESTIONS:
            raise UnknownNameError(f"no question {name!r}{nearest(name, QUESTIONS)}; there are {', '.join(QUESTIONS)}")
    return [name for name in QUESTIONS if not only or name in only]


def overview(target: Target, only: Sequence[str] = ()) -> Iterator[tuple[str, Inspection | str]]:
    """Ask, and yield each question's name with its answer; or with a sentence that says why there is none.

    Raises:
        UnknownNameError: `only` names no question.
    """
    for name in names_of(only):
        question = QUESTIONS[name]
        try:
            yield name, question.ask(target.subject, **_arguments(target, question))
        except (UsageError, ShapeError, DivergedError) as error:
            yield name, f"{name} is left out: {error}."


def _arguments(target: Target, question: Question) -> dict[str, Any]:
    """Return what a question is asked with."""
    if target.task is None or target.batch is None:
        return {**target.drawn, **target.options}
    seed = target.drawn.get("seed", 0)
    if question.judged:
        return {"task": target.task, "batch": target.batch, "seed": seed}
    return {"inputs": longest_rows(target.task, target.batch).xs, "seed": seed}
