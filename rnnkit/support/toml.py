"""TOML: read by the standard library, which does not write it."""

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from rnnkit.errors import ResourceError, UsageError
from rnnkit.support.atomic_files import SCARCE
from rnnkit.support.paths import AnyPath, as_path


def read_toml(path: AnyPath, remedy: str = "name a TOML file of settings") -> dict[str, Any]:
    """Read a TOML file of settings; the values are not checked yet.

    Args:
        path: where.
        remedy: what is to be done where there is no such file.

    Raises:
        UsageError: it is missing, unreadable or not TOML.
    """
    path = as_path(path)
    if not path.is_file():
        fault = "is a folder" if path.is_dir() else "is not a file" if path.exists() else "is missing"
        raise UsageError(f"{path} {fault}; {remedy}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if getattr(error, "errno", None) in SCARCE:
            raise ResourceError(f"{path} cannot be read: {error}") from None
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} is not the configuration of a run: {reason}") from None


def write_toml(values: Mapping[str, Any]) -> str:
    """Return the text: plain values first, then a table for each dict, in which there may be more."""
    lines = [f"{key} = {_toml(value)}" for key, value in values.items() if not isinstance(value, dict)]
    for key, table in values.items():
        if isinstance(table, dict):
            lines += ["", f"[{key}]", *(f"{_key(name)} = {_toml(value)}" for name, value in table.items())]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)


def _toml(value: object) -> str:
    """Write one value; strings with the escapes that TOML shares with Python's backslash forms."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(_escape(character) for character in value) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + " }"
    return repr(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
