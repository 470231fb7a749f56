"""Those that train: processes, one torch thread each, or this process itself."""

import json
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any, NamedTuple, Protocol

import torch

from rnnkit import errors
from rnnkit.errors import PluginError, ResourceError, RnnkitError, UsageError
from rnnkit.racing.trial import KILLED, Result, Trial
from rnnkit.racing.worker import Tasks, messages, packed
from rnnkit.support.random_states import drawn_apart
from rnnkit.support.worker_process import Fate, WorkerProcess

TRIES = 2
"""A training whose process is killed is begun again once, in a new process; then that is its result."""


class Progress(NamedTuple):
    """A trial has come to another update."""

    trial: Trial
    step: int


class Workers(Protocol):
    """What trials are given to."""

    @property
    def free(self) -> int:
        """How many more trials it takes."""

    def begin(self, trial: Trial) -> None:
        """Begin a trial."""

    def news(self, seconds: float) -> Iterator[Progress | Result]:
        """Yield what there is to tell, after that time at the latest.

        Raises:
            RnnkitError: what ends a training would end all.
        """

    def close(self) -> None:
        """End what is under way; nothing of it stays."""


class Here:
    """Trains in this process, one trial at a time, on one torch thread."""

    def __init__(self) -> None:
        self._tasks = Tasks()
        self._trial: Trial | None = None

    @property
    def free(self) -> int:
        """1, or 0 while there is a trial."""
        return int(self._trial is None)

    def begin(self, trial: Trial) -> None:
        """Begin a trial."""
        self._trial = trial

    def news(self, seconds: float) -> Iterator[Progress | Result]:
        """Train to the end of the trial; random numbers and threads are as before afterwards."""
        trial, threads = self._trial, torch.get_num_threads()
        assert trial is not None
        torch.set_num_threads(1)
        try:
            with drawn_apart():
                *_, last = messages(trial, self._tasks)
        finally:
            torch.set_num_threads(threads)
        self._trial = None
        yield _read(last, trial)

    def close(self) -> None:
        """Nothing is under way between two calls."""


class Processes:
    """Trains in processes of their own, which are started as they are needed.

    Args:
        count: how many at most.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._processes: list[_Training] = []
        self._tries: dict[str, int] = {}

    @property
    def free(self) -> int:
        """How many processes are idle, or may still be started."""
        return self._count - sum(process.trial is not None for process in self._processes)

    def begin(self, trial: Trial) -> None:
        """Give a trial to an idle process, or to a new one."""
        process = next((process for process in self._processes if process.trial is None), None)
        if process is None:
            process = _Training()
            self._processes.append(process)
        self._tries[trial.name] = self._tries.get(trial.name, 0) + 1
        process.begin(trial)

    def news(self, seconds: float) -> Iterator[Progress | Result]:
        """Yield what the processes have to tell, after that time at the latest."""
        by_connection = {process.connection: process for process in self._processes}
        for ready in wait(list(by_connection), seconds):
            process = by_connection[ready]  # type: ignore[index]  # no others were given
            trial = process.trial
            try:
                message = json.loads(process.connection.recv_bytes())
            except (EOFError, ConnectionError):
                self._processes.remove(process)
                fate = process.fate()
                if trial is not None and (result := self._after(trial, fate)) is not None:
                    yield result
                continue
            assert trial is not None  # only those that train tell anything
            told = _read(message, trial)
            if isinstance(told, Result):
                process.trial = None
            yield told

    def _after(self, trial: Trial, fate: Fate) -> Result | None:
        """Answer for a process that has ended: try again, or that is the result, or it is no fault of the training.

        Raises:
            ResourceError: someone ended it, or it could not even start.
        """
        if fate.blameless:
            raise ResourceError(f"a process that trains for the race {fate}")
        if self._tries[trial.name] < TRIES:
            self.begin(trial)
            return None
        result = Result.of(trial)
        result.outcome, result.message = KILLED, f"its process {fate}, {TRIES} times; for want of memory?"
        return result

    def close(self) -> None:
        """End all processes."""
        for process in self._processes:
            process.end()
        for process in self._processes:
            process.fate()
        self._processes = []


class _Training(WorkerProcess):
    """A process that trains."""

    def __init__(self) -> None:
        super().__init__("rnnkit.racing.worker")
        self.trial: Trial | None = None

    def begin(self, trial: Trial) -> None:
        """Send a trial."""
        self.trial = trial
        self.send(packed(trial))


def workers(jobs: int) -> Workers:
    """Return so many processes, or this process itself for 0."""
    return Processes(jobs) if jobs else Here()


def check_sendable(cells: tuple[str, ...], jobs: int) -> None:
    """Raise UsageError for a class that another process cannot find."""
    for cell in cells:
        if jobs and cell.startswith("__main__:"):
            raise UsageError(
                f"cell {cell!r} is known in this process alone; put it into a module, or train here with jobs=0"
            )


def _read(message: dict[str, Any], trial: Trial) -> Progress | Result:
    """Read a message.

    Raises:
        RnnkitError: it is one of an error.
    """
    if "error" in message:
        kinds = {kind.__name__: kind for kind in vars(errors).values() if _is_kind(kind)}
        raise kinds.get(message["error"]["kind"], PluginError)(message["error"]["message"])
    return Result(**message["result"]) if "result" in message else Progress(trial, message["step"])


def _is_kind(value: object) -> bool:
    return isinstance(value, type) and issubclass(value, RnnkitError)
