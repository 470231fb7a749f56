"""The floors of the house: who may import whom, read from the source."""

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted([*ROOT.glob("rnnkit/**/*.py"), *ROOT.glob("plugins/**/*.py")])

# Each may import from the floors before its own.
MATHEMATICS = [
    "errors",
    "reserved",
    "cell expression truncation packing schedule optimizers averaging clipping faults",
    "input_checks",
    "unroll task",
    "choice batch_check",
    "wrapper domains",
    "sequence stack states tap twin",
    "adoption",
    "choosing",
    "torch_names",
    "layer",
    "model",
    "evaluation stream",
    "record passes",
    "training finite_differences",
]
RUNS = [
    "errors",
    "durable packing",
    "checkpoint",
    "checkpoint_store",
    "training",
    "run_log settings",
    "config resumption data_record",
    "run_folder",
]
PLUGINS = ["hookspecs time_limit", "plugins", "registry"]
PLUGINS_MAY_IMPORT = {"torch", "numpy", "sklearn", "rnnkit"}
NOT_IN_THE_COMMAND_LINE = {"torch", "numpy", "safetensors", "rich"}


def module_name(path):
    parts = path.relative_to(ROOT / "plugins" if ROOT / "plugins" in path.parents else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in SOURCES}
CORE = [name for name in FILES if name.split(".")[0] == "rnnkit"]


def runs(tree, deferred):
    """Give the statements that run at import; with `deferred`, those inside functions too. TYPE_CHECKING never runs."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if not deferred and isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        yield node
        yield from runs(node, deferred)


def imports(name, deferred=True):
    """Give the modules that a module imports: `from package import module` counts as the module."""
    found = set()
    for node in runs(ast.parse(FILES[name].read_text(encoding="utf-8")), deferred):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {path if path in FILES else node.module for path in whole}
    return found


def test_the_reader_of_imports_sees_them_all():
    assert len(FILES) > 40
    assert imports("rnnkit.cli.commands.run") >= {"click", "rnnkit.runs.folder"}
    assert imports("rnnkit.cli.report") >= {"torch", "rnnkit.layers.model", "rnnkit.training.sampling"}
    assert imports("rnnkit.runs.settings") >= {"torch", "rnnkit.training.training", "rnnkit.plugin.registry"}
    assert imports("rnnkit.cli.commands.run", deferred=False).isdisjoint(
        {"torch", "rnnkit.runs.folder", "rnnkit.layers.model"}
    )
    assert imports("rnnkit.cli.report", deferred=False).isdisjoint(
        {"torch", "rnnkit.layers.model", "rnnkit.training.sampling"}
    )
    assert "rnnkit.plugin.hookspecs" in imports("rnnkit.plugin.loader")
    assert "rnnkit.core.cell" not in imports("rnnkit.plugin.hookspecs")


@pytest.mark.parametrize("floors", [MATHEMATICS, RUNS, PLUGINS], ids=["mathematics", "runs", "plugins"])
def test_nothing_imports_from_above(floors):
    heights = {f"rnnkit.{word}": height for height, floor in enumerate(floors) for word in floor.split()}
    assert set(heights) <= set(FILES)
    climbs = [
        f"{name} imports {other}"
        for name, height in heights.items()
        for other in imports(name) & set(heights)
        if heights[other] >= height
    ]
    assert climbs == []


def test_training_takes_objects():
    assert imports("rnnkit.training.training").isdisjoint(
        {"rnnkit.plugin.registry", "rnnkit.plugin.loader", "rnnkit.layers.rnn"}
    )


def test_training_writes_no_files():
    files = {
        "pathlib",
        "rnnkit.support.atomic_files",
        "rnnkit.runs.checkpoint",
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
        assert top in allowed
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
