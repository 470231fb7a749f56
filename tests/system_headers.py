"""The system's headers, compiled once for all kernels of the tests: a third of the time that each takes to compile.

The machine code is the same to the byte. A compiler that cannot do it reads the headers as ever.
"""

import os
import shlex
import subprocess
from contextlib import suppress

from rnnkit_compiler.backends.cpp.building.headers import headers
from rnnkit_compiler.backends.cpp.building.toolchain import COMPILER, toolchain

NAME = "system.h"


def precompile(folder):
    """Compile the headers into `folder` where that has not been done, and let kernels be compiled with them."""
    chain = toolchain()
    if chain is None or COMPILER in os.environ:
        return
    header = folder / NAME
    text = f"// {chain.identity} {shlex.join(chain.flags)}\n{system_includes()}"
    if not header.exists() or header.read_text() != text:
        folder.mkdir(parents=True, exist_ok=True)
        header.write_text(text)
        flags = [flag for flag in chain.flags if flag != "-shared"]
        command = [*chain.command, *flags, "-x", "c++-header", str(header), "-o", f"{header}.gch"]
        with suppress(OSError):
            subprocess.run(command, capture_output=True, check=False)
    os.environ[COMPILER] = shlex.join([*chain.command, "-include", str(header)])


def system_includes():
    """Return the lines that include a header of the system's, with the conditions around them."""
    lines = "\n".join(headers().values()).splitlines()
    plain = [line for line in lines if line.startswith("#include <") and "intrin" not in line and "neon" not in line]
    return "\n".join([*sorted(set(plain)), "#ifdef __SSE2__", "#include <immintrin.h>", "#endif", ""])
