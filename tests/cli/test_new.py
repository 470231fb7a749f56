"""`rnnkit new plugin`: a distribution that works as it is; names that are taken, or no names, are refused."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from importlib import metadata
from pathlib import Path

import pytest

import rnnkit
from rnnkit import testing
from rnnkit.plugin.class_import import imported
from rnnkit.plugin.new_plugin import TEMPLATES, NewPlugin

ROOT = Path(__file__).parents[2]
LINES = """\
rnnkit-two-gates/pyproject.toml
rnnkit-two-gates/rnnkit_two_gates.py
rnnkit-two-gates/tests/test_two_gates.py
rnnkit-two-gates/README.md
rnnkit-two-gates/.github/workflows/tests.yml

next:
  cd rnnkit-two-gates && pip install -e .
  pytest
  rnnkit run --cell two_gates
"""


FORMAT = ("format", "--check")
LETTERS = "N812,D107,RUF001,RUF002,RUF003,E501"
"""What rnnkit itself ignores, Greek letters above all; and lines that long names of one's own make longer."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["two-gates", "rnnkit-two-gates", "Two_Gates"])
def test_what_is_written_and_said(cli, here, name):
    result = cli("new", "plugin", name)
    assert (result.exit_code, result.stdout, result.stderr) == (0, LINES, "")
    files = sorted(str(path.relative_to(here)) for path in here.rglob("*") if path.is_file())
    assert files == sorted(LINES.split("\n\n")[0].splitlines())
    texts = [Path(path).read_text() for path in files]
    assert not any(word in text for text in texts for word in ("CELL_NAME", "CellClass", "DISTRIBUTION", "MODULE_NAME"))
    project = tomllib.loads(Path("rnnkit-two-gates/pyproject.toml").read_text())
    assert project["project"]["name"] == "rnnkit-two-gates"
    assert project["project"]["entry-points"]["rnnkit"] == {"two_gates": "rnnkit_two_gates"}


def test_the_places_to_fill_in_are_numbered(cli, here):
    cli("new", "plugin", "mine")
    found = [line for path in sorted(here.rglob("*.*")) if path.is_file() for line in path.read_text().splitlines()]
    marks = sorted(word for line in found for word in line.split("FILL IN ")[1:])
    assert [mark[0] for mark in marks] == list("123456789")


def test_names_of_ones_own(cli, here, lines):
    result = cli("new", "plugin", "gru", "--cell", "myGru_2", "--out", "a folder", "--json")
    (told,) = lines(result.stdout)
    assert told["files"][1] == "a folder/rnnkit_gru.py"
    del told["files"]
    names = {"distribution": "rnnkit-gru", "module": "rnnkit_gru", "class": "MyGru2", "cell": "myGru_2"}
    assert told == {**names, "folder": "a folder"}
    result = cli("new", "plugin", "other", "--out", "b folder")
    assert "  cd 'b folder' && pip install -e .\n" in result.stdout


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("plugin", "-x"), 2, "No such option"),
        (("plugin", "x-"), 2, "'x-' is no name for a distribution; use letters, digits and dashes, and no dash at"),
        (("plugin", ""), 2, "'' is no name for a distribution"),
        (("plugin", "3d"), 2, "'3d' is no name for a cell; use letters, digits and underscores, with a letter first; "),
        (("plugin", "lambda"), 2, "'lambda' is no name for a cell"),
        (("plugin", "mine", "--cell", "3d"), 2, "'3d' is no name for a cell"),
        (
            ("plugin", "mine", "--cell", "lstm"),
            2,
            "cell 'lstm' is there already, from rnnkit 0.1.0; name yours",
        ),
        (("plugin", "cells"), 2, "'rnnkit-cells' is taken, by a package of rnnkit's own; choose another name"),
        (("plugin", "fake"), 2, "'rnnkit-fake' is taken, by the installed rnnkit-fake 1.0; choose another name"),
        (("task", "mine"), 2, "'task' is nothing that can be begun; write rnnkit new plugin NAME"),
        (("mine",), 2, "'mine' is nothing that can be begun; write rnnkit new plugin NAME"),
        (("plugin", "mine", "--out", "site"), 2, "site exists already; give another folder with --out"),
        (("plugin", "mine", "--out", "no/where"), 8, "no/where cannot be written: No such file or directory"),
    ],
    ids=str,
)
def test_what_is_refused(cli, here, site, cell_source, words, code, sentence):
    site.install("rnnkit-fake", fake=cell_source())
    before = sorted(here.rglob("*"))
    result = cli("new", *words)
    assert result.exit_code == code
    assert result.stderr.startswith("rnnkit: ")
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path for path in sorted(here.rglob("*")) if path not in before and "__pycache__" not in str(path)] == []


