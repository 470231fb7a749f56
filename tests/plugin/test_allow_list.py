"""RNNKIT_PLUGINS and --no-plugins: which third parties are let in."""

import json

import pytest

import rnnkit
from rnnkit.plugin.registry import complaints

FIRST_PARTY = set(rnnkit.cells)


@pytest.fixture
def two(site, cell_source):
    """Install two third parties, the first with two plugins."""
    site.install("Fake.Alpha-cells", one=cell_source("alpha_one"), two=cell_source("alpha_two"))
    site.install("fake-beta", beta=cell_source("beta"))


def third_party():
    return set(rnnkit.cells) - FIRST_PARTY


@pytest.mark.parametrize(
    ("allowed", "names"),
    [
        ("fake-beta", {"beta"}),
        ("FAKE_beta", {"beta"}),
        ("fake.beta", {"beta"}),
        (" fake-beta , ", {"beta"}),
        ("Fake.Alpha-cells", {"alpha_one", "alpha_two"}),
        ("fake_alpha_cells", {"alpha_one", "alpha_two"}),
        ("fake-alpha-cells:two", {"alpha_two"}),
        ("fake__alpha.cells:TWO", {"alpha_two"}),
        ("fake-alpha-cells:one,fake-beta", {"alpha_one", "beta"}),
        ("fake-alpha-cells:three", set()),
        ("fake", set()),
        ("", set()),
        (",", set()),
    ],
)
def test_only_what_it_names_is_let_in(two, monkeypatch, allowed, names):
    monkeypatch.setenv("RNNKIT_PLUGINS", allowed)
    assert third_party() == names
    assert set(rnnkit.cells) >= FIRST_PARTY


def test_without_it_everything_is(two):
    assert third_party() == {"alpha_one", "alpha_two", "beta"}


def test_what_is_left_out_is_not_imported(site, cell_source, monkeypatch):
    marker = site.path / "imported"
    site.install("fake-marking", marking=cell_source() + f"\nopen({str(marker)!r}, 'w').close()")
    monkeypatch.setenv("RNNKIT_PLUGINS", "fake-other")
    assert third_party() == set()
    assert not marker.exists()
    monkeypatch.delenv("RNNKIT_PLUGINS")
    assert third_party() == {"fake"}
    assert marker.exists()


def test_a_name_that_is_not_installed_is_reported(two, cli, monkeypatch):
    monkeypatch.setenv("RNNKIT_PLUGINS", "fake-beta,fake-gama")
    assert complaints() == ["RNNKIT_PLUGINS lets in 'fake-gama', which is not installed"]
    result = cli("doctor")
    assert result.exit_code == 4
    assert "lets in 'fake-gama', which is not installed" in result.stderr
    assert third_party() == {"beta"}


def test_no_plugins(two, cli, monkeypatch):
    monkeypatch.setenv("RNNKIT_PLUGINS", "fake-beta")  # also puts back what the command sets
    listed = [json.loads(line)["name"] for line in cli("--no-plugins", "cells", "--json").stdout.splitlines()]
    assert set(listed) == FIRST_PARTY


def test_no_plugins_lets_a_broken_one_rest(site, cli, cell_source, monkeypatch):
    monkeypatch.setenv("RNNKIT_PLUGINS", "fake-broken")
    site.install("fake-broken", broken=cell_source(hook="1 / 0"))
    assert cli("doctor").exit_code == 4
    assert cli("--no-plugins", "doctor").exit_code == 0
