"""What the code of a step reads beside its module is seen wherever it is read: in methods, parents, what they name."""

import argparse
import dataclasses
import enum
import functools
import os
import random
import sys
import threading
import weakref
from array import array
from collections import deque
from contextvars import ContextVar
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from numpy import asarray
from torch.nn import functional

import rnnkit
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.unchanged import Unchanged

GAIN = 1.5
TABLE, QUEUE = {"gain": 1.5}, deque([1.5, 2.5])
SPACE, NEST = SimpleNamespace(gain=1.5), SimpleNamespace(model=SimpleNamespace(gain=1.5))
ARGUMENTS, PAIR, SPAN = argparse.Namespace(gain=1.5), (1.5, 2.5), range(2, 9)
PART, ACTIVATION = functools.partial(max, 1.5), functional.softplus
ARRAY, VARIABLE = array("d", [1.5, 2.5]), ContextVar("gain", default=1.5)
MODULE = ModuleType("settings_of_a_test")
MODULE.gain, MODULE.act = 1.5, lambda z: z * GAIN
sys.modules[MODULE.__name__] = MODULE


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


class Meta(type):
    _gain = 1.5

    @property
    def gain(cls):
        return cls._gain


class OfMeta(metaclass=Meta):
    pass


class Computed:
    """Reads what it holds, and globals, by its own code."""

    unit = 1.0

    def __init__(self):
        self._content = {"gain": 1.5}

    @property
    def doubled(self):
        return 2 * self._content["gain"]

    @functools.cached_property
    def kept(self):
        return self._content["gain"]

    def __getattr__(self, name):
        return object.__getattribute__(self, "_content")[name]

    def __getitem__(self, name):
        return self._content[name]

    def __str__(self):
        return str(self._content["gain"])

    def through(self):
        return self._inner()

    def _inner(self):
        return self._content["gain"] * self.unit

    def outside(self):
        return self._global()

    def _global(self):
        return GAIN

    def set(self, gain):
        self.__dict__.pop("kept", None)
        self._content["gain"] = gain


class Locked:
    """Holds what can't be compared."""

    def __init__(self):
        self.lock, self.gain = threading.Lock(), 1.5

    def read(self):
        return self.gain


def exchanged():
    return 1.5


@functools.lru_cache
def cached():
    return GAIN


class Child(torch.nn.Module):
    def compute(self):
        return GAIN


SETTINGS = Own()
OWN, SLOTS, COMPUTED, LOCKED = Own(), InSlots(), Computed(), Locked()
WEAK, READ = weakref.ref(OWN), LOCKED.read


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
        self.held, self.wanted, self.other = held, "gain", "GAIN"

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


def other_computed(patch):
    COMPUTED.set(2.5)


def other_cached(patch):
    other_gain(patch)
    cached.cache_clear()


def imports(self):
    from settings_of_a_test import gain

    return gain


def with_child():
    cell = reads(lambda self: self.child.compute())
    cell.child = Child()
    return cell


class Kind(enum.Enum):
    ONE = 1

    @property
    def gain(self):
        return GAIN


class Number(float):
    def __mul__(self, other):
        return GAIN * other


class Text(str):
    """Has an attribute besides."""


class Table(dict):
    """Has an attribute besides."""


class Private:
    __slots__ = ("__gain",)

    def __init__(self):
        self.set(1.5)

    def get(self):
        return self.__gain

    def set(self, gain):
        self.__gain = gain


class Outer(torch.nn.Module):
    """A module that is none of a cell's."""

    def __init__(self):
        super().__init__()
        self.inner = torch.nn.LeakyReLU(1.5)


def noted():
    return noted.gain


noted.gain = 1.5
NUMBER, TEXT, TABLE_WITH, PRIVATE, OUTER = Number(1.0), Text("a"), Table(), Private(), Outer()
TEXT.gain = TABLE_WITH.gain = 1.5
LOCK, LOCAL, WITHIN = threading.Lock(), threading.local(), ([1.5],)
LOCAL.unit, SIZES, LEAKY = 1.5, SimpleNamespace(width=1.5), torch.nn.LeakyReLU(1.5)
RELATIVE, CELLS = ModuleType("package_of_a_test.settings"), ModuleType("package_of_a_test.cells")
RELATIVE.depth, CELLS.__package__ = 1.5, "package_of_a_test"
sys.modules |= {"package_of_a_test": ModuleType("package_of_a_test"), RELATIVE.__name__: RELATIVE}
exec("def factor(self):\n    from .settings import depth\n    return depth", vars(CELLS))


class Many(enum.Enum):
    SOME = [1.5]  # noqa: RUF012 - to be changed in place
    OTHER = [1.5, 1.5]  # noqa: RUF012


class Large(Computed):
    """Has parts without end, and code of its own."""


LARGE = Large()


def locked(self):
    with LOCK:
        return SPACE.gain


