"""What a step reads of modules of libraries, of torch's settings and of its tensors is seen, or it is for the loop."""

import collections
import ctypes
import datetime
import importlib
import itertools
import logging
import math
import multiprocessing
import operator
import os
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.unchanged import Unchanged

FOUND, GIVING = ModuleType("found_of_a_test"), ModuleType("giving_of_a_test")
sys.modules |= {FOUND.__name__: FOUND, "dotted.of_a_test": FOUND}
TABLE, NUMBER, NUMBERS = {"gain": 1.5}, ctypes.c_double(1.5), (ctypes.c_double * 2)(1.5, 2.5)
SPACE, MADE, EVENT = SimpleNamespace(inner=SimpleNamespace(gain=1.5)), collections.defaultdict(float), threading.Event()
DEEP, LOGGER, LOCK = operator.attrgetter("inner.gain"), logging.getLogger("of_a_test"), threading.Lock()
NEXT, ENDLESS, SHARED = iter([1.5] * 100), itertools.count(), multiprocessing.Value("d", 1.5)
DAY = datetime.date
GIVING.__getattr__ = lambda name: TABLE[name]


class Scaled(rnnkit.Cell):
    def __init__(self):
        super().__init__(2, 2)
        self.weight = torch.nn.Parameter(torch.ones(2))

    def step(self, x, state):
        return x * self.weight * self.factor(), state


def scaled(factor):
    return type("Kind", (Scaled,), {"factor": factor})()


def gain_a():
    return 1.5


def put_together(space):
    return getattr(space, "".join(("ga", "in")))


def by_letter(letter):
    return globals()[f"gain_{letter}"]()


def sets(owner, name, value=2.5):
    return lambda patch, cell: patch.setattr(owner, name, value, raising=False)


def has_set(setter, value, back):
    def change(patch, cell):
        setter(value)
        patch.callbacks.append(lambda: setter(back))

    return change


SEEN = {
    "sys.modules": (lambda self: sys.modules["found_of_a_test"].gain, sets(FOUND, "gain")),
    "import_module": (lambda self: importlib.import_module("dotted.of_a_test").gain, sets(FOUND, "gain")),
    "__import__": (lambda self: __import__("found_of_a_test").gain, sets(FOUND, "gain")),
    "sys.argv": (lambda self: float(len(sys.argv)), lambda patch, cell: patch.setattr(sys, "argv", [*sys.argv, "x"])),
    "a module's __getattr__": (lambda self: GIVING.gain, lambda patch, cell: patch.setitem(TABLE, "gain", 2.5)),
    "a name put together": (lambda self: put_together(SPACE.inner), sets(SPACE.inner, "gain")),
    "a global's name put together": (
        lambda self: by_letter("a"),
        lambda patch, cell: patch.setitem(globals(), "gain_a", lambda: 2.5),
    ),
    "attrgetter": (lambda self: DEEP(SPACE), sets(SPACE.inner, "gain")),
    "a number of C's": (lambda self: NUMBER.value, lambda patch, cell: patch.setattr(NUMBER, "value", 2.5)),
    "numbers of C's": (lambda self: NUMBERS[0], has_set(lambda gain: operator.setitem(NUMBERS, 0, gain), 2.5, 1.5)),
    "a default": (lambda self: MADE.default_factory(), sets(MADE, "default_factory", lambda: 2.5)),
    "an event": (lambda self: float(EVENT.is_set()), sets(EVENT, "_flag", True)),
    "a logger's level": (lambda self: 1.0 + LOGGER.isEnabledFor(20), has_set(LOGGER.setLevel, 5, 0)),
    "a library's function": (lambda self: torch.tanh(torch.ones(2)), sets(torch, "tanh", torch.sin)),
    "one of several folders": (
        lambda self: torch.nn.functional.relu(torch.ones(2)),
        sets(torch.nn.functional, "relu", torch.sin),
    ),
    "a library's attribute": (lambda self: math.pi, sets(math, "pi", 3.0)),
    "Python's own": (
        lambda self: float(divmod(5, 2)[0]),
        lambda patch, cell: patch.setitem(vars_of("builtins"), "divmod", lambda a, b: (7, 1)),
    ),
    "threads": (
        lambda self: float(torch.get_num_threads()),
        has_set(torch.set_num_threads, 3, torch.get_num_threads()),
    ),
    "deterministic": (
        lambda self: float(torch.are_deterministic_algorithms_enabled()),
        has_set(torch.use_deterministic_algorithms, True, False),
    ),
    "a flag of a backend": (  # which torch.testing freezes
        lambda self: float(torch.backends.mkldnn.deterministic),
        lambda patch, cell: (
            patch.setitem(torch.backends.flags_frozen.__globals__, "__allow_nonbracketed_mutation_flag", True),
            patch.setattr(torch.backends.mkldnn, "deterministic", True),
        ),
    ),
    "NumPy's": (
        lambda self: float(np.geterr()["over"] == "raise"),
        has_set(lambda how: np.seterr(over=how), "raise", "warn"),
    ),
    "a folder": (lambda self: float(len(os.getcwd())), lambda patch, cell: patch.chdir("/")),
}


