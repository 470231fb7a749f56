"""Has strace watch one phase of a run, and end the process at a system call: in server.py's forks."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

from crash_points import PHASES, enclose

ON_FILES = "%file,%desc"
CALL = re.compile(r"^(?:\d+ +)?(\w+)\(", re.MULTILINE)


def install(phase, occurrence=1, name=None, at=0, log=None):
    """Attach strace when the phase begins; with `log`, write the names of its calls there when it is over."""
    trace = Path(log or "trace").with_suffix(".strace")
    tracers = []

    def begin():
        what = ON_FILES if name is None else f"{name} -e inject={name}:signal=SIGKILL:when={at}"
        process = os.getpid()
        waiting = {signal.SIGUSR1}
        signal.pthread_sigmask(signal.SIG_BLOCK, waiting)
        # The tracer is seen from outside, so that what is traced makes no call for it.
        line = (
            f"strace -f -qq -e signal=none -o {trace} -p {process} -e trace={what} & "
            f"while ! grep -q 'TracerPid:.*[1-9]' /proc/{process}/status; do sleep 0.01; done; "
            f"kill -USR1 {process}; wait"
        )
        tracers.append(subprocess.Popen(["sh", "-c", line]))
        signal.sigwait(waiting)

    def end():
        os.kill(child_of(tracers[0].pid), signal.SIGTERM)
        tracers[0].wait()
        if log:
            Path(log).write_text(json.dumps(CALL.findall(trace.read_text())))

    enclose(PHASES[phase], occurrence, begin, end)


def child_of(process):
    """Return the process that another has started: the shell its tracer."""
    (child, *_) = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return int(child)
