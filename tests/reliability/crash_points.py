"""Ends the process at a chosen call of the operating system: in server.py's forks."""

import errno
import fcntl
import io
import json
import os
import signal
from pathlib import Path

CALLS = (
    *("open", "close", "read", "write", "fsync", "fstat", "lstat"),
    *("mkdir", "rmdir", "listdir", "unlink", "rename", "replace"),
)
PHASES = {
    "making": "RunWriter._make",
    "appending": "RunLog.append",
    "saving": "RunWriter.save",
    "resuming": "RunWriter.resume",
    "own saving": "OwnFolder.write",
    "own resuming": "OwnFolder.newest",
}
BEFORE, HALF, AFTER, FAILS = "before", "half", "after", "fails"


class Points:
    """Counts the calls of one phase, and ends the process at one of them.

    Args:
        at: which call, from 1; 0: none.
        moment: "before" it, "after" it, or when "half" of what it writes is written; "fails": the process goes on, and
            the disk is full.
        log: where the names of the phase's calls are written to when it is over.
    """

    def __init__(self, at, moment, log):
        self.at, self.moment, self.log = at, moment, log
        self.names = None

    def begin(self):
        self.names = []

    def over(self):
        names, self.names = self.names, None
        if self.log:
            Path(self.log).write_text(json.dumps(names))

    def counted(self, name, function):
        """Return `function`, a call of the operating system."""

        def called(*arguments, **keywords):
            if self.names is None:
                return function(*arguments, **keywords)
            self.names.append(name)
            here = len(self.names) == self.at
            if here and self.moment == BEFORE:
                end()
            if here and self.moment == FAILS:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if here and self.moment == HALF:
                *target, data = arguments
                function(*target, bytes(data)[: len(data) // 2])
                end()
            try:
                return function(*arguments, **keywords)
            finally:
                if here:
                    end()

        return called


def end():
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def install(phase, occurrence=1, at=0, moment=BEFORE, log=None):
    """Watch all calls that the files of a run are written and read by."""
    from rnnkit.runs import log as run_log

    points = Points(at, moment, log)
    for name in CALLS:
        setattr(os, name, points.counted(name, getattr(os, name)))
    fcntl.flock = points.counted("flock", fcntl.flock)

    class Watched(io.FileIO):
        """A file of the log, which is written without `os`."""

        write = points.counted("write", io.FileIO.write)
        truncate = points.counted("truncate", io.FileIO.truncate)
        close = points.counted("close", io.FileIO.close)

    run_log._opened = points.counted("open", lambda path: Watched(path, "a"))
    enclose(PHASES[phase], occurrence, points.begin, points.over)


def enclose(target, occurrence, begin, over):
    """Call `begin` before and `over` after one of the calls of a method, "kind.name" of a run's."""
    from rnnkit.checkpoints.own_folder import OwnFolder
    from rnnkit.runs import folder, log

    kind, name = target.split(".")
    kind = {"RunLog": log.RunLog, "RunWriter": folder.RunWriter, "OwnFolder": OwnFolder}[kind]
    bound = kind.__dict__[name]
    function = bound.__func__ if isinstance(bound, classmethod) else bound
    calls = iter(range(1, 1_000_000))

    def enclosed(*arguments, **keywords):
        if next(calls) != occurrence:
            return function(*arguments, **keywords)
        begin()
        try:
            return function(*arguments, **keywords)
        finally:
            over()

    setattr(kind, name, classmethod(enclosed) if isinstance(bound, classmethod) else enclosed)
