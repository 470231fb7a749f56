"""Runs trials of the command line, each in a fork of a process that has imported all of it: a trial costs no start-up.

Reads a request a line on stdin, answers each with a line on stdout. `python server.py`; see client.py for both.
"""

import json
import os
import resource
import select
import signal
import sys
import time
import traceback
from importlib import import_module
from pathlib import Path

LIMITS = {"files": resource.RLIMIT_NOFILE, "file_bytes": resource.RLIMIT_FSIZE, "memory": resource.RLIMIT_AS}


def prepare():
    """Import all that a trial needs; nothing is computed, so that no thread of torch's is there to be lost."""
    import numpy  # noqa: F401
    import rich.console
    import rich.table  # noqa: F401
    import safetensors.torch  # noqa: F401
    import torch
    import torch._dynamo  # every optimizer does

    import rnnkit
    import rnnkit.cli
    import rnnkit.runs.config
    import rnnkit.runs.folder
    import rnnkit.training.sampling

    torch.set_num_threads(1)
    sys.modules["rnnkit.cli.report"].SAMPLE_LENGTH = 4  # the report behind the training, of which less is asked here
    for registry in (rnnkit.cells, rnnkit.tasks, rnnkit.unrollers):
        for name in registry:
            registry[name]


def serve():
    prepare()
    for line in sys.stdin:
        print(json.dumps(trial(json.loads(line))), flush=True)


def trial(request):
    """Fork, send the signals that are asked for, and wait."""
    folder = Path(request["folder"])
    sys.stdout.flush()
    began = time.monotonic()
    process = os.fork()
    if process == 0:
        child(folder, request)
    handle = os.pidfd_open(process)
    if "awaited" in request:
        while not os.path.exists(request["awaited"]) and not over(handle):
            time.sleep(0.001)
        began = time.monotonic()
    sent = []
    for delay, number in request.get("signals", ()):
        wait(handle, began + delay)
        if not over(handle):
            signal.pidfd_send_signal(handle, number)
            sent.append((time.monotonic() - began, cpu_of(process)))
    wait(handle, began + request["limit"])
    hung = not over(handle)
    if hung:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
    _, status, usage = os.wait4(process, 0)
    os.close(handle)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "hung": hung,
        "sent": sent,
        "seconds": time.monotonic() - began,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * 1024,
    }


def wait(handle, until):
    """Wait until a process ends, or that time."""
    select.select([handle], [], [], max(0.0, until - time.monotonic()))


def cpu_of(process):
    """Return the seconds of a processor that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def over(handle):
    return bool(select.select([handle], [], [], 0)[0])


def child(folder, request):
    """Be the trial; never returns."""
    code = 99
    try:
        os.chdir(folder)
        redirect(folder, request.get("stdin", os.devnull))
        os.environ.update(request.get("environment", {}))
        for target in request.get("before", ()):
            called(target)
        for name, value in request.get("limits", {}).items():
            limit(name, value)
        if "call" in request:
            called(request["call"])
            code = 0
        else:
            from rnnkit.cli import main

            main(request["words"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)


def redirect(folder, stdin):
    """Let stdin be a file, stdout and stderr files, as if they were pipes."""
    for number, path, flags in (
        (0, stdin, os.O_RDONLY),
        (1, folder / "stdout", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, folder / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        descriptor = os.open(path, flags, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)


def limit(name, value):
    """Limit a resource; memory is what may come on top of what there is, and open files too."""
    if name == "memory":
        value += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    if name == "files":
        value += max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(LIMITS[name], (value, value))


def called(target):
    """Call ["module", "function", {arguments}] of this folder."""
    module, function, arguments = target
    return getattr(import_module(module), function)(**arguments)


if __name__ == "__main__":
    serve()
