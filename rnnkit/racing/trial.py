"""A trial: one training of a race, and what came of it."""

import hashlib
import json
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from rnnkit.core.task import Task
from rnnkit.errors import CheckpointError, DivergedError, PluginError, RnnkitError, one_line
from rnnkit.runs.settings import Settings
from rnnkit.support.paths import file_word
from rnnkit.training.evaluation import Evaluation, evaluate

FINISHED, DIVERGED, OUT_OF_MEMORY, KILLED = "finished", "diverged", "out of memory", "killed"
OUTCOMES = (FINISHED, DIVERGED, OUT_OF_MEMORY, KILLED)
FIGURES = ("step", "tokens", "seconds", "loss", "metric")
"""What is known of each validation."""


@dataclass(frozen=True)
class Trial:
    """A training that is to be done."""

    number: int
    """The place of its cell among those of the race."""

    label: str
    """What the race calls the cell."""

    tuning: bool
    """Whether it is one by which a learning rate is chosen; else one by which cells are ranked."""

    settings: Settings

    @property
    def name(self) -> str:
        """The name of its file, without the ending; each trial of a race has its own."""
        word = file_word(self.label)[:40]
        use = "tuning-" if self.tuning else ""
        return f"{self.number}-{word}-{use}lr{self.settings.lr:g}-seed{self.settings.seed}"

    @property
    def digest(self) -> str:
        """What tells whether a result on disk is of the same settings."""
        return hashlib.sha256(self.settings.to_toml().encode()).hexdigest()


@dataclass
class Result:
    """What came of a trial: its validations, each list an element a validation, and how it ended."""

    name: str
    label: str
    tuning: bool
    lr: float
    seed: int
    digest: str
    outcome: str = FINISHED
    """One of `OUTCOMES`."""

    message: str = ""
    """Why it ended early, in a line."""

    step: list[int] = field(default_factory=list)
    """Updates before each validation; the first is before any."""

    tokens: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    """Trained until there, validation left out."""

    loss: list[float] = field(default_factory=list)
    metric: list[float] = field(default_factory=list)
    data: str = ""
    """The fingerprint of the data."""

    unroller: str = ""
    """What ran the steps."""

    notes: list[str] = field(default_factory=list)
    """What was warned of."""

    @classmethod
    def of(cls, trial: Trial) -> "Result":
        """Return the result of a trial that has not begun."""
        run = trial.settings
        return cls(trial.name, trial.label, trial.tuning, run.lr, run.seed, trial.digest)

    @property
    def finished(self) -> bool:
        """Whether all steps were taken."""
        return self.outcome == FINISHED

    def score(self, higher_is_better: bool) -> float:
        """Return the metric of the last validation; that of a training which did not finish is the worst there is."""
        worst = -math.inf if higher_is_better else math.inf
        return self.metric[-1] if self.finished else worst

    def append(self, step: int, tokens: int, seconds: float, figures: Evaluation) -> None:
        """Take note of a validation."""
        for name, value in zip(FIGURES, (step, tokens, seconds, *figures), strict=True):
            getattr(self, name).append(value)

    def to_json(self) -> bytes:
        """Write as JSON that `read` verifies."""
        values = asdict(self)
        return json.dumps({**values, "sha256": _sha256(values)}).encode() + b"\n"

    @classmethod
    def read(cls, data: bytes, trial: Trial) -> "Result":
        """Read the result of a trial.

        Raises:
            CheckpointError: it is damaged, or another trial's; the message says which, without the file.
        """
        try:
            values = json.loads(data)
            intact = values.pop("sha256") == _sha256(values)
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            intact = False
        if not intact:
            raise CheckpointError("is damaged")
        if values.get("digest") != trial.digest or values.get("name") != trial.name:
            raise CheckpointError("is of other settings")
        return cls(**values)


class Step(NamedTuple):
    """A trial has come to another update."""

    step: int


def trained(trial: Trial, task: Task) -> Iterator[Step | Result]:
    """Train, and yield a `Step` after each update; at the end the `Result`.

    A training that diverges, or for which memory is not enough, has a result as any other.

    Raises:
        RnnkitError: what would end any training of these settings, as data that are gone.
    """
    result = Result.of(trial)
    with _noted(result.notes):
        try:
            yield from _updates(trial.settings, task, result)
        except DivergedError as error:
            result.outcome, result.message = DIVERGED, str(error)
        except RnnkitError:
            raise
        except Exception as error:
            if not wants_memory(error):
                raise PluginError(f"cell {trial.label!r} on task {task.name!r} fails: {one_line(error)}") from error
            result.outcome, result.message = OUT_OF_MEMORY, one_line(error)
    yield result


def _updates(settings: Settings, task: Task, result: Result) -> Iterator[Step]:
    """Take all updates, and note the validations."""
    result.data = task.fingerprint()
    model = settings.make_model(task)
    training = settings.make_training(model, task)
    result.unroller = str(model.layer.unroller)
    first = evaluate(model, task)
    if all(map(math.isfinite, first)):
        result.append(0, 0, 0.0, first)
    for record in training.records():
        if record.validation is not None:
            if not math.isfinite(record.validation.metric):
                raise DivergedError(f"step {record.step}: the validation's {task.metric_name} is not finite")
            result.append(record.step, record.tokens, record.seconds, record.validation)
        yield Step(record.step)


def wants_memory(error: Exception) -> bool:
    """Tell whether an error says that memory is not enough."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


class _Kept(logging.Handler):
    """Keeps what is logged, each line once."""

    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        line = " ".join(record.getMessage().split())
        if line not in self.notes:
            self.notes.append(line)


@contextmanager
def _noted(notes: list[str]) -> Iterator[None]:
    """Keep what is warned of, in place of printing it: the same line may come from every training."""
    logger, handler = logging.getLogger("rnnkit"), _Kept(notes)
    propagates, others = logger.propagate, list(logger.handlers)
    logger.propagate, logger.handlers = False, [handler]
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("default")
            yield
    finally:
        logger.propagate, logger.handlers = propagates, others
        notes += dict.fromkeys(f"{item.category.__name__}: {' '.join(str(item.message).split())}" for item in caught)


def _sha256(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
