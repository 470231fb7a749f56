"""A class that need not be registered: MODULE:CLASS, such as my_package.cells:MyCell."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from rnnkit.errors import PluginError, UsageError, first_line, nearest


def is_path(text: str) -> bool:
    """Tell MODULE:CLASS from a name or an expression, in which a colon stands inside brackets alone."""
    return ":" in text.partition("(")[0]


def imported(path: str) -> Any:
    """Import what MODULE:CLASS names, also from the folder one stands in.

    Raises:
        PluginError: the module cannot be imported. UsageError: it has no such class.
    """
    module, _, name = path.partition(":")
    with here_on_path():
        try:
            found = import_module(module)
        except (Exception, SystemExit) as error:
            raise PluginError(f"{module!r} cannot be imported: {first_line(error)}") from None
    if not hasattr(found, name):
        raise UsageError(f"module {module!r} has no {name!r}{nearest(name, vars(found))}")
    return getattr(found, name)


@contextmanager
def here_on_path() -> Iterator[None]:
    """Let modules be imported from the folder one stands in, as `python -m` does; new processes are told too."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
