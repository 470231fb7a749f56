"""Those that train: processes, one torch thread each, or this process itself."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import wait
from typing import Any, NamedTuple, Protocol

import torch

from rnnkit import errors
from rnnkit.errors import PluginError, ResourceError, RnnkitError, UsageError
from rnnkit.racing.trial import KILLED, Result, Trial
from rnnkit.racing.worker import Tasks, messages, packed

START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[2]); "
    "from rnnkit.racing.worker import main; main(int(sys.argv[1]))"
)
"""What a process runs. Not `multiprocessing`'s own start, which would run the user's script again."""

TRIES = 2
"""A training whose process is killed is begun again once, in a new process; then that is its result."""

ENDED_BY_SOMEONE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that say nothing of the training."""

PATIENCE = 5.0
"""Seconds that a process has to end."""


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
            with torch.random.fork_rng([]):
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
        self._processes: list[_Process] = []
        self._tries: dict[str, int] = {}

    @property
    def free(self) -> int:
        """How many processes are idle, or may still be started."""
        return self._count - sum(process.trial is not None for process in self._processes)

    def begin(self, trial: Trial) -> None:
        """Give a trial to an idle process, or to a new one."""
        process = next((process for process in self._processes if process.trial is None), None)
        if process is None:
            process = _Process()
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

    def _after(self, trial: Trial, fate: "Fate") -> Result | None:
        """Answer for a process that has ended: try again, or that is the result, or it is no fault of the training.

        Raises:
            ResourceError: someone ended it, or it could not even start.
        """
        if fate.signal is None or fate.signal in ENDED_BY_SOMEONE:
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


class Fate(NamedTuple):
    """How a process ended."""

    code: int
    said: str
    """The last line that it wrote to stderr."""

    @property
    def signal(self) -> int | None:
        """What ended it; None: nothing but itself."""
        return -self.code if self.code < 0 else None

    def __str__(self) -> str:
        how = f"was killed (signal {self.signal})" if self.signal else f"ended with code {self.code}"
        return f"{how}: {self.said}" if self.said else how


class _Process:
    """A process that trains, and the connection to it."""

    def __init__(self) -> None:
        self.trial: Trial | None = None
        self.connection, theirs = Pipe()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `fate`)
        # Single-threaded libraries, too; the last path keeps the working folder out, unless it is on the path here.
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [sys.executable, "-P", "-c", START, str(theirs.fileno()), json.dumps(sys.path)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=self._said,
                stderr=self._said,
                env={**os.environ, **threads},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C goes to this process alone, which ends the others
            )
        except OSError as error:
            raise ResourceError(f"no process can be started: {error.strerror}; lower --jobs") from None
        finally:
            theirs.close()

    def begin(self, trial: Trial) -> None:
        """Send a trial."""
        self.trial = trial
        with suppress(ConnectionError):  # it has ended already, as `news` will find
            self.connection.send_bytes(packed(trial))

    def end(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def fate(self) -> Fate:
        """Wait for its end, and tell how it came."""
        self.connection.close()
        try:
            code = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        with self._said as file:
            file.seek(0)
            lines = file.read().decode(errors="replace").strip().splitlines()
        return Fate(code, lines[-1].strip() if lines else "")


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
