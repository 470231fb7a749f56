"""`rnnkit doctor`: versions, machine, unrollers, plugins."""

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import rnnkit
from rnnkit.cli import main
from rnnkit.layers.first_use import use_first
from rnnkit.support.extras import GIVES, extras

ROOT = Path(__file__).parents[2]

KEEPING = """
from pathlib import Path

import rnnkit

FILE = Path("kept")


class Keeping(rnnkit.unrollers["loop"]):
    name = "keeping"

    @classmethod
    def facts(cls):
        return {"cache": f"{FILE.stat().st_size if FILE.exists() else 0} bytes", "tool": "a spanner"}

    @classmethod
    def clear_cache(cls):
        size = FILE.stat().st_size
        FILE.unlink()
        return size


@rnnkit.hookimpl
def rnnkit_unrollers():
    return [Keeping]
"""


@pytest.fixture(autouse=True)
def users_own_caches_stay(monkeypatch):
    """Let rnnkit's own unrollers remove nothing."""
    for kind in rnnkit.unrollers.values():
        monkeypatch.setattr(kind, "clear_cache", classmethod(lambda cls: 0))


def test_cells_are_used_ahead_of_time(monkeypatch):
    used = []

    def use_first(cell, device):
        used.append((cell, str(device)))
        return "by hand"

    monkeypatch.setattr("rnnkit.layers.first_use.use_first", use_first)
    result = CliRunner().invoke(main, ["doctor", "--compile", "lstm,zoneout(gru, rate=0.1)"])
    assert result.exit_code == 0, result.output
    assert used == [("lstm", "cpu"), ("zoneout(gru, rate=0.1)", "cpu")]
    assert "by hand" in result.output
    result = CliRunner().invoke(main, ["doctor", "--compile", "lstm", "--json"])
    assert '{"used": {"lstm": "by hand"}}' in result.output


def test_what_a_first_use_makes_is_kept():
    assert use_first("gru").startswith("compiled, backend: cpp")
    with pytest.raises(rnnkit.RnnkitError, match="grux"):
        use_first("grux")


