"""Python's search for garbage is put off while plugins and torch are loaded, and goes on behind that."""

import gc
import subprocess
import sys

import pytest

import rnnkit
from rnnkit.core.collection import collection_put_off
from rnnkit_compiler import _making


def test_it_is_off_within_and_on_again_behind():
    with collection_put_off():
        assert not gc.isenabled()
        with collection_put_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()


def test_an_error_leaves_it_on():
    with pytest.raises(ZeroDivisionError), collection_put_off():
        raise ZeroDivisionError
    assert gc.isenabled()


def test_who_has_put_it_off_finds_it_so():
    gc.disable()
    try:
        with collection_put_off():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_for_good_nothing_is_looked_through_again():
    words = "import gc; from rnnkit.core.collection import collection_put_off as off\n"
    words += "with off(): pass\nassert not gc.get_freeze_count()\nwith off(for_good=True): pass\n"
    words += "assert gc.get_freeze_count() and gc.isenabled()"
    subprocess.run([sys.executable, "-c", words], check=True)


def test_plugins_are_loaded_without_a_search(site, cell_source):
    site.install("fake-lazy", lazy="import gc\nSEARCHED = gc.isenabled()\n" + cell_source("lazy"))
    assert not vars(sys.modules[rnnkit.cells["lazy"].__module__])["SEARCHED"]
    assert gc.isenabled()


def test_a_step_is_recorded_without_a_search(monkeypatch):
    searched, compose = [], _making.compose
    monkeypatch.setattr(_making, "compose", lambda *given: (searched.append(gc.isenabled()), compose(*given))[1])

    class Fresh(rnnkit.cells["rnn"]):
        pass

    rnnkit.unrollers["compiled"]().backend_of(Fresh(2, 3))
    assert searched == [False]
    assert gc.isenabled()
