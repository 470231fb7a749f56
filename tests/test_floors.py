"""The floors of the house: who may import whom, read from the source; tools/house.py has the table."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import house
import pytest
from house import FILES, FLOORS, imports, room_of

ROOT = Path(__file__).parents[1]
CORE = [name for name in FILES if name.split(".")[0] == "rnnkit"]
PLUGINS_MAY_IMPORT = {"torch", "numpy", "sklearn", "pyarrow", "rnnkit", "triton"}
WHAT_IS_PROVEN = {
    "rnnkit_unrollers": {
        "rnnkit_compiler.structure.jacobian",
        "rnnkit_compiler.structure.owners",
        "rnnkit_compiler.structure.stages",
        "rnnkit_compiler.trace.example",
        "rnnkit_compiler.trace.holdings",
    }
}
"""What a plugin takes of another one: the unrollers, what the compiler has proven of a step."""

NOT_IN_THE_COMMAND_LINE = {"torch", "numpy", "safetensors", "rich"}
ONLY_THE_VERSION = {
    *(
        "rnnkit.plugin.loader",
        "rnnkit.cli.main",
        "rnnkit.runs.folder",
        "rnnkit.matrix.sources",
        "rnnkit.racing.folder",
        "rnnkit.export.description",
    ),
}
"""Modules that import `rnnkit` itself, whose names are resolved on first use and so lead to any floor."""


def test_the_reader_of_imports_sees_them_all():
    assert len(FILES) > 40
    assert imports("rnnkit.cli.commands.run") >= {"click", "rnnkit.runs.folder"}
    assert imports("rnnkit.cli.report") >= {"torch", "rnnkit.layers.model", "rnnkit.training.sampling"}
    assert imports("rnnkit.runs.settings") >= {"torch", "rnnkit.training.training", "rnnkit.plugin.registry"}
    assert imports("rnnkit.cli.commands.run", deferred=False).isdisjoint({"torch", "rnnkit.runs.folder"})
    assert imports("rnnkit.cli.report", deferred=False).isdisjoint({"torch", "rnnkit.layers.model"})
    assert "rnnkit.plugin.hookspecs" in imports("rnnkit.plugin.loader")
    assert "rnnkit.core.cell" not in imports("rnnkit.plugin.hookspecs")


@pytest.mark.parametrize("package", FLOORS)
def test_every_module_is_in_a_room(package):
    rooms = [room for floor in FLOORS[package] for room in floor]
    assert len(set(rooms)) == len(rooms)
    assert {room_of(name) for name in FILES if name.split(".")[0] == package} - {""} == set(rooms)


@pytest.mark.parametrize("package", FLOORS)
def test_nothing_imports_from_above(package):
    heights = {room: height for height, floor in enumerate(FLOORS[package]) for room in floor}
    climbs = [
        f"{room} imports {other}"
        for room, others in house.arrows(package).items()
        for other in others
        if heights[other] >= heights[room]
    ]
    assert climbs == []


def test_no_module_of_the_core_takes_a_way_round():
    """By `import rnnkit`, whose names lead to any floor."""
    assert {name for name in CORE if "rnnkit" in imports(name)} <= ONLY_THE_VERSION
    for name in ONLY_THE_VERSION & set(FILES):
        tree = ast.parse(FILES[name].read_text(encoding="utf-8"))
        taken = {
            alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "rnnkit"
            for alias in node.names
            if f"rnnkit.{alias.name}" not in FILES
        }
        assert taken <= {"__version__"}, name


def test_the_top_level_has_rooms_alone():
    modules = {path.stem for path in (ROOT / "rnnkit").glob("*.py")}
    assert modules == {"__init__", "__main__", "errors", "init"}


@pytest.mark.parametrize("name", [name for name, path in FILES.items() if path.name == "__init__.py"])
def test_every_folder_says_what_is_in_it(name):
    assert ast.get_docstring(ast.parse(FILES[name].read_text(encoding="utf-8")))


def test_the_picture_is_that_of_the_source():
    assert house.PICTURE.read_text(encoding="utf-8") == house.picture(), "draw it again: python tools/house.py"


def test_training_takes_objects():
    assert imports("rnnkit.training.training").isdisjoint(
        {"rnnkit.plugin.registry", "rnnkit.plugin.loader", "rnnkit.layers.rnn"}
    )


def test_training_writes_no_files():
    files = {
        "pathlib",
        "rnnkit.support.atomic_files",
        "rnnkit.checkpoints.checkpoint",
        "rnnkit.checkpoints.checkpoint_store",
        "rnnkit.runs.folder",
        "rnnkit.runs.settings",
    }
    assert imports("rnnkit.training.training").isdisjoint(files)


def test_the_core_knows_no_plugin():
    packages = {name.split(".")[0] for name in FILES} - {"rnnkit"}
    assert packages >= {"rnnkit_cells", "rnnkit_tasks", "rnnkit_unrollers"}
    for name in CORE:
        assert {other.split(".")[0] for other in imports(name)}.isdisjoint(packages), name


@pytest.mark.parametrize("name", [name for name in FILES if name not in CORE])
def test_plugins_stand_on_the_public_names(name):
    allowed = {*PLUGINS_MAY_IMPORT, *sys.stdlib_module_names, name.split(".")[0]}
    for other in imports(name):
        top = other.split(".")[0]
        assert top in allowed or other in WHAT_IS_PROVEN.get(name.split(".")[0], ())
        assert top != "rnnkit" or other in ("rnnkit", "rnnkit.errors")


def test_no_cycles():
    graph = {name: imports(name) & set(FILES) for name in FILES}
    # `import rnnkit` in a plugin or command stands for public names, which are resolved on first use.
    order = list(TopologicalSorter({name: others - {"rnnkit"} for name, others in graph.items()}).static_order())
    assert set(order) == set(FILES)


@pytest.mark.parametrize("name", [name for name in CORE if f"{name}.".startswith("rnnkit.cli.")])
def test_the_command_line_starts_without_torch(name):
    """Transitively: what a module imports at import time, and what that imports."""
    seen, todo = set(), {name}
    while todo:
        current = todo.pop()
        seen.add(current)
        todo |= (imports(current, deferred=False) if current in FILES else set()) - seen
    assert {other.split(".")[0] for other in seen}.isdisjoint(NOT_IN_THE_COMMAND_LINE)


def test_no_file_is_unpickled():
    """A pickle runs code. One module alone uses it, to hand a call to a process that it has just started."""
    for name, path in FILES.items():
        if name != "rnnkit.benchmark.process":
            assert imports(name).isdisjoint({"pickle", "shelve", "marshal", "dill", "cloudpickle", "joblib"}), name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and ast.unparse(node) in ("torch.load", "torch.save")), name
