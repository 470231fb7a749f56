"""The cells of the package under test, as its own `pyproject.toml` lists them, installed or not."""

import tomllib
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from rnnkit.core.cell import Cell
from rnnkit.errors import PluginError, UsageError, one_line
from rnnkit.plugin.cell_spec import CellChoice, choose
from rnnkit.plugin.loader import GROUP
from rnnkit.plugin.registry import VERIFIERS
from rnnkit.support.paths import AnyPath, as_path

HOOK = "rnnkit_cells"
NAME_THEM = "name the cells: --rnnkit-cells=NAME,... or MODULE:CLASS"


def cells_named(names: str) -> dict[str, CellChoice]:
    """Return the cells of a list with commas, by name: registered ones, expressions without a comma, or MODULE:CLASS.

    Raises:
        UsageError: what one of them names is no cell.
    """
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if "/" in name or Path(name).exists():
            raise UsageError(f"--rnnkit-cells took {name!r} for a cell; write paths before it, or --rnnkit-cells=NAME")
    return {name: choose(name) for name in wanted}


def cells_of_package(root: AnyPath) -> dict[str, CellChoice]:
    """Return the cells that a package registers, by name.

    Args:
        root: the folder with its `pyproject.toml`.

    Raises:
        UsageError: it lists no entry points of rnnkit's, or none with cells.
        PluginError: one of its modules cannot be imported, or offers what is no cell.
    """
    path = as_path(root) / "pyproject.toml"
    found: dict[str, CellChoice] = {}
    for label, value in _entry_points(path).items():
        for kind in _offered(label, value):
            found[kind.name] = CellChoice(kind)
    if not found:
        raise UsageError(f"no hook {HOOK}() of {path} offers a cell; {NAME_THEM}")
    return found


def _entry_points(path: Path) -> dict[str, str]:
    """Read the entry points of the group from a `pyproject.toml`."""
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read ({error.strerror}), so this package's cells are unknown; {NAME_THEM}"
        ) from None
    except ValueError as error:
        raise UsageError(f"{path} is no TOML ({error}); mend it") from None
    entries = project.get("entry-points", {}).get(GROUP, {})
    if not entries:
        raise UsageError(f"{path} has no table [project.entry-points.{GROUP}], so it registers no cell; {NAME_THEM}")
    return {str(label): str(value) for label, value in entries.items()}


def _offered(label: str, value: str) -> Iterable[type[Cell]]:
    """Return the cells that the module of an entry point offers."""
    module_name = value.partition(":")[0].strip()
    try:
        hook: Any = getattr(import_module(module_name), HOOK, None)
        kinds = list(hook()) if hook is not None else []
    except Exception as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == module_name.partition(".")[0]
        remedy = "; install the package, or let pytest find it by pythonpath" if missing else ""
        raise PluginError(f"entry point {label!r}: {module_name} fails: {one_line(error)}{remedy}") from error
    for kind in kinds:
        if problem := VERIFIERS[HOOK](kind):
            raise PluginError(f"entry point {label!r}: {HOOK}(): {problem}")
    return kinds
