"""`--nproc`: the same command in several processes, and what ended them said in one line."""

import atexit
import json
import logging
import os
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from signal import SIGTERM
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from rnnkit.cli.signals import ENDINGS, Exit
from rnnkit.errors import ResourceError, UsageError
from rnnkit.support.atomic_files import write_file

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

NOTES = "RNNKIT_NOTES"
"""In the environment of the processes that `launch` starts: a folder for notes of what ended them."""

PARENT = "RNNKIT_PARENT"
"""In their environment, too: the number of the process that has started them."""

SHUTDOWN = 600
"""Seconds after a signal for the step at hand; a second signal waits no longer."""


FIRST_SPEAKS = 10.0
"""Seconds that the first process has to say what is wrong with the command line of all, where torchrun started them."""

SIGNALLED = [code for _, code in ENDINGS.values()]


class Note(NamedTuple):
    """What ended a process, as it tells the one that started it."""

    message: str
    code: int


def started() -> int:
    """Return how many processes there are where this is one of several; else 0."""
    return int(os.environ["WORLD_SIZE"]) if {"RANK", "WORLD_SIZE"} <= os.environ.keys() else 0


def launch(words: Sequence[str], count: int, run: Path) -> None:
    """Run a command line in `count` processes until all have ended.

    Args:
        words: of the command line.
        count: how many processes.
        run: the folder that the first of them writes to.

    Raises:
        Exit: what a process says that ended it, or a signal.
        ResourceError: a process was killed.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    with TemporaryDirectory(prefix="rnnkit-") as notes:
        os.environ.update({NOTES: notes, PARENT: str(os.getpid())})
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id="rnnkit",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            local_addr="localhost",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=notes),
            signals_to_handle=",".join(number.name for number in ENDINGS),
            shutdown_timeout=SHUTDOWN,
        )
        python = ["-P"] if sys.flags.safe_path or not {"", str(Path.cwd())} & set(sys.path) else []
        logging.disable()  # what ended a process is said here
        try:
            # The agent puts ranks in for $-words; $$ is a dollar.
            elastic_launch(config, sys.executable)(
                *python, "-m", "rnnkit", *(word.replace("$", "$$") for word in words)
            )
        except SignalException as error:
            raise _exit(_notes(Path(notes))) or Exit(*ENDINGS[error.sigval]) from None
        except ChildFailedError as error:
            failures = list(error.failures.values())
            raise _exit(_notes(Path(notes))) or _killed(failures, count, run) from None
        finally:
            logging.disable(logging.NOTSET)


def speak_once() -> None:
    """Let no process but the first speak of warnings, and torch's code in C++ of nothing that is no error."""
    if started():
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read as torch is imported
    if os.environ.get("RANK", "0") != "0":
        logging.disable()
        warnings.simplefilter("ignore")


def overseen() -> bool:
    """Tell whether someone else knows better why a process has lost the others."""
    return NOTES in os.environ or os.environ.get("RANK", "0") != "0"


def left() -> int:
    """Return the exit code with which to end, as on SIGTERM, if the process that started this one is gone; else 0."""
    return ENDINGS[SIGTERM][1] if os.environ.get(PARENT, str(os.getppid())) != str(os.getppid()) else 0


def noted(message: str, code: int) -> bool:
    """Leave a note of what ends this process; tells whether someone else prints it, or it is said already."""
    rank = os.environ.get("RANK", "0")
    folder = os.environ.get(NOTES)
    if folder is None or not started():
        if rank != "0" and code == UsageError.exit_code:
            time.sleep(FIRST_SPEAKS)  # it ends in the same way, and with it all
        return rank != "0" and code in SIGNALLED
    with suppress(ResourceError):  # the one that started us has gone
        write_file(Path(folder, f"{rank}.json"), json.dumps([message, code]).encode())
    return True


def leave(code: int) -> NoReturn:
    """Exit; one of several processes without Python's own end, over which threads of torch's would trip and abort."""
    if started() > 1:
        atexit._run_exitfuncs()
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _notes(folder: Path) -> list[Note]:
    """Return the notes in the order in which they were left; those of a signal last, for an error comes with one."""
    notes = []
    for path in sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime_ns):
        notes.append(Note(*json.loads(path.read_text(encoding="utf-8"))))
    return sorted(notes, key=lambda note: note.code in SIGNALLED)


def _exit(notes: list[Note]) -> Exit | None:
    return Exit(*notes[0]) if notes else None


def _killed(failures: "list[ProcessFailure]", count: int, run: Path) -> ResourceError:
    """Say which process was ended without a word."""
    # SIGTERM is what the agent sends to the others.
    silent = sorted(failures, key=lambda failure: (failure.exitcode >= 0, failure.exitcode == -SIGTERM))[0]
    how = f"was killed (signal {-silent.exitcode})" if silent.exitcode < 0 else f"ended with code {silent.exitcode}"
    remedy = f"; go on with: rnnkit run --resume {run}" if run.exists() else ""
    return ResourceError(f"process {silent.local_rank} of {count} {how}{remedy}")
