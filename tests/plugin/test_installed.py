"""What is in plugins/ is what pyproject.toml lists and what is installed."""

import tomllib
from importlib.metadata import entry_points
from pathlib import Path

from rnnkit.plugin.registry import complaints

ROOT = Path(__file__).parents[2]


def modules_in_plugins():
    return {f"{path.parent.name}.{path.stem}" for path in (ROOT / "plugins").glob("*/[!_]*.py")}


def table_in_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["entry-points"]["rnnkit"]


def installed():
    return {entry.name: entry.value for entry in entry_points(group="rnnkit") if entry.dist.name == "rnnkit"}


def test_three_lists_are_one():
    assert modules_in_plugins() >= {"rnnkit_cells.lstm", "rnnkit_unrollers.loop", "rnnkit_tasks.chars"}
    assert modules_in_plugins() == set(table_in_pyproject().values())
    assert table_in_pyproject() == installed()


def test_no_module_is_listed_twice():
    assert len(set(table_in_pyproject().values())) == len(table_in_pyproject())


def test_nothing_is_wrong_with_rnnkit_s_own():
    assert complaints() == []
