"""Two cells have one fingerprint if their steps are the same but for the values of their tensors, and only then."""

import copy
from argparse import Namespace
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler.trace.fingerprint import Fingerprint, changed_attribute


class Settings:
    """An object with a value that a step may read."""

    def __init__(self, factor):
        self.factor = factor

    def read(self):
        return self.factor


class Printed(rnnkit.Cell):
    """A cell with all sorts of attributes."""

    name = "printed"

    def __init__(self, hidden_size=3):
        super().__init__(hidden_size, hidden_size)
        self.weight = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.inner = nn.Linear(hidden_size, hidden_size)
        self.register_buffer("scale", torch.ones(hidden_size))
        self.register_buffer("missing", None)
        self.factor = 0.5
        self.options = {"mode": ("a", 1), "depth": [2, 3]}
        self.activation = torch.tanh

    def step(self, p, state):
        h = self.activation(self.inner(p) + state[0] @ self.weight) * self.factor
        return h, (h,)


class Other(Printed):
    pass


def key(cell):
    return Fingerprint(cell).key


def test_cells_that_differ_in_values_alone_are_equal():
    assert key(Printed()) == key(Printed())
    assert hash(key(Printed())) == hash(key(Printed()))
    cell = Printed()
    before = key(cell)
    with torch.no_grad():
        cell.weight.mul_(2)
    cell.weight = nn.Parameter(torch.zeros(3, 3))
    assert key(cell) == before
    assert key(copy.deepcopy(cell)) == before
    cell.weight.requires_grad_(False)  # which a step may ask for
    assert key(cell) != before


class Slotted:
    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor


IN_PLACE = {
    "an array": (lambda: np.ones(3), lambda held: held.__setitem__(0, 2.0)),
    "a set": (lambda: {1, 2}, lambda held: held.add(3)),
    "a deque": (lambda: deque([1, 2]), lambda held: held.append(3)),
    "slots": (lambda: Slotted(1), lambda held: setattr(held, "factor", 2)),
    "a view of a dict": (lambda: MappingProxyType(CHANGED), lambda held: CHANGED.update(a=2)),
    "nested dicts": (lambda: {"a": {"b": {"c": {"d": {"e": 1}}}}}, lambda held: held["a"]["b"]["c"]["d"].update(e=2)),
    "a callable object": (lambda: Callable(1), lambda held: setattr(held, "factor", 2)),
    "a partial": (lambda: partial(max, Settings(1)), lambda held: setattr(held.args[0], "factor", 2)),
    "a method of another object": (lambda: Settings(1).read, lambda held: setattr(held.__self__, "factor", 2)),
    "a tensor": (lambda: torch.ones(2), lambda held: held.requires_grad_()),
    "a tensor's data": (lambda: torch.ones(2), lambda held: setattr(held, "data", torch.ones(3))),
    "a tensor in a list": (lambda: [torch.ones(2)], lambda held: held[0].requires_grad_()),
    "which tensor is in a list": (lambda: [torch.ones(2)], lambda held: held.__setitem__(0, torch.ones(2))),
}
CHANGED = {"a": 1}


class Callable(Settings):
    def __call__(self):
        return self.factor


@pytest.mark.parametrize("kind", IN_PLACE)
def test_what_is_changed_in_place_is_seen(kind):
    make, change = IN_PLACE[kind]
    cell = Printed()
    cell.held = make()
    before = key(cell)
    assert key(cell) == before
    change(cell.held)
    assert key(cell) != before


def test_what_cannot_be_seen_is_a_reason():
    cell = Printed()
    cell.held = np.zeros(100_000)
    assert "held is a large ndarray, whose changes are not seen" in Fingerprint(cell).unseen
    assert "held is a large ndarray" in rnnkit.unrollers["compiled"]().explain(cell)
    cell.held = iter([1, 2])
    assert "held is a list_iterator, whose changes are not seen" in Fingerprint(cell).unseen


class WithHelper(Printed):
    rate = 0.5
    table = {"rate": 0.5}  # noqa: RUF012

    def helper(self, h):
        return h * self.rate

    def step(self, p, state):
        h = self.helper(state[0] @ self.weight) * self.table["rate"] + p * GLOBAL["rate"]
        return h, (h,)


GLOBAL = {"rate": 0.5}


def test_what_a_class_and_its_helpers_read_is_seen(monkeypatch):
    cell, keys = WithHelper(), []
    keys.append(key(cell))
    monkeypatch.setattr(WithHelper, "rate", 0.7)
    keys.append(key(cell))
    monkeypatch.setitem(WithHelper.table, "rate", 0.7)
    keys.append(key(cell))
    monkeypatch.setattr(WithHelper, "helper", lambda self, h: h)
    keys.append(key(cell))
    monkeypatch.setitem(GLOBAL, "rate", 0.7)
    keys.append(key(cell))
    assert len(set(keys)) == 5
    assert key(cell) == keys[-1]


FACTOR = 0.5


def scaled(h):
    return FACTOR * h


def scaled_twice(h):
    return scaled(scaled(h))


class CallsAFunction(rnnkit.Cell):
    def step(self, p, state):
        return p, (scaled_twice(state[0]),)


def test_what_functions_read_that_a_step_calls_is_seen(monkeypatch):
    cell = CallsAFunction(3, 3)
    keys = [key(cell)]
    monkeypatch.setitem(globals(), "FACTOR", 0.7)
    keys.append(key(cell))
    monkeypatch.setitem(globals(), "scaled", lambda h: h)
    keys.append(key(cell))
    assert len(set(keys)) == 3
    assert key(cell) == keys[-1]


