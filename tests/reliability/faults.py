"""What goes wrong around a run: in server.py's forks."""

import errno
import fcntl
import io
import json
import os
import shutil
import sys
import time
from pathlib import Path


def full_disk(after, log=None):
    """Let the disk be full after that many bytes, of all files together; how many were needed goes to `log`."""
    from rnnkit.runs import log as run_log

    left = after

    def limited(write):
        def called(target, data):
            nonlocal left
            if not left and len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            written = write(target, bytes(data[:left]))
            left -= written
            if log:
                Path(log).write_text(str(after - left))
            return written

        return called

    class Limited(io.FileIO):
        write = limited(io.FileIO.write)

    os.write = limited(os.write)
    run_log._opened = lambda path: Limited(path, "a")


def removed(run, step):
    """Let somebody remove the folder of the run when a step is written down."""
    after_append(step, lambda: shutil.rmtree(run))


def read_only(run, step):
    """Let the folder of the run become read-only when a step is written down; nobody is above that."""

    def protect():
        for folder in (run, f"{run}/checkpoints"):
            os.chmod(folder, 0o555)
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)

    after_append(step, protect)


def after_append(step, function):
    from rnnkit.runs.log import RunLog

    append = RunLog.append

    def appended(log, record):
        append(log, record)
        if record.step == step:
            function()

    RunLog.append = appended


def threads(number):
    """Let another number of threads compute."""
    import torch

    torch.set_num_threads(number)


def race(words, count):
    """Run a command line in several processes at once; each says in a file what became of it."""
    start, ready = os.pipe()
    processes = [os.fork() or racer(words, number, start) for number in range(count)]
    time.sleep(0.2)
    os.write(ready, b"!" * count)
    codes = [os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) for process in processes]
    Path("codes.json").write_text(json.dumps(codes))


def racer(words, number, start):
    from rnnkit.cli import main

    code = 99
    try:
        sys.stderr = open(f"stderr-{number}", "w")  # noqa: SIM115
        os.read(start, 1)
        main(words)
    except SystemExit as end:
        code = end.code
    finally:
        sys.stderr.flush()
        os._exit(code)


def locked_elsewhere(run):
    """Hold the lock of a run."""
    descriptor = os.open(f"{run}/lock", os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def nobody(may_write=None):
    """Be somebody who owns only the folder that is named; nobody is above permissions."""
    if os.geteuid() != 0:
        return
    if may_write:
        for folder, folders, files in os.walk(may_write):
            for path in (folder, *(os.path.join(folder, name) for name in (*folders, *files))):
                os.chown(path, 65534, 65534, follow_symlinks=False)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)


def installed(site):
    """Let what lies in a folder be installed."""
    from rnnkit.plugin import registry

    sys.path.insert(0, site)
    registry._load.cache_clear()


def owned_by_nobody():
    """Let the folder that the run begins in belong to nobody, as all does who is not root."""
    if os.geteuid() == 0:
        os.chmod(".", 0o777)


def emptied_while_read(file):
    """Let another process empty a file after its first piece was read."""
    from rnnkit_tasks.text import text_file

    read = text_file.TextFile._bytes

    def emptied(self):
        for data in read(self):
            os.truncate(file, 0)
            yield data

    text_file.PIECE = 100
    text_file.TextFile._bytes = emptied


def out_of_memory_on_the_device():
    """Let a device be full at the first step, as torch says it."""
    import torch

    from rnnkit.layers.rnn import RNN

    def full(*_, **__):
        raise torch.OutOfMemoryError(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 8 GiB"
        )

    RNN.forward = full
