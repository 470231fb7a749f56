"""What the code of a step reads beside its module is seen wherever it is read: in methods, parents, what they name."""

import dataclasses
import functools
from collections import deque
from types import ModuleType, SimpleNamespace

import pytest
import torch

import rnnkit
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.unchanged import Unchanged

GAIN = 1.5
TABLE, QUEUE = {"gain": 1.5}, deque([1.5, 2.5])
SPACE, NEST = SimpleNamespace(gain=1.5), SimpleNamespace(model=SimpleNamespace(gain=1.5))
PART = functools.partial(max, 1.5)
MODULE = ModuleType("settings_of_a_test")
MODULE.gain, MODULE.act = 1.5, lambda z: z * GAIN


class Settings:
    gain = 1.5


@dataclasses.dataclass
class Own:
    """Its object is a global of its author's."""

    gain: float = 1.5


@dataclasses.dataclass(slots=True)
class InSlots:
    gain: float = 1.5


class Called:
    def __call__(self):
        return GAIN


OWN, SLOTS = Own(), InSlots()


def decorated(function):
    @functools.wraps(function)
    def wrapper(*given):
        return function(*given)

    return wrapper


class Parent(rnnkit.Cell):
    """Multiplies by what a method of it gives."""

    def __init__(self, held=None):
        super().__init__(2, 2)
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.held = held

    def step(self, x, state):
        return x * self.weight * self.factor(), state

    def factor(self):
        return GAIN


class Derived(Parent):
    def step(self, x, state):
        return super().step(x, state)

    def factor(self):
        return super().factor()


def reads(factor, held=None, **attributes):
    """Return a cell whose method is this one."""
    return type("Reads", (Parent,), {"factor": factor, **attributes})(held)


def other_default(self, gain=1.5):
    return gain


def other_gain(patch):
    patch.setitem(globals(), "GAIN", 2.5)


READS = {
    "method": (Parent, other_gain),
    "parent": (Derived, other_gain),
    "static method": (
        lambda: reads(staticmethod(lambda: TABLE["gain"])),
        lambda patch: patch.setitem(TABLE, "gain", 2.5),
    ),
    "property": (
        lambda: reads(lambda self: self.gain, gain=property(lambda self: SPACE.gain)),
        lambda patch: patch.setattr(SPACE, "gain", 2.5),
    ),
    "another class": (lambda: reads(lambda self: Settings.gain), lambda patch: patch.setattr(Settings, "gain", 2.5)),
    "object": (lambda: reads(lambda self: OWN.gain), lambda patch: patch.setattr(OWN, "gain", 2.5)),
    "slots": (lambda: reads(lambda self: SLOTS.gain), lambda patch: patch.setattr(SLOTS, "gain", 2.5)),
    "nest": (lambda: reads(lambda self: NEST.model.gain), lambda patch: patch.setattr(NEST.model, "gain", 2.5)),
    "queue": (lambda: reads(lambda self: QUEUE[0]), lambda patch: QUEUE.reverse()),
    "module": (lambda: reads(lambda self: MODULE.gain), lambda patch: patch.setattr(MODULE, "gain", 2.5)),
    "a module's function": (lambda: reads(lambda self: MODULE.act(2.0)), other_gain),
    "partial": (
        lambda: reads(lambda self: PART(1.0)),
        lambda patch: patch.setitem(globals(), "PART", functools.partial(max, 2.5)),
    ),
    "default": (lambda: reads(other_default), lambda patch: patch.setattr(other_default, "__defaults__", (2.5,))),
    "decorator": (lambda: reads(decorated(lambda self: GAIN)), other_gain),
    "object that is called": (lambda: reads(lambda self: self.held(), Called()), other_gain),
    "function that it holds": (lambda: reads(lambda self: self.held(), lambda: GAIN), other_gain),
}


@pytest.mark.parametrize("name", READS)
def test_what_methods_of_a_cell_read_is_seen(name, monkeypatch):
    make, change = READS[name]
    cell, xs = make(), torch.randn(3, 2, 2)
    compiled, loop = (rnnkit.unrollers[name]() for name in ("compiled", "loop"))
    before, unchanged = Fingerprint(cell).key, Unchanged(cell)
    assert unchanged()
    first = compiled(cell, xs)[0]
    torch.testing.assert_close(first, loop(cell, xs)[0])
    change(monkeypatch)
    assert Fingerprint(cell).key != before
    assert not unchanged()
    again = compiled(cell, xs)[0]
    torch.testing.assert_close(again, loop(cell, xs)[0])
    assert not torch.allclose(again, first)