def tie(cell):
    cell.inner.weight = cell.weight


def tie_other(cell):
    cell.extra = nn.Parameter(torch.zeros(3, 3))


def put_off(cell):
    cell.scale = None


CHANGES = {
    "a float": lambda cell: setattr(cell, "factor", 0.25),
    "a float for an int": lambda cell: setattr(cell, "factor", 1) or None,
    "the sign of zero": lambda cell: setattr(cell, "factor", -0.0),
    "training": lambda cell: cell.eval(),
    "training of a submodule": lambda cell: cell.inner.eval(),
    "a dict's value": lambda cell: cell.options.update(mode=("b", 1)),
    "a dict's list": lambda cell: cell.options["depth"].append(4),
    "a function": lambda cell: setattr(cell, "activation", torch.sigmoid),
    "a new attribute": lambda cell: setattr(cell, "more", 1),
    "a dtype": lambda cell: cell.double(),
    "a shape": lambda cell: setattr(cell, "scale", torch.ones(1)),
    "a buffer that goes": put_off,
    "another submodule": lambda cell: setattr(cell, "inner", nn.Identity()),
    "a submodule that goes": lambda cell: setattr(cell, "inner", None),
    "a tie": tie,
    "another parameter": tie_other,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_that_a_step_may_see_is_noticed(change):
    cell = Printed()
    before = key(cell)
    CHANGES[change](cell)
    assert key(cell) != before


def test_equal_numbers_of_different_types_are_told_apart():
    keys = []
    for factor in (1, 1.0, True, 0.0, -0.0, 0, False):
        cell = Printed()
        cell.factor = factor
        keys.append(key(cell))
    assert len(set(keys)) == len(keys)


def test_not_a_number_equals_itself():
    cells = [Printed(), Printed()]
    for cell in cells:
        cell.factor = float("nan")
    assert key(cells[0]) == key(cells[1])


def test_two_classes_are_two():
    assert key(Printed()) != key(Other())


SCALE = 2.0


class Surrounded(Printed):
    """A cell whose step reads a global and an attribute of its class."""

    offset = 0.5

    def step(self, p, state):
        h = torch.tanh(p * SCALE + state[0] + self.offset)
        return h, (h,)


def test_plain_globals_and_class_attributes_that_a_step_reads_are_seen(monkeypatch):
    cell = Surrounded()
    keys = [key(cell)]
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    keys.append(key(cell))
    monkeypatch.setattr(Surrounded, "offset", 0.25)
    keys.append(key(cell))
    assert len(set(keys)) == 3


def test_an_object_is_equal_to_itself_alone_and_its_attributes_are_seen():
    one, two = Printed(), Printed()
    one.settings = two.settings = Settings(1)
    before = key(one)
    assert key(two) == before
    one.settings.factor = 2
    assert key(one) != before
    two.settings = Settings(2)
    assert key(one) != key(two)


@dataclass
class Configuration:
    factor: float = 1.0
    inner: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(depth=2))


@dataclass(eq=False)
class Marker:
    """Its objects may be told apart by `is`."""

    factor: float = 1.0


@pytest.mark.parametrize(
    "make",
    [Configuration, lambda: Namespace(factor=1.0), lambda: partial(torch.add, alpha=1.0), lambda: slice(0, 2)],
    ids=["dataclass", "namespace", "partial", "slice"],
)
def test_objects_that_are_told_by_what_they_hold_are_equal_in_copies_and_layers_of_a_cell(make):
    one, two = Printed(), Printed()
    one.settings, two.settings = make(), make()
    assert key(two) == key(one) == key(copy.deepcopy(one))
    assert hash(key(two)) == hash(key(one))


def test_what_such_objects_hold_is_seen_and_others_are_equal_to_themselves_alone():
    one, two = Printed(), Printed()
    one.settings, two.settings = Configuration(), Configuration()
    two.settings.inner.depth = 3
    assert key(one) != key(two)
    one.settings, two.settings = Marker(), Marker()
    assert key(one) != key(two)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda cell: setattr(cell, "factor", 0.25), "factor"),
        (lambda cell: cell.options["depth"].append(1), "options"),
        (lambda cell: setattr(cell.inner, "out_features", 9), "inner.out_features"),
        (lambda cell: setattr(cell, "extra", 1), ""),
        (lambda cell: None, ""),
    ],
    ids=["a number", "a list", "of a submodule", "one more", "none"],
)
def test_the_attribute_that_changed_is_named(change, name):
    cell = Printed()
    before = key(cell)
    change(cell)
    assert changed_attribute(before, key(cell)) == name


def test_tensors_are_listed_as_the_modules_hold_them():
    cell = Printed()
    found = Fingerprint(cell).tensors
    assert [id(t) for t in found] == [id(t) for t in (cell.weight, cell.scale, cell.inner.weight, cell.inner.bias)]


@pytest.mark.parametrize(
    "register", ["register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"]
)
def test_hooks_are_found(register):
    cell = Printed()
    assert not Fingerprint(cell).has_hooks
    handle = getattr(cell.inner, register)(lambda *_: None)
    assert Fingerprint(cell).has_hooks
    handle.remove()
    assert not Fingerprint(cell).has_hooks