OTHER = {
    "enumeration": (lambda self: Kind.ONE.gain, other_gain),
    "text with an attribute": (lambda self: TEXT.gain, lambda patch: patch.setattr(TEXT, "gain", 2.5)),
    "table with an attribute": (lambda self: TABLE_WITH.gain, lambda patch: patch.setattr(TABLE_WITH, "gain", 2.5)),
    "private slot": (lambda self: PRIVATE.get(), lambda patch: PRIVATE.set(2.5)),
    "a function's attribute": (lambda self: noted(), lambda patch: patch.setattr(noted, "gain", 2.5)),
    "a module inside another": (
        lambda self: OUTER.inner.negative_slope,
        lambda patch: patch.setattr(OUTER.inner, "negative_slope", 2.5),
    ),
    "this thread's": (lambda self: LOCAL.unit, lambda patch: patch.setattr(LOCAL, "unit", 2.5)),
    "within a tuple": (lambda self: WITHIN[0][0], lambda patch: WITHIN[0].insert(0, 2.5)),
    "within an enumeration": (lambda self: Many.SOME.value[0], lambda patch: Many.SOME.value.insert(0, 2.5)),
    "a method of what has a lock": (lambda self: READ(), lambda patch: patch.setattr(LOCKED, "gain", 2.5)),
    "what torch alone reads": (
        lambda self: -LEAKY(-torch.ones(())),
        lambda patch: patch.setattr(LEAKY, "negative_slope", 2.5),
    ),
    "relative import": (CELLS.factor, lambda patch: patch.setattr(RELATIVE, "depth", 2.5)),
    "beside a lock": (locked, lambda patch: patch.setattr(SPACE, "gain", 2.5)),
    "one of several names": (
        lambda self: max(getattr(SIZES, name) for name in ("width", "height") if hasattr(SIZES, name)),
        lambda patch: patch.setattr(SIZES, "width", 2.5),
    ),
    "number of one's own": (lambda self: NUMBER * 1.0, other_gain),
    "name in an attribute": (
        lambda self: getattr(SPACE, self.wanted),
        lambda patch: patch.setattr(SPACE, "gain", 2.5),
    ),
    "global by such a name": (lambda self: globals()[self.other], other_gain),
    "namespace": (lambda self: ARGUMENTS.gain, lambda patch: patch.setattr(ARGUMENTS, "gain", 2.5)),
    "tuple": (lambda self: PAIR[0], lambda patch: patch.setitem(globals(), "PAIR", (2.5,))),
    "range": (lambda self: SPAN[0], lambda patch: patch.setitem(globals(), "SPAN", range(3, 9))),
    "a library's function": (
        lambda self: ACTIVATION(torch.ones(())),
        lambda patch: patch.setitem(globals(), "ACTIVATION", functional.silu),
    ),
    "getattr": (lambda self: getattr(SPACE, "gain"), lambda patch: patch.setattr(SPACE, "gain", 2.5)),  # noqa: B009
    "all of an object": (lambda self: max(vars(SIZES).values()), lambda patch: patch.setattr(SIZES, "width", 2.5)),
    "object's property": (lambda self: COMPUTED.doubled, other_computed),
    "object's cached property": (lambda self: COMPUTED.kept, other_computed),
    "object's __getattr__": (lambda self: COMPUTED.gain, other_computed),
    "object's item": (lambda self: COMPUTED["gain"], other_computed),
    "object's methods": (lambda self: COMPUTED.through(), other_computed),
    "object's class": (lambda self: COMPUTED.through(), lambda patch: patch.setattr(Computed, "unit", 2.5)),
    "what its methods read": (lambda self: COMPUTED.outside(), other_gain),
    "what a held one's read": (lambda self: self.held.outside(), other_gain),
    "object with a lock": (lambda self: LOCKED.gain, lambda patch: patch.setattr(LOCKED, "gain", 2.5)),
    "cache": (lambda self: cached(), other_cached),
    "text": (lambda self: float(f"{COMPUTED}"), other_computed),
    "code": (lambda self: exchanged(), lambda patch: patch.setattr(exchanged, "__code__", (lambda: 2.5).__code__)),
    "eval": (lambda self: eval("max(GAIN, 1)"), other_gain),
    "globals": (lambda self: globals()["GAIN"], other_gain),
    "import": (imports, lambda patch: patch.setattr(MODULE, "gain", 2.5)),
}

