"""A broken plugin is reported with its reason, and nothing else notices."""

import json

import pytest

import rnnkit
from rnnkit.errors import PluginError, UnknownNameError

from ..core_cells import CORE_CELLS

FIRST_PARTY = list(rnnkit.cells)
OFFER = "@rnnkit.hookimpl\ndef rnnkit_cells():\n    "

# What a module says, after a working cell class `Fake` -> what the lists say of it.
FAULTS = {
    "raises on import": ("raise RuntimeError('no luck today')", "RuntimeError: no luck today"),
    "raises without a message": ("raise RuntimeError", "RuntimeError"),
    "does not parse": ("def broken(:", "SyntaxError: invalid syntax"),
    "missing dependency": ("import no_such_dependency", "No module named 'no_such_dependency'"),
    "of a later version": (
        "from rnnkit import Later",
        "cannot import name 'Later' from 'rnnkit'; it may need a later rnnkit than this, ",
    ),
    "of a module of a later version": ("import rnnkit.later", "No module named 'rnnkit.later'; it may need a later"),
    "with a name of a later version": ("rnnkit.Later", "has no attribute 'Later'; it may need a later rnnkit"),
    "exits": ("import sys\nsys.exit(3)", "calls sys.exit(3) on import"),
    "exits as if all was well": ("import sys\nsys.exit()", "calls sys.exit(None) on import"),
    "raises what is no Exception": ("raise BaseException('odd')", "BaseException: odd"),
    "not a cell": (OFFER + "return [dict]", "rnnkit_cells(): dict is not a Cell"),
    "an instance": (OFFER + "return [Fake(2, 3)]", "is not a class; hooks return classes, not instances"),
    "no step": (
        "class Half(rnnkit.Cell):\n    name = 'half'\n" + OFFER + "return [Half]",
        "Half does not define step",
    ),
    "no name": (OFFER + "del Fake.name\n    return [Fake]", "Fake.name is None; it must be a word"),
    "a name of two words": (OFFER + "Fake.name = 'a cell'\n    return [Fake]", "Fake.name is 'a cell'"),
    "returns None": (OFFER + "pass", "rnnkit_cells() returned NoneType; it must return classes"),
    "returns an empty list": (
        OFFER + "return []",
        "registers nothing: rnnkit_cells() returned no class; return the classes that it is to offer",
    ),
    "yields nothing, twice": (
        OFFER + "yield from ()\n@rnnkit.hookimpl\ndef rnnkit_tasks():\n    return ()",
        "registers nothing: rnnkit_cells() and rnnkit_tasks() returned no class",
    ),
    "marks no hook": (
        "def rnnkit_cells():\n    return [Fake]",
        "registers nothing; are its hooks marked with @rnnkit.hookimpl?",
    ),
    "returns a class alone": (OFFER + "return Fake", "rnnkit_cells() returned ABCMeta; it must return classes"),
    "returns a name": (OFFER + "return 'fake'", "rnnkit_cells() returned str; it must return classes"),
    "misspelt hook": ("@rnnkit.hookimpl\ndef rnnkit_cell():\n    return [Fake]", "unknown hook 'rnnkit_cell'"),
    "bad signature": (
        "@rnnkit.hookimpl\ndef rnnkit_cells(registry):\n    return [Fake]",
        "Argument(s) {'registry'} are declared in the hookimpl",
    ),
    "hook raises": (OFFER + "return [1 / 0]", "ZeroDivisionError: division by zero"),
    "hook raises half way": (OFFER + "yield Fake\n    raise OSError('half way')", "OSError: half way"),
    "shadows a first-party name": (
        OFFER + "Fake.name = 'lstm'\n    return [Fake]",
        "Fake shadows the first-party name 'lstm'",
    ),
}


def test_an_import_without_end(site, cell_source, monkeypatch):
    monkeypatch.setenv("RNNKIT_PLUGIN_SECONDS", "0.2")
    site.install("fake-endless", endless=cell_source("endless", "while True:\n    pass"))
    site.install("zzz-good", good=cell_source("late"))
    assert list(rnnkit.cells) == sorted([*FIRST_PARTY, "late"])
    with pytest.raises(PluginError, match=r"takes more than 0\.2 s; import what is slow where it is used"):
        rnnkit.cells["endless"]


@pytest.mark.parametrize("said", ["", "long", "-1", "inf", "nan"])
def test_a_limit_that_makes_no_sense_is_none(site, cell_source, monkeypatch, said):
    monkeypatch.setenv("RNNKIT_PLUGIN_SECONDS", said)
    site.install("zzz-good", good=cell_source("late"))
    assert "late" in rnnkit.cells


def flat(text):
    """Undo the folding of tables, so that a sentence can be found in them."""
    return " ".join(text.split())


@pytest.fixture(params=FAULTS, ids=str)
def broken(request, site, cell_source):
    """Install one broken plugin between two good ones; give what is to be said of it."""
    source, reason = FAULTS[request.param]
    site.install("aaa-good", good=cell_source("early"))
    site.install("fake-broken", version="0.7", broken=cell_source(hook=source))
    site.install("zzz-good", good=cell_source("late"))
    return reason


@pytest.mark.one_in(3)
def test_every_other_cell_works(broken):
    assert list(rnnkit.cells) == sorted([*FIRST_PARTY, "early", "late"])
    assert rnnkit.cells["lstm"].__module__ == "rnnkit_cells.lstm"
    for name in [*CORE_CELLS, "early", "late"]:
        y, _ = rnnkit.cells[name](2, 3)(rnnkit.tasks["adding"](seq_len=2).batch(1, None).xs[0])
        assert y.shape == (1, 3)


