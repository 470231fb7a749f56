"""The course of a race: trainings are given out, and each result is kept before it is told."""

from collections.abc import Generator, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from rnnkit.core.task import Task
from rnnkit.errors import DataError, DivergedError
from rnnkit.racing.equal_cost import Size, equal_sizes
from rnnkit.racing.folder import RaceFolder
from rnnkit.racing.plan import Plan
from rnnkit.racing.settings import RaceSettings
from rnnkit.racing.trial import Result, wants_memory
from rnnkit.racing.workers import Progress, Workers, workers
from rnnkit.runs.data_record import DataRecord
from rnnkit.runs.settings import Settings
from rnnkit.support.random_states import drawn_apart

TICK = 0.3
"""Seconds after which something is told at the latest, so that whoever reads can end the race."""

ROWS = 2
"""Of the batch with which each cell is tried before the race."""


@dataclass(frozen=True)
class Status:
    """How far a race is."""

    steps: int
    """Updates taken; a training that ended early counts as if it had taken all."""

    total: int
    """Updates that there are in all trainings."""

    trainings: int
    """How many have a result."""

    result: Result | None = None
    """The one that has just come, if it is that."""


class Course:
    """A race that is under way.

    Args:
        settings: of the race.
        task: what is learnt.
        sizes: of each cell.
        folder: where results are kept.
    """

    def __init__(self, settings: RaceSettings, task: Task, sizes: list[Size], folder: RaceFolder) -> None:
        self.settings, self.task, self.sizes, self.folder = settings, task, sizes, folder
        self.plan = Plan(settings, sizes, task.higher_is_better)
        self._data = task.fingerprint()

    @classmethod
    def begin(cls, settings: RaceSettings, task: Task, folder: RaceFolder) -> "Course":
        """Make the cells equal, try each with one update, and make the folder.

        Raises:
            UsageError: cells that cannot be made equal. PluginError: a cell that cannot be trained.
        """
        sizes = equal_sizes(settings, task)
        for number, size in enumerate(sizes):
            rehearse(settings.training(number, size.hidden, settings.rates[0], settings.run.seed), task)
        folder.make(settings, task)
        return cls(settings, task, sizes, folder)

    @classmethod
    def resume(cls, settings: RaceSettings, task: Task, folder: RaceFolder) -> "Course":
        """Take up a race with the results that its folder has.

        Raises:
            DataError: the data are others than those that the race began with.
        """
        kept = DataRecord.read(folder.path)
        if kept is not None and kept.fingerprint != task.fingerprint():
            raise _changed(task)
        course = cls(settings, task, equal_sizes(settings, task), folder)
        looked: set[str] = set()
        # Which learning rate is trained further depends on results.
        while fresh := [trial for trial in course.plan.due() if trial.name not in looked]:
            for trial in fresh:
                looked.add(trial.name)
                if (result := folder.result(trial)) is not None:
                    course.plan.add(result)
        return course

    def run(self, jobs: int) -> Generator[Status]:
        """Train all that is due; a `Status` whenever something has happened, and now and then.

        Args:
            jobs: processes; 0: in this one.

        Raises:
            RnnkitError: what ends a training would end all; finished trainings are kept.
        """
        team, under_way = workers(jobs), dict[str, int]()
        try:
            while not self.plan.done:
                yield from self._turn(team, under_way)
        finally:
            team.close()

    def _turn(self, team: Workers, under_way: dict[str, int]) -> Iterator[Status]:
        """Give out what is due, and tell what has come."""
        while team.free and (trial := self.plan.begin()) is not None:
            under_way[trial.name] = 0
            team.begin(trial)
        for news in team.news(TICK):
            if isinstance(news, Progress):
                under_way[news.trial.name] = news.step
                continue
            under_way.pop(news.name, None)
            if news.finished and news.data != self._data:
                raise _changed(self.task)
            self.folder.add(news)
            self.plan.add(news)
            yield self._status(under_way, news)
        yield self._status(under_way)

    def _status(self, under_way: dict[str, int], result: Result | None = None) -> Status:
        known, each = len(self.plan.results), self.settings.run.steps
        total = self.settings.trainings * each
        return Status(known * each + sum(under_way.values()), total, known, result)


def rehearse(settings: Settings, task: Task) -> None:
    """Take one update on a few rows, so that what cannot be trained is refused before all else is.

    What compiles a cell does so here, once for all processes.
    """
    steps = max(2, settings.steps)  # with an end, and its validation, that is not reached
    settings = replace(settings, batch=min(ROWS, settings.batch), steps=steps, validate_every=steps)
    with drawn_apart():
        try:
            with suppress(DivergedError):
                next(settings.make_training(settings.make_model(task), task).records())
        except Exception as error:
            if not wants_memory(error):
                raise


def _changed(task: Task) -> DataError:
    return DataError(f"the data of task {task.name!r} have changed since the race began; give back the old ones")
