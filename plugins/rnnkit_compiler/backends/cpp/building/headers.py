"""The headers that a source may include, by their names; the package may be a folder or lie in an archive."""

from importlib.resources import files
from importlib.resources.abc import Traversable

HEADERS: Traversable = files("rnnkit_compiler.backends.cpp") / "headers"


def headers() -> dict[str, str]:
    """Read the headers. That is done each time, so that one that is edited while the process runs counts as it is.

    Raises:
        OSError: they cannot be read.
    """
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted(HEADERS.iterdir(), key=lambda path: path.name)
        if path.name.endswith(".h")
    }
