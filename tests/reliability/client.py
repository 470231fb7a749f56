"""The other end of server.py: trials of the command line, thousands of them."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

LIMIT = 60.0
"""Seconds after which a trial is taken to hang."""


TOLD = ("stdout", "stderr")


class Outcome(NamedTuple):
    """What became of a trial."""

    code: int
    """What it exited with; -9 if SIGKILL ended it."""
    out: str
    err: str
    sent: list[tuple[float, float]]
    """When the signals were sent, in seconds since the start and of a processor; not those that came too late."""
    seconds: float
    cpu: float
    peak: int
    """Bytes resident at most."""


class Server:
    """A process that forks trials; close it."""

    def __init__(self) -> None:
        here = Path(__file__).parent
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error", "COLUMNS": "400"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen([sys.executable, str(here / "server.py")], env=environment, **pipes)
        self._scratch = tempfile.TemporaryDirectory()

    def run(self, *words: object, folder: Path | None = None, limit: float = LIMIT, **request: Any) -> Outcome:
        """Run `rnnkit *words` in a folder, or with `call` a function; the fields of `request` are server.py's.

        Raises:
            AssertionError: it hangs.
        """
        folder = folder or Path(self._scratch.name)
        request |= {"words": list(map(str, words)), "folder": str(folder), "limit": limit}
        for name in TOLD:  # a process may be killed before it makes them
            (folder / name).write_text("")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        out, err = ((folder / name).read_text(errors="replace") for name in TOLD)
        assert not answer.pop("hung"), f"{request} did not end within {limit} s; it said {err!r}"
        return Outcome(out=out, err=err, **answer)

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._scratch.cleanup()