@pytest.fixture
def keeping(site, tmp_path, monkeypatch):
    """Install an unroller that keeps a file of 3 MiB in the folder one stands in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kept").write_bytes(bytes(3 * 2**20))
    site.install("fake-keeping", keeping=KEEPING)
    return site


def test_doctor(cli, lines):
    result = cli("doctor", "--json")
    assert result.exit_code == 0
    (facts,) = lines(result.stdout)
    assert facts["problems"] == []
    assert facts["rnnkit"] == rnnkit.__version__
    assert facts["torch"] == torch.__version__
    assert facts["devices"].startswith("cpu (")
    assert facts["plugins"].endswith(" found, 0 problems")
    assert set(facts["unrollers"]) == set(rnnkit.unrollers)
    assert facts["unrollers"]["loop"] == {}
    assert {"python", "platform", "C++ compiler", "RNNKIT_PLUGINS"} <= set(facts)
    table = " ".join(cli("doctor").stdout.split())
    assert f"torch {torch.__version__}" in table


def test_each_extra_has_a_row(cli, lines):
    (facts,) = lines(cli("doctor", "--json").stdout)
    plot = facts["extras"]["plot"]
    assert plot["installed"]
    assert plot["packages"] == {"matplotlib": metadata.version("matplotlib")}
    rows = cli("doctor").stdout.partition("\nextra ")[2].splitlines()[2:]
    assert [row.split()[0] for row in rows] == list(facts["extras"])
    assert len({row.index(facts["extras"][row.split()[0]]["gives"]) for row in rows}) == 1  # aligned
    assert f"yes, matplotlib {metadata.version('matplotlib')}" in next(row for row in rows if row.startswith("plot "))


def test_of_an_extra_that_is_missing_it_says_how_to_install_it(cli, lines, monkeypatch):
    version = metadata.version

    def without(name):
        if name in ("matplotlib", "onnxscript"):
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    (facts,) = lines(cli("doctor", "--json").stdout)
    assert not facts["extras"]["plot"]["installed"]
    assert facts["extras"]["plot"]["install"] == "pip install 'rnnkit[plot]'"
    shown = cli("doctor")
    assert shown.exit_code == 0  # nothing is wrong
    assert "no: pip install 'rnnkit[plot]'" in shown.stdout
    assert "no, onnxscript missing: pip install 'rnnkit[onnx]'" in shown.stdout


@pytest.mark.parametrize("columns", [80, 50])
def test_both_tables_fit_a_terminal(columns):
    result = CliRunner(env={"COLUMNS": f"{columns}"}).invoke(main, ["doctor"])
    assert max(map(len, result.stdout.splitlines())) <= columns
    assert "hidden for want of width" not in result.stdout


def test_the_extras_are_those_of_the_distribution():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    found = {extra.name: extra for extra in extras()}
    assert found.keys() == listed.keys() == GIVES.keys()
    for name, requirements in listed.items():
        assert list(found[name].packages) == [re.match(r"[\w.-]+", each)[0] for each in requirements]


def test_doctor_without_a_compiler(cli, lines, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    (facts,) = lines(cli("doctor", "--json").stdout)
    assert facts["C++ compiler"] == "no-such-compiler, not found"


@pytest.mark.usefixtures("keeping")
def test_what_an_unroller_says_of_itself(cli, lines):
    (facts,) = lines(cli("doctor", "--json").stdout)
    assert facts["unrollers"]["keeping"] == {"cache": "3145728 bytes", "tool": "a spanner"}
    table = " ".join(cli("doctor").stdout.split())
    assert "keeping: cache 3145728 bytes keeping: tool a spanner" in table


@pytest.mark.usefixtures("keeping")
def test_caches_are_cleared_and_the_amount_is_said(cli, tmp_path):
    result = cli("doctor", "--clear-cache")
    assert result.exit_code == 0, result.stderr
    assert "keeping: 3.0 MiB removed\n" in result.stdout
    assert "loop" not in result.stdout
    assert not (tmp_path / "kept").exists()


@pytest.mark.usefixtures("keeping")
def test_a_cache_that_cannot_be_cleared_is_said_in_a_sentence(cli, lines, tmp_path):
    (tmp_path / "kept").unlink()
    result = cli("doctor", "--clear-cache", "--json")
    assert result.exit_code == 4
    (told,) = lines(result.stdout)
    assert told["cleared"]["loop"] == 0
    assert "keeping" not in told["cleared"]
    (problem,) = told["problems"]
    assert problem.startswith("unroller 'keeping': clear_cache() failed: FileNotFoundError")
    assert problem in result.stderr


def test_an_unroller_that_cannot_say_is_a_problem(site, cli, lines):
    site.install("fake-mute", mute=KEEPING.replace('return {"cache"', 'return {}["cache"], {"cache"'))
    result = cli("doctor", "--json")
    assert result.exit_code == 4
    (facts,) = lines(result.stdout)
    assert facts["problems"] == ["unroller 'keeping': facts() failed: KeyError: 'cache'"]
    assert facts["plugins"].endswith(" found, 1 problem")


def test_nothing_to_clear(cli, lines):
    assert cli("doctor", "--clear-cache").stdout == "nothing to remove\n"
    (told,) = lines(cli("doctor", "--clear-cache", "--json").stdout)
    assert told == {"cleared": dict.fromkeys(rnnkit.unrollers, 0), "problems": []}


def test_what_an_unroller_is_by_default():
    class Plain(rnnkit.Unroller):
        def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
            raise NotImplementedError

    assert Plain.facts() == {}
    assert Plain.clear_cache() == 0
    assert Plain().explain(rnnkit.cells["rnn"](2, 3)) == "steps through time with torch's operations"
