"""Broken plugins and the command line, in real processes."""

import json

import pytest

from ..slow_cases import slow_but


@pytest.fixture
def crowd(site, cell_source):
    """Install one good plugin among three broken ones; each leaves a marker where it was imported."""
    mark = "open({!r}, 'w').close()\n"
    hooks = {"good": "", "exits": "raise SystemExit", "raises": "1 / 0", "prints": "print('noise')"}
    for name, fault in hooks.items():
        source = mark.format(str(site.path / f"{name}.imported")) + cell_source(name) + fault
        site.install(f"fake-{name}", **{name: source})
    return site.path


def markers(folder):
    return {path.stem for path in folder.glob("*.imported")}


@pytest.mark.parametrize(
    "words", slow_but([["--help"], ["nope"]], [["--help"], ["--version"], ["run", "--help"], ["nope"]]), ids=" ".join
)
def test_no_plugin_is_imported(crowd, process, words):
    result = process(*words, path=crowd)
    assert result.returncode == (2 if words == ["nope"] else 0)
    assert "Traceback" not in result.stderr
    assert markers(crowd) == set()


def test_a_cell_works_among_broken_plugins(crowd, process):
    result = process("gradcheck", "--cell", "good", "--json", path=crowd)
    assert result.stderr == "noise\n"
    assert result.returncode == 0
    assert json.loads(result.stdout)["ok"]
    assert markers(crowd) == {"good", "exits", "raises", "prints"}
