"""Whether a cell is unchanged is told by identity: of large containers in little time, and rightly of each element."""

import copy
import functools
import operator
import weakref
from collections import OrderedDict, deque
from contextvars import ContextVar

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit_compiler.trace import classes
from rnnkit_compiler.trace import unchanged as module
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.simple import LARGE, simple_of
from rnnkit_compiler.trace.snapshot import Snapshot
from rnnkit_compiler.trace.unchanged import Unchanged

MANY = 5 * LARGE


class Holder:
    def __init__(self, gain):
        self.gain = gain

    def read(self):
        return self.gain


class InSlots:
    __slots__ = ("gain",)

    def __init__(self):
        self.gain = 1.5


class Reads(rnnkit.Cell):
    calls = 0

    def __init__(self, held):
        super().__init__(2, 2)
        self.weight, self.held = torch.nn.Parameter(torch.ones(2)), held

    def step(self, x, state):
        return x * self.weight * len(self.held), state


def closure():
    table = [1.5]
    return lambda: table, lambda: table.append(2.5)


def changes(value, change):
    return lambda: (value(), change)


CLOSED = closure()
VARIABLE = ContextVar("gain", default=1.5)
HOLDER = Holder([1.5])

CHANGES = {
    "a number of many": changes(lambda: [k / 4 for k in range(MANY)], lambda held: held.__setitem__(7, 0.3)),
    "the sign of one": changes(lambda: [0.0] * MANY, lambda held: held.__setitem__(7, -0.0)),
    "the type of one": changes(lambda: [1] * MANY, lambda held: held.__setitem__(7, True)),
    "a word of many": changes(lambda: [f"w{k}" for k in range(MANY)], lambda held: held.__setitem__(7, "w")),
    "a word more": changes(lambda: [f"w{k}" for k in range(MANY)], lambda held: held.append("w")),
    "the order of words": changes(lambda: [f"w{k}" for k in range(MANY)], lambda held: held.reverse()),
    "a key": changes(lambda: {f"w{k}": k for k in range(MANY)}, lambda held: held.update(w=held.pop("w7"))),
    "a value": changes(lambda: {f"w{k}": k for k in range(MANY)}, lambda held: held.update(w7=8)),
    "a word of a set": changes(lambda: {f"w{k}" for k in range(MANY)}, lambda held: held.add("w")),
    "the order of a set": changes(lambda: {0, 8}, lambda held: (held.clear(), held.update((8,)), held.update((0,)))),
    "a list in a list": changes(lambda: [[k] for k in range(MANY)], lambda held: held[7].append(1)),
    "a list in a tuple": changes(lambda: ([1],), lambda held: held[0].append(1)),
    "a list in a dict": changes(lambda: {"a": [1]}, lambda held: held["a"].append(1)),
    "an object in a list": changes(lambda: [Holder(1)], lambda held: setattr(held[0], "gain", 2)),
    "an object's class": changes(
        lambda: [Holder(1)], lambda held: setattr(held[0], "__class__", type("O", (Holder,), {}))
    ),
    "an object's dictionary": changes(lambda: [Holder(1)], lambda held: setattr(held[0], "__dict__", {"gain": 2})),
    "a slot": changes(lambda: [InSlots()], lambda held: setattr(held[0], "gain", 2)),
    "a slot that is emptied": changes(lambda: [InSlots()], lambda held: delattr(held[0], "gain")),
    "an ordered table": changes(lambda: OrderedDict(a=1), lambda held: held.update(a=2)),
    "a queue": changes(lambda: deque([1, 2]), lambda held: held.rotate()),
    "an array": changes(lambda: [np.zeros(3)], lambda held: held[0].fill(1)),
    "a closure": changes(lambda: [CLOSED[0]], lambda held: CLOSED[1]()),
    "a variable of the context": changes(lambda: [VARIABLE], lambda held: VARIABLE.set(2.5)),
    "what a weak reference gives": changes(lambda: [weakref.ref(HOLDER)], lambda held: HOLDER.gain.append(1)),
    "an argument": changes(lambda: [functools.partial(max, [1])], lambda held: held[0].args[0].append(1)),
    "a method's object": changes(lambda: [Holder(1).read], lambda held: setattr(held[0].__self__, "gain", 2)),
    "bytes": changes(lambda: bytearray(b"ab"), lambda held: held.reverse()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_in_place_is_seen(name, monkeypatch):
    held, change = CHANGES[name]()
    cell = Reads(held)
    key, snapshot, unchanged = Fingerprint(cell).key, Snapshot([held]), Unchanged(cell)
    assert snapshot()
    assert unchanged()
    assert Fingerprint(cell).key == key
    change(held)
    assert not snapshot()
    assert not unchanged()
    assert Fingerprint(cell).key != key


@pytest.mark.parametrize(
    "held", [[k / 4 for k in range(MANY)], {f"w{k}": k for k in range(MANY)}, [[k] for k in range(MANY)], Holder([1])]
)
def test_what_is_unchanged_is_not_described_again(held, monkeypatch):
    unchanged = Unchanged(Reads(held))
    monkeypatch.setattr(module, "frozen", None)
    assert unchanged()


def test_an_equal_number_in_place_of_another_is_no_change():
    held = {"gain": 1.5}
    unchanged = Unchanged(Reads(held))
    for text in ("1.5", "1.50", "1.500"):
        held["gain"] = float(text)
        assert unchanged()
    held["gain"] = 2.5
    assert not unchanged()


def test_equal_containers_have_one_key_and_others_have_not():
    one = Reads([k / 4 for k in range(MANY)])
    assert Fingerprint(one).key == Fingerprint(copy.deepcopy(one)).key
    keys = {Fingerprint(Reads([first] + [1.0] * MANY)).key for first in (0, 0.0, -0.0, False, None, "", b"")}
    assert len(keys) == 7


@pytest.mark.parametrize("make", [operator.itemgetter, lambda k: torch.finfo([torch.float32, torch.bfloat16][k])])
def test_what_takes_the_place_of_an_object_written_in_c_is_another(make):
    cell = Reads(make(0))
    place, key = id(cell.held), Fingerprint(cell).key
    cell.held, others = None, []
    for _ in range(100):
        cell.held = make(1)
        assert Fingerprint(cell).key != key
        if id(cell.held) == place:
            break
        others.append(cell.held)


def test_a_large_container_is_described_once():
    held = [k / 4 for k in range(MANY)]
    first = simple_of(held)
    assert simple_of(held) is first
    held[3] = held[4]
    assert simple_of(held) != first
    assert simple_of([*held, []]) is None


def test_parts_that_many_share_are_described_once():
    held = Holder(1.5)
    for _ in range(7):
        new = Holder(held)
        new.a = new.b = new.c = new.d = held
        held = new
    assert len(repr(Fingerprint(Reads(held)).key)) < 10_000


def test_the_pattern_of_shared_parts_is_seen():
    shared = [1]
    one, two = Reads([shared, shared]), Reads([[1], [1]])
    assert Fingerprint(one).key != Fingerprint(two).key


def test_a_count_that_a_cell_keeps_in_its_class_changes_nothing():
    cell = Reads([1])
    before, unchanged = Fingerprint(cell).key, Unchanged(cell)
    Reads.calls += 1
    assert Fingerprint(cell).key == before
    assert unchanged()


class Leaky(torch.nn.LeakyReLU):
    """Has what torch reads of its module."""

    negative_slope = 0.5


def test_what_a_library_reads_of_a_class_is_seen(monkeypatch):
    cell = Reads([1])
    cell.inner = Leaky()
    del cell.inner.negative_slope
    before, unchanged = Fingerprint(cell).key, Unchanged(cell)
    monkeypatch.setattr(Leaky, "negative_slope", 0.25)
    assert Fingerprint(cell).key != before
    assert not unchanged()


def test_code_of_torch_is_not_taken_apart(monkeypatch):
    """It takes a sixth of a second, of the first call in a process."""
    monkeypatch.setattr("dis.get_instructions", None)
    assert {"training", "_parameters"} <= classes._named_by_libraries(type("Fresh", (rnnkit.Cell,), {}))
