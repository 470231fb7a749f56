"""The system's headers, compiled once for all kernels of the tests: a third of the time that each takes to compile.

The machine code is the same to the byte. A compiler that cannot do it reads the headers as ever.
"""

import os
import shlex
import subprocess
from contextlib import suppress
from threading import Thread

from rnnkit_compiler.backends.cpp.building.headers import headers
from rnnkit_compiler.backends.cpp.building.toolchain import COMPILER, toolchain

NAME = "system.h"

OF_SOME = ("order.h", "special.h")
"""Headers of ours that few kernels include: what they read of the system's, the others have to do without."""


def use_precompiled(folder, compile_them):
    """Let kernels be compiled with the headers of `folder`; if `compile_them`, put there what is missing.

    That runs in the background: a kernel that comes before it reads the headers as text.
    """
    chain = toolchain()
    if chain is None or COMPILER in os.environ:
        return
    header = folder / NAME
    os.environ[COMPILER] = shlex.join([*chain.command, "-include", str(header)])
    text = f"// {chain.identity} {shlex.join(chain.flags)}\n{system_includes()}"
    if compile_them and not (header.exists() and header.read_text() == text and _compiled(header).exists()):
        folder.mkdir(parents=True, exist_ok=True)
        _compiled(header).unlink(missing_ok=True)
        header.write_text(text)
        Thread(target=_compile, args=(chain, header), daemon=True).start()


def _compiled(header):
    """Return the file that the compiler reads in place of a header, if it is there."""
    return header.with_name(f"{header.name}.gch")


def _compile(chain, header):
    """Compile a header; a half of it is never in place."""
    unfinished = header.with_name(f"{header.name}.unfinished")
    flags = [flag for flag in chain.flags if flag != "-shared"]
    command = [*chain.command, *flags, "-x", "c++-header", str(header), "-o", str(unfinished)]
    with suppress(OSError):
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            unfinished.replace(_compiled(header))


def system_includes():
    """Return the lines by which every kernel includes a header of the system's, with the conditions around them."""
    lines = "\n".join(text for name, text in headers().items() if name not in OF_SOME).splitlines()
    plain = [line for line in lines if line.startswith("#include <") and "intrin" not in line and "neon" not in line]
    return "\n".join([*sorted(set(plain)), "#ifdef __SSE2__", "#include <immintrin.h>", "#endif", ""])
