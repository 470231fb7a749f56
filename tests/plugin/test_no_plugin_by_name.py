"""The core asks plugins what they declare; it knows none by its name but as the user's own word."""

import ast
import re
from pathlib import Path

import pytest

import rnnkit
from rnnkit.errors import AmbiguousNameError, UnknownNameError
from rnnkit.plugin.registry import Registry

ROOT = Path(__file__).parents[2]
SOURCES = sorted(ROOT.glob("rnnkit/**/*.py"))
DEFAULT = "what the user gets who names none"
FORMATS = "weights of other libraries: the cells that both have"
WORDS = "no plugin, but a word of the field or of English"

# By file or folder of rnnkit/: the names that may stand there, and why.
ALLOWED = {
    "runs/setting_fields.py": ({"lstm", "chars", "norm"}, f"{DEFAULT}; gradients are cut by their norm"),
    "training/choices.py": ({"norm"}, WORDS),
    "training/train.py": ({"norm"}, WORDS),
    "training/training.py": ({"norm"}, WORDS),
    "cli/report.py": ({"norm"}, WORDS),
    "layers/model.py": ({"lstm"}, DEFAULT),
    "layers/wrapper.py": ({"lstm"}, DEFAULT),
    "layers/rnn.py": ({"residual"}, "an option of the layer's own"),
    "plugin/cell_spec.py": ({"residual"}, "an option of the layer's own"),
    "checkpoints/run_folder.py": ({"loop"}, WORDS),
    "export/scan.py": ({"scan"}, "ONNX has an operator of that name"),
    "cli/options.py": ({"lstm"}, DEFAULT),
    "cli/commands/gradcheck.py": ({"lstm", "loop"}, DEFAULT),
    "testing/gradcheck.py": ({"loop"}, DEFAULT),
    "testing/unrollers.py": ({"lstm"}, "the cell on which an unroller is tried"),
    "benchmark/candidates.py": ({"lstm", "gru", "rnn", "peephole", "loop"}, "what others have, and rivals' names"),
    "interop/": ({"lstm", "gru", "rnn", "peephole"}, FORMATS),
}


def registered():
    return {*rnnkit.cells, *rnnkit.unrollers, *rnnkit.tasks}


def docstrings(tree):
    """Find the strings that stand alone, as docstrings do."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def named_in(path):
    """Return the registered names that a module has as strings, or after an option inside of one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    alone = docstrings(tree)
    words = set()
    for text in texts:
        if id(text) not in alone:
            words |= {text.value, *re.findall(r"--(?:cell|unroller|task)[ =](\w+)", text.value)}
    return words & registered()


def allowed_in(path):
    place = path.relative_to(ROOT / "rnnkit").as_posix()
    return {name for where, (names, _) in ALLOWED.items() if place.startswith(where) for name in names}


def test_the_reader_sees_names():
    assert named_in(ROOT / "rnnkit" / "layers" / "model.py") == {"lstm"}
    assert registered() >= {"lstm", "loop", "checkpoint", "learnt_state", "chars"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT / "rnnkit").as_posix())
def test_no_module_names_a_plugin_unless_it_is_said_why(path):
    names = named_in(path) - allowed_in(path)
    assert not names, f"{path} has {names}; if it means no plugin there, say so in ALLOWED"


def test_what_is_allowed_is_there():
    for where, (names, reason) in ALLOWED.items():
        paths = [path for path in SOURCES if path.relative_to(ROOT / "rnnkit").as_posix().startswith(where)]
        assert set().union(*map(named_in, paths)) >= names, where
        assert reason


def registry_of(monkeypatch, *kinds):
    registry = Registry("unroller", "rnnkit_unrollers", list)
    monkeypatch.setattr(Registry, "_claims", lambda self: {kind.name: [(kind, None)] for kind in kinds})
    return registry


class Plain(rnnkit.Unroller):
    is_reference = True


class Derived(Plain):
    pass


class Second(rnnkit.Unroller):
    is_reference = True


def test_who_declares_it_is_found_whatever_its_name_and_who_inherits_it_is_not(monkeypatch):
    assert registry_of(monkeypatch, Plain, Derived).declaring("is_reference") is Plain


def test_none_or_two_that_declare_it_are_refused(monkeypatch):
    with pytest.raises(UnknownNameError, match="no unroller that is registered declares is_reference"):
        registry_of(monkeypatch, Derived).declaring("is_reference")
    with pytest.raises(AmbiguousNameError, match="unrollers 'plain' and 'second' all declare is_reference"):
        registry_of(monkeypatch, Plain, Second).declaring("is_reference")


def test_first_party_plugins_declare_what_the_core_asks_for():
    assert rnnkit.unrollers.declaring("is_reference") is rnnkit.unrollers["loop"]
    assert rnnkit.cells.declaring("learns_initial_state") is rnnkit.cells["learnt_state"]
    assert [name for name, kind in rnnkit.unrollers.items() if kind.replays] == ["checkpoint"]
