"""Generated source as a module: Triton reads the text of functions where Python keeps the text of what it runs."""

import linecache
import sys
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from types import ModuleType

import numpy as np

from rnnkit_compiler.backends.triton.availability import is_interpreted
from rnnkit_compiler.backends.triton.library import ALL_STEPS, NOTHING_HOISTED


def load(text: str, hoists_nothing: bool = False) -> ModuleType:
    """Run generated source, of which nothing may be done before the first step if it `hoists_nothing`; return what it
    defines."""
    text = text.replace(ALL_STEPS, NOTHING_HOISTED) if hoists_nothing else text
    name = f"rnnkit_triton_{sha256(text.encode()).hexdigest()[:16]}"
    path = f"<{name}>"
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = path
    exec(compile(text, path, "exec"), module.__dict__)  # generated here, from nothing but the graph
    return module


def quiet() -> AbstractContextManager[object]:
    """Return what lets the interpreter compute on the rows beyond the batch without a warning of numpy's."""
    return np.errstate(all="ignore") if is_interpreted() else nullcontext()
