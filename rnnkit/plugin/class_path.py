"""The form of MODULE:CLASS: what is nearly one is told from it, with what was probably meant."""

import inspect
import re
from pathlib import Path
from typing import Any

from rnnkit.errors import UsageError

EXAMPLE = "such as my_package.cells:MyCell"
LARGEST = 2**20
"""Bytes of a file that is searched for a class; sources are smaller."""


def split(path: str) -> tuple[str, str]:
    """Return the module and the class that MODULE:CLASS names.

    Raises:
        UsageError: it is of another form; the message says what to write.
    """
    module, _, name = path.partition(":")
    if not module.strip():
        raise UsageError(f"{path!r} names no module; {_whose(name)}")
    if _is_file(module) or not all(module.split(".")):
        raise UsageError(f"{path!r} names a file and not a module; {_for_file(module, name)}")
    if not name.strip():
        raise UsageError(f"{path!r} names no class; {_of_file(module)}")
    if not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{path!r} is not of the form MODULE:CLASS, {EXAMPLE}; {name!r} is no name of a class")
    return module, name


def remedy(name: str) -> str:
    """Say what to write for a name that nothing is registered under, if it looks like a class's; else ""."""
    if _is_file(name):
        module, _, last = name.replace("\\", "/").rpartition("/")
        named = module.strip("./") and last.isidentifier() and not Path(f"{name}.py").is_file()
        return _for_file(module, last) if named else _for_file(name, "")
    module, _, last = name.rpartition(".")
    if module and all(part.isidentifier() for part in name.split(".")):
        return f"a class is named by MODULE:CLASS, with a colon: write {module}:{last}"
    if name.isidentifier() and Path(f"{name}.py").is_file():
        return f"there is a module of that name here: {_of_file(name)}"
    return ""


def classes(module: Any, base: type | None = None) -> list[str]:
    """Return the names of the classes in a module; with `base`, of those that its own source derives from it."""
    own = [(name, kind) for name, kind in vars(module).items() if inspect.isclass(kind)]
    if base is None:
        return [name for name, _ in own]
    return [name for name, kind in own if issubclass(kind, base) and kind.__module__ == module.__name__]


def described(given: object) -> str:
    """Return what something is, without the address at which it lies."""
    if inspect.isclass(given):
        return repr(given)
    for is_one, noun in ((inspect.isroutine, "a function"), (inspect.ismodule, "a module")):
        if is_one(given):
            return noun
    return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{given!r:.100}")


def _is_file(text: str) -> bool:
    return "/" in text or "\\" in text or text.endswith(".py")


def _for_file(file: str, name: str) -> str:
    """Say what to write for a class in a file."""
    parts = [part for part in file.replace("\\", "/").removesuffix(".py").split("/") if part not in ("", ".")]
    outside = file.startswith(("/", "~")) or ".." in parts or ":" in file
    if outside:
        folder = file.replace("\\", "/").rpartition("/")[0]
        return f"write {parts[-1]}:{name or 'CLASS'}, and stand in {folder or '/'} or put it on PYTHONPATH"
    module = ".".join(part for part in ".".join(parts).split(".") if part)
    return f"write {module}:{name}" if name else _of_file(module)


def _of_file(module: str) -> str:
    """Say what to write for a class of a module, by the source of it that lies here."""
    known = _defined(Path(*module.split(".")).with_suffix(".py"))
    return f"write {' or '.join(f'{module}:{name}' for name in known[:3])}" if known else f"write {module}:CLASS"


def _whose(name: str) -> str:
    """Say what to write for a class without a module, by the sources that lie here."""
    modules = [file.stem for file in sorted(Path.cwd().glob("*.py")) if name in _defined(file)]
    if modules:
        return f"write {' or '.join(f'{module}:{name}' for module in modules[:3])}"
    return f"write MODULE:{name or 'CLASS'}, {EXAMPLE}"


def _defined(file: Path) -> list[str]:
    """Return the classes that a source defines at its outermost level; it is read, not run."""
    try:
        text = file.read_text(encoding="utf-8") if file.stat().st_size <= LARGEST else ""
    except (OSError, ValueError):
        return []
    return re.findall(r"^class\s+(\w+)", text, re.MULTILINE)