def test_the_cell_as_it_is_works_and_says_its_equation(cli, here, monkeypatch):
    cli("new", "plugin", "mine")
    monkeypatch.syspath_prepend(here / "rnnkit-mine")
    monkeypatch.setitem(sys.modules, "rnnkit_mine", None)
    del sys.modules["rnnkit_mine"]  # afterwards, as before
    kind = imported("rnnkit_mine:Mine")
    assert kind.name == "mine"
    found = testing.inspect_cell(kind)
    assert found.failures == []
    assert "compiled" in found.notes[0]
    assert rnnkit.init.forget_bias_(rnnkit.RNN(kind, 3, 4)) is not None
    assert "h = u ⊙ h + (1 - u) ⊙ n" in cli("cells", "rnnkit_mine:Mine").stdout


def test_what_is_written_is_clean(cli, here):
    """Whatever the names are: long ones, and one that begins as pytest's own do."""
    for name, cell in (("x", "y"), ("test-case", "test_case"), ("n" * 30, "c" * 30)):
        cli("new", "plugin", name, "--cell", cell)
        for words in (("check", "--select", "E,F,W,I,UP,B,C4,SIM,PT,PIE,RET,N,D1,RUF0", "--ignore", LETTERS), FORMAT):
            command = [sys.executable, "-m", "ruff", *words, "--no-cache", "--isolated", "."]
            done = subprocess.run(command, cwd=here / f"rnnkit-{name}", capture_output=True, text=True)
            assert done.returncode == 0, done.stdout


def test_every_template_is_used_and_is_in_the_wheel():
    folder = ROOT / "rnnkit" / "plugin" / "templates" / "plugin"
    there = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    assert there == sorted(TEMPLATES.values())
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert settings["tool"]["setuptools"]["package-data"]["rnnkit.plugin"] == ["templates/**/*.txt"]
    texts = NewPlugin("rnnkit-mine", "mine").written()
    ast.parse(texts["rnnkit_mine.py"])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_in_an_environment_of_its_own_from_a_wheel(tmp_path):
    """From the command to a training: what the page of ten minutes does, and mypy besides."""
    run = environment(tmp_path)
    run("rnnkit", "new", "plugin", "mine", cwd=tmp_path)
    folder = tmp_path / "rnnkit-mine"
    run("python", "-m", "pip", "install", "--no-deps", "--no-build-isolation", "-e", ".", cwd=folder)
    assert "13 passed" in run("python", "-m", "pytest", cwd=folder)
    assert "rnnkit-mine 0.1.0" in run("rnnkit", "cells", "mine", cwd=folder)
    run("rnnkit", "check", "mine", cwd=folder)
    run("rnnkit", "run", "--cell", "mine", "--steps", 3, "--quiet", "--out", "run", cwd=folder)
    run("python", "-m", "mypy", "--strict", ".", cwd=folder)


def environment(tmp_path):
    """Make an environment with rnnkit's wheel, and all else from this one; return what runs a command in it."""
    source = tmp_path / "source"
    for name in ("rnnkit", "plugins"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    folder = tmp_path / "environment"
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    shared = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "shared.pth").write_text("\n".join(shared))
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "COV"))}
    settings = {**clean, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"}

    def run(*words, cwd):
        command = [str(folder / "bin" / words[0]), *map(str, words[1:])]
        done = subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("python", "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", str(source), cwd=tmp_path)
    return run


def test_the_plugin_of_pytest_is_registered():
    (entry,) = metadata.distribution("rnnkit").entry_points.select(group="pytest11")
    assert entry.value == "rnnkit.pytest_plugin"