def vars_of(name):
    return vars(sys.modules[name])


@pytest.fixture
def patch(monkeypatch):
    FOUND.gain = 1.5
    monkeypatch.callbacks = []
    yield monkeypatch
    for callback in monkeypatch.callbacks:
        callback()


@pytest.mark.parametrize("name", SEEN)
def test_what_is_read_of_libraries_is_seen(name, patch):
    factor, change = SEEN[name]
    cell, xs = scaled(factor), torch.rand(3, 2, 2) + 1
    compiled, loop = (rnnkit.unrollers[name]() for name in ("compiled", "loop"))
    assert compiled.backend_of(cell) == "cpp"
    before, unchanged, first = Fingerprint(cell).key, Unchanged(cell), compiled(cell, xs)[0]
    assert unchanged()
    assert Fingerprint(cell).key == before
    change(patch, cell)
    assert not unchanged()
    assert Fingerprint(cell).key != before
    again = compiled(cell, xs)[0]
    torch.testing.assert_close(again, loop(cell, xs)[0])
    assert not torch.allclose(again, first)


UNSEEN = {
    "time": (lambda self: float(time.time() > 0), "calls time(), which may answer otherwise at any time"),
    "a date": (lambda self: float(datetime.datetime.now().year), "calls now()"),
    "a day": (lambda self: float(DAY.today().year), "calls today()"),
    "a file": (lambda self: float(open(__file__).closed), "calls open()"),  # noqa: SIM115
    "a thread": (lambda self: float(len(threading.current_thread().name)), "calls current_thread()"),
    "a version": (lambda self: float(self.weight._version), "asks for _version, which may be another at any time"),
    "an address": (lambda self: float(self.weight.data_ptr() > 0), "asks for data_ptr"),
    "a lock": (lambda self: float(LOCK.locked()), "asks for locked"),
    "an iterator": (lambda self: next(NEXT), "what is next of a list_iterator"),
    "a count": (lambda self: float(next(ENDLESS) > -1), "what is next of a count"),
    "shared memory": (lambda self: SHARED.value, "whose changes are not seen"),
    "a module by any name": (
        lambda self: float(len(importlib.import_module(SPACE.__class__.__module__).__name__)),
        "finds a module by a name that is not written there",
    ),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_what_cannot_be_seen_is_for_the_loop(name):
    factor, reason = UNSEEN[name]
    cell = scaled(factor)
    assert reason in Fingerprint(cell).unseen
    assert "shared" in name or "next" in reason or "test_libraries.py:" in Fingerprint(cell).unseen
    assert rnnkit.unrollers["compiled"]().backend_of(cell) == "loop"


def test_a_parameter_with_a_gradient_is_for_the_loop_where_a_step_asks_for_it():
    cell, xs = scaled(lambda self: 1.0 if self.weight.grad is None else 2.0), torch.rand(3, 2, 2)
    compiled, loop = (rnnkit.unrollers[name]() for name in ("compiled", "loop"))
    unchanged = Unchanged(cell)
    assert compiled.backend_of(cell) == "cpp"
    compiled(cell, xs)[0].sum().backward()
    assert not unchanged()
    assert "may ask for the gradient of a parameter, which has one" in Fingerprint(cell).unseen
    torch.testing.assert_close(compiled(cell, xs)[0], loop(cell, xs)[0])
    cell.weight.grad = None
    assert unchanged()


def test_a_step_that_takes_gradients_itself_is_none_that_asks_for_one():
    cell = scaled(lambda self: torch.autograd.grad(self.weight.sum(), self.weight)[0])
    cell.weight.grad = torch.ones(2)
    assert not Fingerprint(cell).unseen
