"""A name that is claimed twice is in neither's favour."""

import json

import pytest

import rnnkit
from rnnkit.errors import AmbiguousNameError, UnknownNameError
from rnnkit.plugin import loader, registry

FIRST_PARTY = list(rnnkit.cells)
TWO_OF_ONE_NAME = """
class Other(Fake):
    name = Fake.name

@rnnkit.hookimpl
def rnnkit_cells():
    return [Fake, Other]
"""
TASK = """
@rnnkit.hookimpl
def rnnkit_tasks():
    return [type("Copy", (rnnkit.tasks["adding"],), {"name": "twin"})]
"""


@pytest.fixture
def twins(site, cell_source):
    """Install two distributions that both call a cell "twin", each with another module beside it."""
    site.install("fake-alpha", version="1.2", twin=cell_source("twin"), own=cell_source("of_alpha"))
    site.install("fake-beta", version="3.4", twin=cell_source("twin"), own=cell_source("of_beta"))


def test_looking_it_up_names_both(twins):
    with pytest.raises(AmbiguousNameError) as caught:
        rnnkit.cells["twin"]
    assert "cell 'twin'" in str(caught.value)
    assert "fake-alpha 1.2 and fake-beta 3.4" in str(caught.value)
    assert caught.value.exit_code == 4
    with pytest.raises(AmbiguousNameError):
        rnnkit.cells.origin("twin")


def test_it_is_in_neither_s_favour(twins):
    assert "twin" not in rnnkit.cells
    assert list(rnnkit.cells) == sorted([*FIRST_PARTY, "of_alpha", "of_beta"])
    assert len(rnnkit.cells) == len(FIRST_PARTY) + 2


def test_every_other_cell_works(twins):
    assert all(rnnkit.cells[name](2, 3).hidden_size == 3 for name in rnnkit.cells)


def test_it_is_never_offered(twins):
    with pytest.raises(UnknownNameError) as caught:
        rnnkit.cells["twinn"]
    assert "'twin'" not in str(caught.value)


def test_the_command_line_answers_4(twins, cli):
    result = cli("gradcheck", "--cell", "twin")
    assert result.exit_code == 4
    assert result.stderr.startswith("rnnkit: cell 'twin' is registered by fake-alpha 1.2 and fake-beta 3.4")
    assert len(result.stderr.splitlines()) == 1


def test_plugins_and_doctor_show_it(twins, cli):
    rows = {row["plugin"]: row for row in map(json.loads, cli("plugins", "--json").stdout.splitlines())}
    assert {label for label, row in rows.items() if not row["ok"]} == {"fake-alpha:twin", "fake-beta:twin"}
    assert all(
        "fake-alpha 1.2 and fake-beta 3.4" in rows[f"fake-{one}:twin"]["problems"][0] for one in ("alpha", "beta")
    )
    (problem,) = json.loads(cli("doctor", "--json").stdout)["problems"]
    assert "fake-alpha 1.2 and fake-beta 3.4" in problem


def test_letting_one_in_settles_it(twins, monkeypatch):
    monkeypatch.setenv("RNNKIT_PLUGINS", "fake-beta")
    assert rnnkit.cells.origin("twin") == "fake-beta 3.4"


def test_twice_in_one_distribution(site, cell_source, cli):
    site.install("fake-gamma", version="5.6", both=cell_source("twin", TWO_OF_ONE_NAME))
    assert "twin" not in rnnkit.cells
    with pytest.raises(AmbiguousNameError, match=r"'twin' is registered twice by fake-gamma 5\.6"):
        rnnkit.cells["twin"]
    assert cli("doctor").exit_code == 4


def test_names_of_different_kinds_do_not_clash(twins, site, cell_source, cli):
    site.install("fake-delta", tasks=cell_source("of_delta") + TASK)
    assert rnnkit.tasks.origin("twin") == "fake-delta 1.0"
    rows = {row["plugin"]: row for row in map(json.loads, cli("plugins", "--json").stdout.splitlines())}
    assert rows["fake-delta:tasks"]["ok"]
    assert sorted(rows["fake-delta:tasks"]["registers"]) == ["of_delta", "twin"]


DERIVED = """
import rnnkit

class Mine(rnnkit.cells["lstm"]):
    name = "mine"

@rnnkit.hookimpl
def rnnkit_cells():
    assert "mine" not in rnnkit.cells
    return [Mine]
"""


def test_a_plugin_may_derive_from_a_registered_cell_while_it_is_loaded(site, monkeypatch):
    site.install("fake-epsilon", derived=DERIVED)
    loads = []
    monkeypatch.setattr(registry, "load", lambda *arguments: loads.append(1) or loader.load(*arguments))
    assert issubclass(rnnkit.cells["mine"], rnnkit.cells["lstm"])
    assert len(loads) == 1


def test_nor_does_it_meet_what_another_one_tried_to_shadow(site, cell_source):
    site.install("fake-a-shadow", shadow=cell_source("lstm"))
    site.install("fake-epsilon", derived=DERIVED)
    assert rnnkit.cells.origin("mine") == "fake-epsilon 1.0"
