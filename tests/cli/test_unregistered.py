"""A cell that is registered nowhere, by its import path: every command takes it, and a run made with it goes on."""

import json
import re
import sys

import pytest

SMALL = ("--task", "chars", "--steps", 2, "--hidden", 6, "--batch", 2, "--seq-len", 8, "--quiet")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch, cell_source):
    """Stand in a folder with a module of cells, and forget it afterwards."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "my_cells.py").write_text(cell_source())
    yield folder
    sys.modules.pop("my_cells", None)


@pytest.fixture
def forget(monkeypatch, tmp_path):
    """Go to another folder, in a process that knows nothing of the module."""

    def go():
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        del sys.modules["my_cells"]

    return go


def refused(result, code):
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert re.fullmatch(r"rnnkit: .*\n", result.stderr)
    return result.stderr


WORDS = {
    "gradcheck": ("gradcheck", "--cell", "my_cells:Fake"),
    "gradcheck, wrapped": ("gradcheck", "--cell", "zoneout(my_cells:Fake, rate=0.1)"),
    "cells": ("cells", "my_cells:Fake"),
    "cells, wrapped": ("cells", "zoneout(my_cells:Fake)"),
    "explain": ("cells", "my_cells:Fake", "--explain", "--unroller", "loop"),
    "bench": ("bench", "--cell", "my_cells:Fake", "--sizes", "1x2x3x4", "--pairs", 2, "--memory", "none"),
    "check": ("check", "my_cells:Fake"),
    "check, wrapped": ("check", "zoneout(my_cells:Fake)"),
    "print-config": ("run", "--cell", "my_cells:Fake", "--print-config"),
}


@pytest.mark.parametrize("words", WORDS)
def test_every_command_takes_it(cli, words):
    result = cli(*WORDS[words])
    assert result.exit_code == 0, result.stderr
    assert ("zoneout" if "wrapped" in words else "ake") in result.stdout


def test_cells_say_where_it_is_from(cli, lines):
    (told,) = lines(cli("cells", "my_cells:Fake", "--json").stdout)
    assert (told["name"], told["origin"]) == ("fake", "my_cells:Fake")
    assert told["parameters"] == {"weight": [128, 64]}


@pytest.mark.parametrize(
    "words",
    [("run", *SMALL, "--cell"), ("gradcheck", "--cell"), ("bench", "--cell"), ("cells",), ("check",)],
    ids=lambda words: words[0],
)
def test_what_is_wrong_with_it_is_one_line(cli, here, words):
    assert "did you mean 'my_cells'" in refused(cli(*words, "my_cels:Fake"), 4)
    assert "did you mean 'Fake'" in refused(cli(*words, "my_cells:Fakee"), 2)
    assert "Cell" in refused(cli(*words, "my_cells:torch"), 2)
    for slip in (
        "./my_cells.py:Fake",
        ":Fake",
        "my_cells:",
        "my_cells.Fake",
        "my_cells/Fake",
        "my_cells.py",
        "my_cells",
    ):
        assert refused(cli(*words, slip), 2).endswith("write my_cells:Fake\n")
    factory = refused(cli(*words, "my_cells:rnnkit_cells"), 2)
    assert "'my_cells:rnnkit_cells', a function" in factory
    assert " at 0x" not in factory
    assert [path.name for path in here.iterdir() if path.name != "__pycache__"] == ["my_cells.py"]


def test_a_run_is_resumed_judged_sampled_and_exported(cli, here, text, lines):
    (here / "run.toml").write_text('cell = "my_cells:Fake"\n')
    result = cli("run", *SMALL, "--text", text, "--config", "run.toml", "--out", "mine")
    assert result.exit_code == 0, result.stderr
    assert 'cell = "my_cells:Fake"' in (here / "mine" / "config.toml").read_text()
    about = json.loads((here / "mine" / "env.json").read_text())
    assert about["imports"] == {"my_cells:Fake": str(here / "my_cells.py")}
    del sys.modules["my_cells"]
    assert cli("eval", "mine").exit_code == 0
    assert cli("sample", "mine", "--length", 5).exit_code == 0
    assert cli("export", "mine").exit_code == 0
    assert "my_cells:Fake" in cli("compare", "mine").stdout
    resumed = cli("run", "--resume", "mine", "--steps", 3, "--quiet")
    assert (resumed.exit_code, resumed.stderr) == (0, "")


def test_a_run_tells_where_its_cell_was(cli, here, forget):
    assert cli("run", *SMALL, "--cell", "zoneout(my_cells:Fake)", "--out", "mine").exit_code == 0
    forget()
    for command in (("eval",), ("sample",), ("export",), ("run", "--resume")):
        line = refused(cli(*command, here / "mine"), 4)
        assert f"the run was made with my_cells:Fake in {here / 'my_cells.py'}: go there, or put" in line


def test_a_resumed_run_tells_of_another_source(cli, here, cell_source):
    assert cli("run", *SMALL, "--cell", "my_cells:Fake", "--out", "mine").exit_code == 0
    with (here / "my_cells.py").open("a") as file:
        file.write("# changed\n")
    del sys.modules["my_cells"]
    result = cli("run", "--resume", "mine", "--steps", 3, "--quiet")
    assert result.exit_code == 0
    assert re.fullmatch(r"rnnkit: my_cells:Fake was '\w+' when .* now it is '\w+'; bits may differ\n", result.stderr)
