"""The toolchain: which C++ compiler is used, with which flags, for which processor."""

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import sys
from functools import cache, lru_cache
from typing import NamedTuple

from rnnkit_compiler._forks import fork_safe_lock

COMPILER = "RNNKIT_CXX"
"""The environment variable that chooses the compiler: a path, a command with arguments, or `none` to do without."""

USUAL = ("c++", "g++", "clang++")
"""The commands that are looked for where neither RNNKIT_CXX nor CXX names one that can be run."""

FEATURES = frozenset(
    {
        *("vendor_id", "cpu family", "model", "flags"),  # x86
        *("CPU implementer", "CPU variant", "CPU part", "Features"),  # ARM
        *("cpu", "features", "isa", "uarch"),  # POWER, z, RISC-V
    }
)
"""The lines of /proc/cpuinfo that `-march=native` goes by; the others change from moment to moment."""

logger = logging.getLogger(__name__)

_finding = fork_safe_lock()


class Toolchain(NamedTuple):
    """A C++ compiler and how it is called."""

    command: tuple[str, ...]
    """The program by its absolute path, and the arguments that the user gave it, as in `ccache g++`."""

    flags: tuple[str, ...]
    """Turn one source into a shared library for this processor."""

    identity: str
    """Changes when another compiler is chosen or this one is replaced."""

    @property
    def path(self) -> str:
        """The program that is started."""
        return self.command[0]


def toolchain() -> Toolchain | None:
    """Find the compiler: `$RNNKIT_CXX`, else `$CXX`, `c++`, `g++`, `clang++`; None without one or by `RNNKIT_CXX=none`.

    No program is started for it.
    """
    chosen, usual = os.environ.get(COMPILER, ""), os.environ.get("CXX", "")
    with _finding:  # so that threads at once are told once of a wrong choice
        return _find(chosen, usual, os.environ.get("PATH", os.defpath))


def is_switched_off() -> bool:
    """Tell whether kernels are not wanted, or never to be had on this system."""
    return os.environ.get(COMPILER) == "none" or os.name != "posix"


@lru_cache(maxsize=16)
def _find(chosen: str, usual: str, path: str) -> Toolchain | None:
    """Find the compiler under these values of RNNKIT_CXX, CXX and PATH."""
    if chosen == "none" or os.name != "posix":
        return None
    for candidate in (chosen,) if chosen else (usual, *USUAL):
        command = _command(candidate, path)
        if command:
            return Toolchain(command, _flags(platform.machine()), _identity(command, path))
    if chosen:
        logger.warning("%s is %r, which cannot be run; give a compiler's path, or none", COMPILER, chosen)
    return None


def _command(words: str, path: str) -> tuple[str, ...]:
    """Split a command into its words, the program as an absolute path; nothing if it cannot be run."""
    try:
        split = [words] if shutil.which(words, path=path) else shlex.split(words)  # a path may have spaces in it
    except ValueError:  # a quotation mark without its partner
        return ()
    program = shutil.which(split[0], path=path) if split else None
    return (os.path.abspath(program), *split[1:]) if program else ()


def _flags(machine: str) -> tuple[str, ...]:
    """Return the flags for a kind of machine, as `platform.machine` names it.

    Nobody reads errno here. All values, NaN and infinities among them, stay those of IEEE 754, save that a product and
    a sum may be rounded once. -fno-trapping-math would change no value either, and measures no faster.

    Kernels are written in vectors and unrolled by hand where it pays: -O3 takes up to twice as long to compile them,
    and they run no faster; with -ftree-vectorize they run a tenth slower.
    """
    by_architecture = machine.lower() in ("x86_64", "amd64", "i386", "i686", "s390x")
    native = "-march=native" if by_architecture else "-mcpu=native"
    return ("-O2", native, "-std=c++17", "-fno-math-errno", "-fPIC", "-shared", "-Wno-psabi")


def _identity(command: tuple[str, ...], path: str) -> str:
    """Tell a command from every other by its words and by size and time of each program in it, without starting one."""
    parts = [shlex.join(command)]
    for word in command:
        program = shutil.which(word, path=path)
        if program:
            resolved = os.path.realpath(program)
            status = os.stat(resolved)
            parts.append(f"{resolved} {status.st_size} {status.st_mtime_ns}")
    return "; ".join(parts)


@cache
def instruction_set() -> str:
    """Name what machine code may rely on here: another name means that it must be compiled again."""
    if sys.platform == "darwin":
        features = _asked_of_sysctl()
    else:
        features = _listed_in("/proc/cpuinfo")
    digest = hashlib.sha256((features or platform.processor()).encode()).hexdigest()
    return f"{sys.platform} {platform.machine()} {digest[:16]}"


def _listed_in(path: str) -> str:
    """Return the features of the first processor that a file like /proc/cpuinfo lists; nothing if there is none."""
    features = []
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if not line.strip():
                    break
                if line.partition(":")[0].strip() in FEATURES:
                    features.append(line)
    except OSError:
        return ""
    return "".join(features)


def _asked_of_sysctl() -> str:
    """Return the processor's name and features on macOS; nothing if it does not tell."""
    command = ["/usr/sbin/sysctl", "machdep.cpu"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
