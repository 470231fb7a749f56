"""Processes of our own, one torch thread each, that are told what to do over a connection."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from multiprocessing import Pipe
from typing import NamedTuple

from rnnkit.errors import ResourceError

START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[3]); "
    "from importlib import import_module; import_module(sys.argv[1]).main(int(sys.argv[2]))"
)
"""What a process runs. Not `multiprocessing`'s own start, which would run the user's script again."""

ENDED_BY_SOMEONE = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that say nothing of what a process was at."""

PATIENCE = 5.0
"""Seconds that a process has to end."""


class Fate(NamedTuple):
    """How a process ended."""

    code: int
    said: str
    """The last line that it wrote to stderr."""

    @property
    def signal(self) -> int | None:
        """What ended it; None: nothing but itself."""
        return -self.code if self.code < 0 else None

    @property
    def blameless(self) -> bool:
        """Whether it says nothing of what the process was at: someone ended it, or it could not work at all."""
        return self.signal is None or self.signal in ENDED_BY_SOMEONE

    def __str__(self) -> str:
        how = f"was killed (signal {self.signal})" if self.signal else f"ended with code {self.code}"
        return f"{how}: {self.said}" if self.said else how


class WorkerProcess:
    """A process that serves, and the connection to it.

    Args:
        module: whose `main` it calls with the number of its end of the connection.

    Raises:
        ResourceError: no process can be started.
    """

    def __init__(self, module: str) -> None:
        self.connection, theirs = Pipe()
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `fate`)
        # Single-threaded libraries, too; the last path keeps the working folder out, unless it is on the path here.
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        command = [sys.executable, "-P", "-c", START, module, str(theirs.fileno()), json.dumps(sys.path)]
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

    def send(self, data: bytes) -> None:
        """Send what it is to do."""
        with suppress(ConnectionError):  # it has ended already, as whoever reads from it will find
            self.connection.send_bytes(data)

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
