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

GAIN, TABLE = 1.5, {"gain": 1.5}
HELD = SimpleNamespace(gain=1.5)


class Settings:
    gain = 1.5


class Own:
    """An object that is a global of its author's."""

    def __init__(self):
        self.gain = 1.5


OWN = Own()
MODULE = ModuleType("settings_of_a_test")
MODULE.gain, MODULE.act = 1.5, lambda z: z * GAIN


def decorated(function):
    @functools.wraps(function)
    def wrapper(*given):
        return function(*given)

    return wrapper


class Parent(rnnkit.Cell):
    def __init__(self):
        super().__init__(2, 2)
        self.weight = torch.nn.Parameter(torch.ones(2))

    def step(self, x, state):
        return x * self.weight * self.factor(), state


class ByMethod(Parent):
    def factor(self):
        return GAIN


class ByStaticMethod(Parent):
    @staticmethod
    def factor():
        return TABLE["gain"]


class ByProperty(Parent):
    @property
    def gain(self):
        return HELD.gain

    def factor(self):
        return self.gain


class OfAnotherClass(Parent):
    def factor(self):
        return Settings.gain


class OfAnObject(Parent):
    def factor(self):
        return OWN.gain


class OfAModule(Parent):
    def factor(self):
        return MODULE.gain


class OfAModulesFunction(Parent):
    def factor(self):
        return MODULE.act(2.0)


@dataclasses.dataclass(slots=True)
class InSlots:
    gain: float = 1.5


SLOTS, NEST, QUEUE = InSlots(), SimpleNamespace(model=SimpleNamespace(gain=1.5)), deque([1.5])
PART = functools.partial(max, 1.5)


class OfSlots(Parent):
    def factor(self):
        return SLOTS.gain


class OfANest(Parent):
    def factor(self):
        return NEST.model.gain


class OfAQueue(Parent):
    def factor(self):
        return QUEUE[0]


class OfAPart(Parent):
    def factor(self):
        return PART(1.0)


class OfADefault(Parent):
    def factor(self, gain=1.5):
        return gain


class Called:
    def __call__(self):
        return GAIN


class OfACalledObject(Parent):
    def __init__(self):
        super().__init__()
        self.factor = Called()


class Decorated(Parent):
    @decorated
    def factor(self):
        return GAIN


class OfItsParent(ByMethod):
    def step(self, x, state):
        return super().step(x, state)

    def factor(self):
        return super().factor()


CHANGES = {
    OfACalledObject: lambda patch: patch.setitem(globals(), "GAIN", 2.5),
    OfSlots: lambda patch: patch.setattr(SLOTS, "gain", 2.5),
    OfANest: lambda patch: patch.setattr(NEST.model, "gain", 2.5),
    OfAQueue: lambda patch: QUEUE.__setitem__(0, 2.5),
    OfAPart: lambda patch: patch.setitem(globals(), "PART", functools.partial(max, 2.5)),
    OfADefault: lambda patch: patch.setattr(OfADefault.factor, "__defaults__", (2.5,)),
    ByMethod: lambda patch: patch.setitem(globals(), "GAIN", 2.5),
    ByStaticMethod: lambda patch: patch.setitem(TABLE, "gain", 2.5),
    ByProperty: lambda patch: patch.setattr(HELD, "gain", 2.5),
    OfAnotherClass: lambda patch: patch.setattr(Settings, "gain", 2.5),
    OfAnObject: lambda patch: patch.setattr(OWN, "gain", 2.5),
    OfAModule: lambda patch: patch.setattr(MODULE, "gain", 2.5),
    OfAModulesFunction: lambda patch: patch.setitem(globals(), "GAIN", 2.5),
    Decorated: lambda patch: patch.setitem(globals(), "GAIN", 2.5),
    OfItsParent: lambda patch: patch.setitem(globals(), "GAIN", 2.5),
}


@pytest.mark.parametrize("kind", CHANGES, ids=lambda kind: kind.__name__)
def test_what_methods_of_a_cell_read_is_seen(kind, monkeypatch):
    cell, xs = kind(), torch.randn(3, 2, 2)
    compiled, loop = (rnnkit.unrollers[name]() for name in ("compiled", "loop"))
    before, unchanged = Fingerprint(cell).key, Unchanged(cell)
    assert unchanged()
    torch.testing.assert_close(compiled(cell, xs)[0], loop(cell, xs)[0])
    CHANGES[kind](monkeypatch)
    assert Fingerprint(cell).key != before
    assert not unchanged()
    torch.testing.assert_close(compiled(cell, xs)[0], loop(cell, xs)[0])
