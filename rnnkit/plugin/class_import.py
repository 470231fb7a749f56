"""A class that need not be registered: MODULE:CLASS, such as my_package.cells:MyCell. The one importer of these."""

import hashlib
import os
import pkgutil
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any

from rnnkit.errors import PluginError, UsageError, nearest, one_line
from rnnkit.plugin.class_path import classes, split

_digests: dict[str, str] = {}
"""By module; a file may change while what it was at the import goes on running."""

PATH = re.compile(r"[\w.]+:[A-Za-z_][\w.]*")


def is_path(text: str) -> bool:
    """Tell MODULE:CLASS from a name or an expression, in which a colon stands inside brackets alone."""
    return ":" in text.partition("(")[0]


def imported(path: str) -> Any:
    """Import what MODULE:CLASS names, also from the folder one stands in.

    Raises:
        PluginError: the module cannot be imported. UsageError: it has no such class, or the path is of another form.
    """
    module, name = split(path)
    known = module in sys.modules and module in _digests
    with _here_on_path(), redirect_stdout(sys.stderr):  # stdout is for data
        try:
            member = import_module(module)
        except (Exception, SystemExit) as error:
            raise PluginError(f"{module!r} cannot be imported: {one_line(error)}{_meant(module, error)}") from None
    if not known and (file := getattr(member, "__file__", None)) is not None and Path(file).is_file():
        _digests[module] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    for part in name.split("."):
        if not hasattr(member, part):
            raise UsageError(f"module {module!r} has no {name!r}{nearest(part, classes(member))}")
        member = getattr(member, part)
    return member


def homes(text: str) -> dict[str, Path]:
    """Return where each MODULE:CLASS of an expression stands: the file of its module, which is imported already."""
    files = {}
    for path in PATH.findall(text):
        file = getattr(sys.modules.get(path.partition(":")[0]), "__file__", None)
        if file is not None:
            files[path] = Path(file).absolute()
    return files


def digests(text: str) -> dict[str, str]:
    """Return the SHA-256 of the file of each MODULE:CLASS of an expression, as it was when it was imported here."""
    modules = {path: path.partition(":")[0] for path in PATH.findall(text)}
    return {path: _digests[module] for path, module in modules.items() if module in _digests}


@contextmanager
def _here_on_path() -> Iterator[None]:
    """Let modules be imported from the folder one stands in, as `python -m` does."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _meant(module: str, error: BaseException) -> str:
    """Say what to do where the module that is named is what is missing; offer the nearest one."""
    missing = error.name or "" if isinstance(error, ModuleNotFoundError) else ""
    if not missing or not f"{module}.".startswith(f"{missing}."):
        return ""
    parent, dot, last = missing.rpartition(".")
    folders = list(getattr(sys.modules.get(parent), "__path__", [])) if dot else _searched()
    names = {module_info.name for module_info in pkgutil.iter_modules(folders)}
    names |= {path.name for folder in folders for path in _listed(folder) if path.is_dir() and path.name.isidentifier()}
    rest = module[len(missing) :]
    hint = nearest(f"{parent}{dot}{last}{rest}", [f"{parent}{dot}{name}{rest}" for name in sorted(names)])
    return f"{hint}; stand in the folder of {missing.partition('.')[0]}, or put that on PYTHONPATH"


def _searched() -> list[str]:
    """Return the folders of the user's own modules: the one that one stands in, and those of PYTHONPATH."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    return list(dict.fromkeys([str(Path.cwd()), *filter(None, named)]))


def _listed(folder: str) -> list[Path]:
    try:
        return list(Path(folder).iterdir())
    except OSError:
        return []
