"""`rnnkit.race`: cells against each other on a task, at equal cost."""

import logging
import os
from collections.abc import Generator, Sequence
from importlib.util import find_spec
from typing import Any

from rnnkit.core.task import Task
from rnnkit.errors import UsageError, check_whole
from rnnkit.plugin.registry import tasks
from rnnkit.plugin.resolve import resolve
from rnnkit.racing.course import Course, Status
from rnnkit.racing.folder import RaceFolder
from rnnkit.racing.result import RaceResult
from rnnkit.racing.settings import RaceSettings, cell_names, composed, unchanged
from rnnkit.racing.workers import check_sendable
from rnnkit.support.figures import save
from rnnkit.support.paths import AnyPath, as_path

LEADERBOARD, TABLE, PAGE, CURVES = "leaderboard.json", "leaderboard.csv", "index.html", ("curves.svg", "curves.png")

log = logging.getLogger(__name__)


def race(
    cells: Sequence[Any] | None = None,
    task: str | type[Task] | None = None,
    *,
    seeds: int | None = None,
    tuning_seeds: int | None = None,
    lr: float | Sequence[float] | None = None,
    equal: str | None = None,
    target: float | None = None,
    jobs: int | None = None,
    out: AnyPath | None = None,
    resume: AnyPath | None = None,
    **settings: Any,
) -> RaceResult:
    """Let cells learn a task at equal cost, several seeds each, and return who does best.

    Every cell tries the same learning rates on seeds that are for that alone; the rate of the best median is then
    trained on the seeds that the cells are ranked by. All trainings take the same number of updates. What is done is
    kept in a folder, so that a race that was stopped can be resumed.

    Args:
        cells: two or more, as in `rnnkit.RNN`; the others are made as large as the first one at the size `hidden`.
        task: a registered name, or a class.
        seeds: how many cells are ranked by; 3 where nothing is said.
        tuning_seeds: how many others a learning rate is chosen by; 1 where nothing is said.
        lr: the learning rates that each cell tries, or one that all take; where nothing is said, about a third of the
            task's own, that one, and three times as much.
        equal: "parameters" of the whole model, "flops" of its matrix products, or "hidden" sizes.
        target: a metric; the result says how soon each cell reaches it.
        jobs: processes that train, of one thread each; None: as many as there are processors; 0: this process, which is
            for cells that are defined in a notebook.
        out: the folder, which must not exist; None: `runs/race-<task>-<time>`.
        resume: the folder of a race to go on with; of what else is given only `jobs` and `target` may be new.
        **settings: of `rnnkit run`, for all trainings: `steps` (1500), `hidden` (32, of the first cell), `schedule`
            ("cosine"), `batch`, `task_options={"seq_len": 50}` and so on.

    Raises:
        UsageError: an argument that makes no sense, or cells that cannot be made equal.
        CheckpointError: the folder to resume is no race's, or another process writes there.
        DataError: the data have changed since the race began.
        ResourceError: the folder takes nothing, or someone ended a process.
    """
    rates = [lr] if isinstance(lr, int | float) else lr
    ours = {"seeds": seeds, "tuning_seeds": tuning_seeds, "rates": rates, "equal": equal, "target": target}
    given: dict[str, Any] = {name: value for name, value in ours.items() if value is not None}
    if cells is not None:
        given["cells"] = cell_names(cells)
    if task is not None:
        settings["task"] = task if isinstance(task, str) else _task_name(task)
    with prepared(given, [("race", settings)], jobs, out, resume) as running:
        for _ in running.statuses():
            pass
        return running.finish()


class RunningRace:
    """A race that is ready to be run, or to go on; a context that keeps others out of its folder.

    Args:
        course: the race.
        jobs: processes; 0: this one.
    """

    def __init__(self, course: Course, jobs: int) -> None:
        self.course, self.jobs = course, jobs
        self.path = course.folder.path

    def statuses(self) -> Generator[Status]:
        """Train all that is due; a `Status` whenever something has happened, and now and then."""
        return self.course.run(self.jobs)

    def finish(self) -> RaceResult:
        """Return the result, after it is written to the folder: tables, curves, and the page."""
        result = RaceResult(self.course.plan, self.course.task, self.path)
        folder = self.course.folder
        folder.write(LEADERBOARD, result.to_json().encode() + b"\n")
        folder.write(TABLE, result.to_csv().encode())
        folder.write(PAGE, result.to_html().encode())
        if find_spec("matplotlib") is None:
            log.warning("pictures need matplotlib: pip install 'rnnkit[plot]'; then --resume %s draws them", self.path)
        else:
            figure = result.plot()
            for name in CURVES:
                save(figure, self.path / name)
        return result

    def __enter__(self) -> "RunningRace":
        return self

    def __exit__(self, *error: object) -> None:
        self.course.folder.close()


def prepared(
    given: dict[str, Any],
    sources: Sequence[tuple[str, dict[str, Any]]],
    jobs: int | None = None,
    out: AnyPath | None = None,
    resume: AnyPath | None = None,
) -> RunningRace:
    """Return a race that is ready: refused is what cannot be run before anything is trained.

    Args:
        given: fields of `RaceSettings` that were given.
        sources: settings of a run by where they come from, the later ones over the earlier.
        jobs: as in `race`.
        out: as in `race`.
        resume: as in `race`.
    """
    if jobs is not None:
        check_whole("jobs", jobs, least=0)
    jobs = len(os.sched_getaffinity(0)) if jobs is None else jobs
    if resume is not None:
        return RunningRace(_resumed(given, sources, jobs, out, resume), jobs)
    if "cells" not in given:
        raise UsageError("no cells are given; name two or more, such as --cells lstm,gru")
    settings = composed(given, *sources)
    check_sendable(settings.cells, jobs)
    folder = RaceFolder.new(out, settings)
    return RunningRace(Course.begin(settings, settings.run.make_task(), folder), jobs)


def _resumed(
    given: dict[str, Any],
    sources: Sequence[tuple[str, dict[str, Any]]],
    jobs: int,
    out: AnyPath | None,
    resume: AnyPath,
) -> Course:
    if out is not None:
        raise UsageError("--resume writes to the folder of the race; leave --out away")
    path = as_path(resume)
    settings = unchanged(RaceSettings.read(path), given, *sources)
    check_sendable(settings.cells, jobs)
    folder = RaceFolder(path)
    folder.take_up(settings)
    try:
        return Course.resume(settings, settings.run.make_task(), folder)
    except BaseException:
        folder.close()
        raise


def _task_name(task: type[Task]) -> str:
    kind = resolve(task, Task, tasks, "task")
    return kind.name if tasks.get(kind.name) is kind else f"{kind.__module__}:{kind.__qualname__}"
