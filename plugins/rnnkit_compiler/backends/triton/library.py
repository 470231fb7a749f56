"""The library: the functions that generated kernels call, by which their numbers change as by their own text."""

from functools import cache
from pathlib import Path

MODULES = ("functions", "kernel_parts", "rare_functions", "special_functions")
"""Beside this one."""

IMPORTS = [f"from rnnkit_compiler.backends.triton.{name} import *" for name in MODULES]

HEAD = "\n".join(["import triton", "import triton.language as tl", *IMPORTS, "", ""])
"""What a generated source begins with."""


@cache
def text_of(module: str) -> str:
    """Return the source of a module."""
    return Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")


ALL_STEPS = "tl.range(steps, num_stages=1)"
"""How a kernel steps through time."""

NOTHING_HOISTED = "tl.range(steps, num_stages=1, disable_licm=True)"
"""The same, where the compiler has nothing of it done before the first step."""
