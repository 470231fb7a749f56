"""Accesses to the attributes of modules: whatever looks at one is noted, in its order."""

import copy
import operator
from contextlib import suppress

import pytest
import torch
from torch import nn

from rnnkit_compiler.trace.accesses import Accesses


class Plain(nn.Module):
    @property
    def seen_by_property(self):
        return self.seen

    def swallow(self):
        try:
            return self.seen
        except Exception:
            return None


class Bare(nn.Module):
    __delattr__, __getstate__ = object.__delattr__, object.__getstate__


LOOKS = {
    "name": lambda module: module.seen,
    "hasattr": lambda module: hasattr(module, "seen"),
    "getattr": lambda module: getattr(module, "seen", None),
    "attrgetter": lambda module: operator.attrgetter("seen")(module),
    "property": lambda module: module.seen_by_property,
    "an error that is swallowed": lambda module: module.swallow(),
    "__getattr__": lambda module: module.__getattr__("seen"),
    "torch's own": lambda module: nn.Module.__getattr__(module, "seen"),
    "del": lambda module: delattr(module, "seen"),
    "vars": lambda module: vars(module).get("seen"),
    "__dict__": lambda module: "seen" in module.__dict__,
    "dir": dir,
    "__dir__": lambda module: module.__dir__(),
    "copy": copy.copy,
    "__reduce_ex__": lambda module: module.__reduce_ex__(2),
    "__getstate__": lambda module: module.__getstate__(),
    "buffers": lambda module: dict(module.named_buffers()),
}


def look(look_at, module):
    with suppress(AttributeError):
        look_at(module)


@pytest.mark.parametrize("there", [True, False], ids=["there", "not there"])
@pytest.mark.parametrize("kind", [Plain, Bare])
@pytest.mark.parametrize("name", LOOKS)
def test_a_look_before_it_is_written(name, kind, there):
    if kind is Bare and name in ("property", "an error that is swallowed"):
        pytest.skip("it has none")
    module = kind()
    if there:
        module.seen = 1
    accesses = Accesses(module)
    look(LOOKS[name], module)
    module.seen = 2
    assert not accesses.is_written_first(module, "seen")


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_after_it_is_written(name):
    module = Plain()
    accesses = Accesses(module)
    module.seen = 2
    if name in ("name", "hasattr", "getattr", "attrgetter", "property", "an error that is swallowed", "torch's own"):
        look(LOOKS[name], module)
    assert accesses.is_written_first(module, "seen")
    assert not accesses.is_written_first(module, "other")


def test_what_is_in_a_table_is_not_what_was_set():
    class Turns(nn.Module):
        def __setattr__(self, name, value):
            super().__setattr__(name, [value] if name == "seen" else value)

    module = Turns()
    accesses = Accesses(module)
    module.seen = 2
    assert not accesses.is_written_first(module, "seen")


def test_a_class_that_is_told_of_others_is_refused():
    class Told(nn.Module):
        def __init_subclass__(cls):
            pass

    with pytest.raises(TypeError, match="Told is told of classes that are derived from it"):
        Accesses(Told())


def test_a_module_is_what_it_was():
    module = Plain()
    Accesses(module)
    assert module.__class__ is Plain
    assert isinstance(module, Plain)
    module.register_buffer("kept", torch.ones(1))
    assert module.kept.shape == (1,)
