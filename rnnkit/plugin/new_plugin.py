"""A distribution for a new cell, begun from the templates beside this file: it works as it is, to be filled in."""

import keyword
import os
import re
from importlib import metadata
from importlib.resources import files
from typing import NamedTuple

from rnnkit.errors import UsageError
from rnnkit.plugin.loader import FIRST_PARTY, canonical
from rnnkit.plugin.registry import cells
from rnnkit.support.atomic_files import write_folder
from rnnkit.support.paths import AnyPath, as_path

PREFIX = "rnnkit-"
DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""What package indexes take as a name."""

CELL = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
"""What may stand for a cell in an expression, and, with a capital, for its class."""

TEMPLATES = {
    "pyproject.toml": "pyproject.toml.txt",
    "MODULE_NAME.py": "cell.py.txt",
    "tests/test_CELL_NAME.py": "tests/test_cell.py.txt",
    "README.md": "README.md.txt",
    ".github/workflows/tests.yml": "workflows/tests.yml.txt",
}
"""What is written, and from which template; words in capitals are replaced, in names too."""


class NewPlugin(NamedTuple):
    """What a new distribution and its cell are called."""

    distribution: str
    """As pip has it: "rnnkit-mgu"."""
    cell: str
    """As `--cell` has it: "mgu"."""

    @property
    def module(self) -> str:
        """The module that is imported: "rnnkit_mgu"."""
        return self.distribution.replace("-", "_")

    @property
    def cell_class(self) -> str:
        """The class: "Mgu"."""
        return "".join(part[:1].upper() + part[1:] for part in self.cell.split("_"))

    def written(self) -> dict[str, str]:
        """Return the text of each file, by its path in the new folder."""
        folder = files("rnnkit.plugin") / "templates" / "plugin"
        return {
            self._filled(path): self._filled((folder / template).read_text(encoding="utf-8"))
            for path, template in TEMPLATES.items()
        }

    def _filled(self, text: str) -> str:
        words = {
            "DISTRIBUTION": self.distribution,
            "MODULE_NAME": self.module,
            "CELL_NAME": self.cell,
            "CellClass": self.cell_class,
        }
        return re.sub("|".join(words), lambda match: words[match[0]], text)


def name_plugin(name: str, cell: str | None = None) -> NewPlugin:
    """Return the names of a new distribution and of its cell, once it is known that they are free.

    Args:
        name: of the distribution, with or without the `rnnkit-` before it.
        cell: of the cell; None: as the distribution, with underscores.

    Raises:
        UsageError: a name that nothing can have, or that something installed has.
    """
    if not DISTRIBUTION.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a distribution; use letters, digits and dashes, and no dash at either end"
        )
    short = canonical(name).removeprefix(PREFIX)
    plugin = NewPlugin(PREFIX + short, short.replace("-", "_") if cell is None else cell)
    if not CELL.fullmatch(plugin.cell) or keyword.iskeyword(plugin.cell):
        remedy = "; name the cell with --cell" if cell is None else ""
        raise UsageError(
            f"{plugin.cell!r} is no name for a cell; use letters, digits and underscores, with a letter first{remedy}"
        )
    if owner := _owner(plugin):
        raise UsageError(f"{plugin.distribution!r} is taken, by {owner}; choose another name")
    if plugin.cell in cells:
        remedy = "name yours otherwise with --cell" if cell is None else "name yours otherwise"
        raise UsageError(f"cell {plugin.cell!r} is there already, from {cells.origin(plugin.cell)}; {remedy}")
    return plugin


def _owner(plugin: NewPlugin) -> str:
    """Return the installed distribution that has the same name, or rnnkit where it has the module; "" for none."""
    try:
        return f"the installed {plugin.distribution} {metadata.version(plugin.distribution)}"
    except metadata.PackageNotFoundError:
        top_levels = metadata.distribution(FIRST_PARTY).read_text("top_level.txt") or ""
        return f"a package of {FIRST_PARTY}'s own" if plugin.module in top_levels.split() else ""


def write_plugin(plugin: NewPlugin, folder: AnyPath) -> list[str]:
    """Write a new distribution into a folder that is not there yet; return the paths of its files within.

    Raises:
        UsageError: the folder is there already.
        ResourceError: it cannot be written; nothing is left behind.
    """
    folder = as_path(folder)
    if os.path.lexists(folder):
        raise UsageError(f"{folder} exists already; give another folder with --out")
    texts = plugin.written()
    write_folder(folder, {path: text.encode() for path, text in texts.items()})
    return list(texts)
