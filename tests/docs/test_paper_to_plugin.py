"""The page of ten minutes: what its commands print, and what is filled in, are as it says."""

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnnkit import testing
from rnnkit.plugin.class_import import imported

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = DOCS / "examples" / "rnnkit-delta"


def printed(command):
    """Return what the page says that a command prints."""
    page = (DOCS / "paper-to-plugin.md").read_text(encoding="utf-8")
    (shown,) = re.findall(rf"^```console\n\$ {re.escape(command)}\n(.+?)^```$", page, re.MULTILINE | re.DOTALL)
    return shown


@pytest.fixture
def begun(cli, tmp_path, monkeypatch):
    """Begin the distribution and fill it in; return its folder, and what was printed."""
    monkeypatch.chdir(tmp_path)
    result = cli("new", "plugin", "delta")
    folder = tmp_path / "rnnkit-delta"
    assert {path.name for path in EXAMPLE.rglob("*.py")} <= {path.name for path in folder.rglob("*")}
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    yield folder, result.stdout
    sys.modules.pop("rnnkit_delta", None)


def test_a_slip_is_told_with_its_line(cli, begun):
    folder, said = begun
    assert said == printed("rnnkit new plugin delta")
    module = folder / "rnnkit_delta.py"
    lines = module.read_text().splitlines()
    lines.insert(61, "        h *= 0.9")
    module.write_text("\n".join(lines) + "\n")
    assert cli("check", "rnnkit_delta:Delta").stdout == printed("rnnkit check delta")


def test_what_is_filled_in_keeps_its_promises_and_its_paper_s(begun):
    folder, _ = begun
    for words in (("check", "--extend-select", "I"), ("format", "--check")):
        subprocess.run([sys.executable, "-m", "ruff", *words, "--isolated", "--no-cache", "-q", "."], check=True)
    found = testing.check_cell(imported("rnnkit_delta:Delta"))
    assert found.certificate.cases == 172
    spec = importlib.util.spec_from_file_location("test_delta_of_the_page", folder / "tests" / "test_delta.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.test_an_open_gate_hands_the_state_on()
    promises = re.findall(r"^delta::(.+?) PASSED", printed("pytest -v"), re.MULTILINE)
    assert promises == list(found.promises)