READS = {
    **{name: (functools.partial(reads, read, Computed()), change) for name, (read, change) in OTHER.items()},
    "child's method": (with_child, other_gain),
    "within an enumeration that it holds": (
        lambda: reads(lambda self: self.held.value[0], Many.OTHER),
        lambda patch: Many.OTHER.value.insert(0, 2.5),
    ),
    "name in a list": (
        lambda: reads(lambda self: getattr(SIZES, self.held[0]), ["width"]),
        lambda patch: patch.setattr(SIZES, "width", 2.5),
    ),
    "name put together": (
        lambda: reads(lambda self: getattr(self, f"act_{self.held}")(), "a", act_a=lambda self: SIZES.width),
        lambda patch: patch.setattr(SIZES, "width", 2.5),
    ),
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
    "array": (lambda: reads(lambda self: ARRAY[0]), lambda patch: ARRAY.reverse()),
    "context": (lambda: reads(lambda self: VARIABLE.get()), lambda patch: VARIABLE.set(2.5)),
    "weak reference": (lambda: reads(lambda self: WEAK().gain), lambda patch: patch.setattr(OWN, "gain", 2.5)),
    "metaclass": (lambda: reads(lambda self: OfMeta.gain), lambda patch: patch.setattr(OfMeta, "_gain", 2.5)),
    "environment": (
        lambda: reads(lambda self: float(os.environ.get("GAIN_OF_A_TEST", "1.5"))),
        lambda patch: patch.setenv("GAIN_OF_A_TEST", "2.5"),
    ),
    "os.getenv": (
        lambda: reads(lambda self: float(os.getenv("GAIN_OF_A_TEST", "1.5"))),
        lambda patch: patch.setenv("GAIN_OF_A_TEST", "2.5"),
    ),
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
    is_filled_in = name == "object's cached property"  # by the first step, which is the loop's
    assert compiled.backend_of(cell) == ("loop" if is_filled_in else "cpp")
    assert Fingerprint(cell).key != before
    assert not unchanged()
    again = compiled(cell, xs)[0]
    assert compiled.backend_of(cell) == "cpp"
    torch.testing.assert_close(again, loop(cell, xs)[0])
    assert not torch.allclose(again, first)


@pytest.fixture(autouse=True)
def as_it_was():
    """What a test has changed in place is put back."""
    yield
    COMPUTED.set(1.5)
    PRIVATE.set(1.5)
    cached.cache_clear()


@pytest.mark.parametrize("draw", [random.random, np.random.rand])
def test_a_step_that_draws_numbers_draws_those_that_it_would(draw):
    cell, xs = reads(lambda self: draw()), torch.randn(3, 2, 2)
    found = []
    for name in ("loop", "compiled"):
        random.seed(1)
        np.random.seed(1)
        found.append(rnnkit.unrollers[name]()(cell, xs)[0])
    torch.testing.assert_close(*found)


PAST_THE_EYE = {
    "requires_grad": lambda h: h.requires_grad,
    "is_leaf": lambda h: h.is_leaf,
    "grad_fn": lambda h: h.grad_fn is None,
    "numpy": lambda h: np.abs(h.detach().numpy()).max() > 0.8,
    "asarray": lambda h: np.asarray(h.detach()).sum() > 0.9,
    "of its own name": lambda h: asarray(h.detach()).sum() > 0.9,
    "repr": lambda h: float(repr(h.detach().max()).strip("tensor()")) > 0.8,
    "tolist": lambda h: max(h.flatten().tolist()) > 0.8,
}


@pytest.mark.parametrize("name", PAST_THE_EYE)
def test_what_a_step_asks_of_its_tensors_is_as_in_the_loop(name):
    class Asks(rnnkit.Cell):
        def step(self, x, state):
            (h,) = state
            h = torch.tanh(h + (x if self.asked(h) else 2 * x))
            return h, (h,)

    cell, xs = Asks(2, 2), torch.rand(3, 2, 2).requires_grad_()
    cell.asked = PAST_THE_EYE[name]
    torch.testing.assert_close(*[rnnkit.unrollers[name]()(cell, xs)[0] for name in ("compiled", "loop")])


def test_a_hook_of_all_modules_is_called():
    cell, xs = reads(lambda self: self.child(torch.ones(2))), torch.randn(3, 2, 2)
    cell.child = torch.nn.Linear(2, 2)
    compiled, loop = (rnnkit.unrollers[name]() for name in ("compiled", "loop"))
    for _ in range(3):  # so that it is known to be unchanged
        compiled(cell, xs)
    hook = torch.nn.modules.module.register_module_forward_hook(lambda module, given, result: 2 * result)
    try:
        torch.testing.assert_close(compiled(cell, xs)[0], loop(cell, xs)[0])
    finally:
        hook.remove()


def test_a_count_that_others_keep_in_a_class_changes_nothing():
    cell = reads(lambda self: Settings.gain)
    before, unchanged = Fingerprint(cell).key, Unchanged(cell)
    Settings.seen = 1
    assert Fingerprint(cell).key == before
    assert unchanged()


def test_of_a_large_object_what_is_named_is_compared():
    LARGE.parts = [[k] for k in range(10_000)]  # at every call
    cell = reads(lambda self: LARGE.doubled)
    before = Fingerprint(cell).key
    LARGE.parts.append([0])
    assert Fingerprint(cell).key == before
    LARGE.set(2.5)
    assert Fingerprint(cell).key != before


def test_of_settings_what_is_named_is_compared():
    SETTINGS.other = [*range(100_000)]  # at every call
    cell = reads(lambda self: SETTINGS.gain)
    before = Fingerprint(cell).key
    SETTINGS.other.append(0)
    assert Fingerprint(cell).key == before
    SETTINGS.gain += 1
    assert Fingerprint(cell).key != before


def test_what_a_decorator_of_a_library_wraps_is_seen(monkeypatch):
    cell = reads(torch.no_grad()(lambda self: GAIN))
    before = Fingerprint(cell).key
    other_gain(monkeypatch)
    assert Fingerprint(cell).key != before