@pytest.mark.one_in(2)
def test_its_own_name_is_answered_with_the_reason(broken):
    with pytest.raises(PluginError) as caught:
        rnnkit.cells["broken"]
    assert "plugin fake-broken:broken is broken: " in str(caught.value)
    assert broken in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.one_in(3)
def test_plugins_shows_it(broken, cli):
    result = cli("plugins", "--json")
    assert result.exit_code == 0
    shown = {row["plugin"]: row for row in map(json.loads, result.stdout.splitlines())}
    assert not shown["fake-broken:broken"]["ok"]
    assert len(shown["fake-broken:broken"]["problems"]) == 1
    assert broken in shown["fake-broken:broken"]["problems"][0]
    assert shown["fake-broken:broken"]["version"] == "0.7"
    assert shown["fake-broken:broken"]["registers"] == []
    assert all(row["ok"] for label, row in shown.items() if label != "fake-broken:broken")
    assert "fake-broken:broken 0.7 - broken: " in flat(cli("plugins").stdout)


@pytest.mark.one_in(2)
def test_doctor_answers_4_and_shows_it(broken, cli):
    result = cli("doctor", "--json")
    assert result.exit_code == 4
    (problem,) = json.loads(result.stdout)["problems"]
    assert problem.startswith("plugin fake-broken:broken is broken: ")
    assert broken in problem
    assert result.stderr == f"rnnkit: {problem}\n"


@pytest.mark.one_in(3)
def test_other_commands_do_not_notice(broken, cli):
    result = cli("gradcheck", "--cell", "lstm", "--steps", 1, "--hidden", 1)
    assert result.exit_code == 0
    assert result.stderr == ""


def test_all_faults_at_once(site, cell_source):
    for number, (source, _) in enumerate(FAULTS.values()):
        site.install(f"fake-{number:02}", broken=cell_source(hook=source))
    site.install("zzz-good", good=cell_source("late"))
    assert list(rnnkit.cells) == sorted([*FIRST_PARTY, "late"])


def test_one_bad_class_leaves_the_plugin_s_others(site, cell_source):
    site.install("fake-half", half=cell_source("whole", OFFER + "return [Fake, int]"))
    assert "whole" in rnnkit.cells
    with pytest.raises(PluginError, match="int is not a Cell"):
        rnnkit.cells["half"]


def test_an_interrupt_is_not_swallowed(site, cli, cell_source):
    site.install("fake-slow", slow=cell_source(hook="raise KeyboardInterrupt"))
    with pytest.raises(KeyboardInterrupt):
        list(rnnkit.cells)
    assert cli("cells").exit_code == 130


@pytest.mark.parametrize(("number", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_during_an_import_is_not_the_plugin_s_fault(site, cli, cell_source, number, code):
    source = f"import os, signal\nos.kill(os.getpid(), signal.{number})\nfor _ in range(1000):\n    pass"
    site.install("fake-slow", slow=cell_source(hook=source))
    assert cli("cells").exit_code == code


def test_one_module_under_two_names_is_registered_once(site, cell_source):
    info = site.install("fake-twice", a=cell_source())
    (info / "entry_points.txt").write_text("[rnnkit]\na = fake_twice_a\nb = fake_twice_a\n")
    site.refresh()
    assert rnnkit.cells.origin("fake") == "fake-twice 1.0"
    with pytest.raises(PluginError, match="fake-twice:b is broken"):
        rnnkit.cells["b"]


def test_a_plugin_may_look_up_cells_while_it_is_imported(site, cell_source):
    site.install("fake-curious", curious=cell_source() + "\nLSTM = rnnkit.cells['lstm']")
    assert "fake" in rnnkit.cells
    assert rnnkit.cells["lstm"].__module__ == "rnnkit_cells.lstm"


@pytest.mark.parametrize(
    ("file", "text"),
    [("METADATA", "Metadata-Version: 2.1\n"), ("entry_points.txt", "[rnnkit]\nneither key nor value\n")],
    ids=["no name", "no table"],
)
def test_damaged_metadata_of_one_distribution_leaves_the_others(site, cell_source, file, text):
    info = site.install("fake-damaged", damaged=cell_source("damaged"))
    (info / file).write_text(text)
    site.install("zzz-good", good=cell_source("late"))
    assert {*FIRST_PARTY, "late"} <= set(rnnkit.cells)


def test_printing_on_import_does_not_reach_json(site, cli, cell_source):
    site.install("fake-chatty", chatty=cell_source() + "\nprint('hello from a plugin')")
    result = cli("cells", "--json")
    assert [json.loads(line)["name"] for line in result.stdout.splitlines()] == [*rnnkit.cells]
    assert result.stderr == "hello from a plugin\n"
    assert "fake" in rnnkit.cells


def test_warning_on_import_is_no_fault(site, cell_source):
    site.install("fake-worried", worried=cell_source() + "\nimport warnings\nwarnings.warn('old', stacklevel=1)")
    with pytest.warns(UserWarning, match="old"):
        assert "fake" in rnnkit.cells


def test_a_first_party_name_of_another_kind_is_free(site, cell_source):
    site.install("fake-namesake", namesake=cell_source("adding"))
    assert rnnkit.cells["adding"].__name__ == "Fake"
    assert rnnkit.tasks["adding"].__name__ == "Adding"
    with pytest.raises(UnknownNameError):
        rnnkit.unrollers["adding"]


def test_a_forgotten_mark_is_noticed(site, cell_source, cli):
    site.install("fake-forgetful", forgetful=cell_source("forgotten").replace("@rnnkit.hookimpl\n", ""))
    assert "registers nothing; are its hooks marked" in cli("doctor").stdout
