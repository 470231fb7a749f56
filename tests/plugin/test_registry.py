"""The registries are read-only mappings from name to class."""

from collections.abc import Mapping, MutableMapping

import pytest

import rnnkit
from rnnkit.errors import UnknownNameError, UsageError

REGISTRIES = {"cell": rnnkit.cells, "unroller": rnnkit.unrollers, "task": rnnkit.tasks}
BASES = {"cell": rnnkit.Cell, "unroller": rnnkit.Unroller, "task": rnnkit.Task}

every_registry = pytest.mark.parametrize("noun", REGISTRIES)


@every_registry
def test_is_a_read_only_mapping(noun):
    registry = REGISTRIES[noun]
    assert isinstance(registry, Mapping)
    assert not isinstance(registry, MutableMapping)
    with pytest.raises(TypeError):
        registry["mine"] = object
    with pytest.raises(TypeError):
        del registry[next(iter(registry))]


@every_registry
def test_laws_of_a_mapping(noun):
    registry = REGISTRIES[noun]
    names = list(registry)
    assert names == sorted(set(names))
    assert len(registry) == len(names) > 1
    assert list(registry.keys()) == names
    assert list(registry.items()) == [(name, registry[name]) for name in names]
    assert list(registry.values()) == [registry.get(name) for name in names]
    assert all(name in registry for name in names)
    assert registry == dict(registry)


@every_registry
def test_each_name_is_its_class_s_own(noun):
    for name, kind in REGISTRIES[noun].items():
        assert issubclass(kind, BASES[noun])
        assert kind.name == name
        assert REGISTRIES[noun].origin(name) == f"rnnkit {rnnkit.__version__}"


@every_registry
@pytest.mark.parametrize("absent", ["nope", "", 7, None])
def test_what_is_absent(noun, absent):
    registry = REGISTRIES[noun]
    assert absent not in registry
    assert registry.get(absent) is None
    assert registry.get(absent, "default") == "default"


def test_what_is_broken_is_absent_too(site, cell_source):
    site.install("fake-broken", broken=cell_source(hook="1 / 0"))
    assert "broken" not in rnnkit.cells
    assert rnnkit.cells.get("broken", "default") == "default"


@pytest.mark.parametrize(
    ("noun", "wrong", "right"),
    [
        ("cell", "lsmt", "lstm"),
        ("cell", "layer_norm", "layernorm"),
        ("unroller", "checkpont", "checkpoint"),
        ("task", "addign", "adding"),
    ],
)
def test_an_unknown_name_offers_the_nearest(noun, wrong, right):
    with pytest.raises(UnknownNameError) as caught:
        REGISTRIES[noun][wrong]
    assert str(caught.value) == (
        f"unknown {noun} {wrong!r} (did you mean {right!r}?); `rnnkit {noun}s` lists what there is"
    )
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2


def test_origin_of_a_third_party_and_of_an_unknown_name(site, cell_source):
    site.install("fake-cells", version="2.5", fake=cell_source())
    assert rnnkit.cells.origin("fake") == "fake-cells 2.5"
    with pytest.raises(UnknownNameError):
        rnnkit.cells.origin("fakee")


def test_repr_lists_the_names():
    assert repr(rnnkit.unrollers) == f"<Registry of unrollers: {', '.join(rnnkit.unrollers)}>"


def test_plugins_are_loaded_once(site, cell_source):
    count = site.path / "count"
    counting = f"\nwith open({str(count)!r}, 'a') as file:\n    file.write('x')"
    site.install("fake-counted", counted=cell_source() + counting)
    for _ in range(3):
        assert "fake" in rnnkit.cells
        assert len(rnnkit.tasks) > 1
    assert count.read_text() == "x"
