"""The compilation: one run of the C++ compiler over one source."""

import errno
import os
import re
import resource
import shlex
import signal
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from rnnkit.errors import RnnkitError
from rnnkit_compiler.backends.cpp.building.cache import cache_folder, store_log
from rnnkit_compiler.backends.cpp.building.headers import headers
from rnnkit_compiler.backends.cpp.building.temporary import temporary_folder
from rnnkit_compiler.backends.cpp.building.toolchain import COMPILER, Toolchain

TIMEOUT = 120.0
"""Seconds after which the compiler is killed."""

ADVICE = f"name another by {COMPILER}, or do without by {COMPILER}=none"
LONGEST_LINE = 300  # characters of the compiler's that an error quotes

ROOM = 1 << 20
"""Bytes that a compilation needs at most, roughly, in its folder."""

TOO_LARGE = re.compile(rb"file size limit exceeded|file too large", re.IGNORECASE)
INTERESTING = re.compile(r"\berror\b|undefined reference|cannot execute|no space left", re.IGNORECASE)


class CompileError(RnnkitError):
    """A kernel that cannot be compiled or loaded; callers do without it.

    `log` is the file of all that the compiler said; None if there is none.
    """

    def __init__(self, message: str, log: Path | None = None) -> None:
        super().__init__(message)
        self.log = log


def compile_library(source: str, tools: Toolchain, key: str) -> bytes:
    """Compile a source into a shared library and give its bytes; `key` names the log if it fails.

    Raises:
        CompileError: the compiler does not run, fails, takes too long, or may not write files as large as it must.
        OSError: there is no room for it.
    """
    try:
        why, log, library = _compile(source, tools, None)
    except OSError as error:  # no folder for temporary files, or no room in it
        if error.errno == errno.EFBIG:
            _check_limit()
        why, log, library = _compile(source, tools, cache_folder())
    if library:
        return library
    if TOO_LARGE.search(log) or why == _ended(-signal.SIGXFSZ):
        _check_limit()
    why = why or "it left no library"
    kept = store_log(key, log, source)
    quoted = _first_error(log.decode(errors="replace").splitlines())
    told = "".join([f": {quoted}" if quoted else "", f" (all of it: {kept})" if kept else ""])
    raise CompileError(f"{shlex.join(tools.command)} did not compile a kernel, {why}{told}; {ADVICE}", kept)


def _compile(source: str, tools: Toolchain, within: Path | None) -> tuple[str | None, bytes, bytes]:
    """Compile in a folder `within` another one; return what went wrong, what the compiler said, and the library.

    Raises:
        OSError: there is no room, or there was none for the compiler, which may not even have been able to say so.
    """
    with temporary_folder(within) as folder:
        for name, text in {**headers(), "kernel.cpp": source}.items():
            (folder / name).write_text(text, encoding="utf-8")
        why = _run(tools, folder)
        if why is not None:
            _check_room(folder)
        return why, _read(folder / "log"), _read(folder / "kernel.so") if why is None else b""


def _check_room(folder: Path) -> None:
    """Raise OSError where there is no room, for that is why a compiler fails there."""
    try:
        (folder / "room").write_bytes(bytes(ROOM))
    except OSError as error:
        if error.errno != errno.EFBIG:  # whether that limit was in the compiler's way, it says itself
            raise


def _run(tools: Toolchain, folder: Path) -> str | None:
    """Run the compiler in `folder`, its output going to the file `log`; return what went wrong, None if nothing."""
    command = [*tools.command, *tools.flags, "-I", ".", "kernel.cpp", "-o", "kernel.so"]
    environment = {**os.environ, "TMPDIR": str(folder), "LC_ALL": "C"}
    try:
        with (folder / "log").open("wb") as log:
            # In a session of its own, all of it can be killed: a compiler is several processes.
            compiler = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        return f"it cannot be run ({error.strerror})"
    try:
        status = compiler.wait(TIMEOUT)
    except subprocess.TimeoutExpired:
        return f"it took more than {TIMEOUT:g} s"
    finally:
        if compiler.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(compiler.pid, signal.SIGKILL)
            compiler.wait()
    return _ended(status) if status else None


def _ended(status: int) -> str:
    """Say how a compiler ended that did not succeed."""
    return f"it ended with status {status}"


def _check_limit() -> None:
    """Raise CompileError if the system keeps the files of this process small, which then is what has gone wrong."""
    most, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    if most != resource.RLIM_INFINITY:
        raise CompileError(
            f"a kernel cannot be compiled: files may have {most / 1024:,.0f} KiB here (ulimit -f), and the compiler "
            f"needs larger ones; raise that limit, or do without by {COMPILER}=none"
        )


def _first_error(lines: Iterable[str]) -> str:
    """Pick the line that says best what is wrong; empty if all are."""
    spoken = [line.strip() for line in lines if line.strip()]
    return next((line for line in spoken if INTERESTING.search(line)), spoken[0] if spoken else "")[:LONGEST_LINE]


def _read(path: Path) -> bytes:
    """Read a file; nothing if it is not there."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
