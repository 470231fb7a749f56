"""What steps rarely read is seen all the same when it changes: objects compared whole, replaced methods, sharing."""

import gc
from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler._cache import Cache
from rnnkit_compiler.compiled import Compiled
from rnnkit_compiler.trace.fingerprint import Fingerprint

XS = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(4))

SETTINGS = SimpleNamespace(width=1, depth=2)
DEFAULTS = SimpleNamespace(width=1, depth=2)


@dataclass
class Options:
    width: int = 1
    depth: int = 2


OPTIONS, OTHERS = Options(), Options()
KNOWN = [Options()]


class Reading(rnnkit.Cell):
    """Adds what it reads."""

    def __init__(self, read):
        super().__init__(3, 4)
        self.linear = nn.Linear(7, 4)
        self.read = read

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(self.linear(torch.cat([x, h], 1))) + self.read(h)
        return h, (h,)


def own_norm(tensor, *others, **named):
    return torch.linalg.vector_norm(tensor, *others, **named) + 1


READ = {
    "namespaces that are equal": (lambda h: float(SETTINGS == DEFAULTS), (SETTINGS, "depth", 3)),
    "namespaces that differ": (lambda h: float(SETTINGS != DEFAULTS), (DEFAULTS, "depth", 3)),
    "objects that are equal": (lambda h: 1.0 if OPTIONS == OTHERS else 0.0, (OTHERS, "depth", 3)),
    "one among others": (lambda h: 1.0 if OPTIONS in KNOWN else 0.0, (OPTIONS, "depth", 3)),
    "a method of torch's own": (lambda h: h.norm(dim=1, keepdim=True), (torch.Tensor, "norm", own_norm)),
    "a method in C": (lambda h: h.sigmoid(), (torch.Tensor, "sigmoid", torch.Tensor.tanh)),
}


@pytest.mark.parametrize("bound", [False, True], ids=["looked at", "bound"])
@pytest.mark.parametrize("name", READ)
def test_a_change_is_seen(name, bound, monkeypatch):
    read, (owner, attribute, value) = READ[name]
    cell = Reading(read)
    loop, ours = rnnkit.unrollers["loop"](), Compiled()
    assert ours.backend_of(cell) == "cpp"
    run = ours.bound(cell) if bound else lambda xs, state: ours(cell, xs, state)
    state = cell.initial_state(2)
    before = run(XS, state)[0]
    torch.testing.assert_close(before, loop(cell, XS, state)[0])
    monkeypatch.setattr(owner, attribute, value)
    expected = loop(cell, XS, state)[0]
    assert not torch.allclose(before, expected)
    if bound:
        assert not run.holds()
    else:
        torch.testing.assert_close(run(XS, state)[0], expected)


class Base:
    pass


def test_subclasses_are_for_the_loop():
    cell = Reading(lambda h: float(len(Base.__subclasses__())))
    assert "asks for __subclasses__, which may be another at any time" in Compiled().explain(cell)


def test_a_large_list_that_is_held_twice_is_not_two_equal_ones():
    one, other = Reading(None), Reading(None)
    one.first = one.second = [*range(300)]
    other.first, other.second = [*range(300)], [*range(300)]
    assert Fingerprint(one).key != Fingerprint(other).key
    other.second = other.first
    assert Fingerprint(one).key == Fingerprint(other).key


class Dying:
    """A key that equals others while its owner is there, as an `Identity` does."""

    def __init__(self, alive):
        self.alive = alive

    def __hash__(self):
        return 1

    def __eq__(self, other):
        return bool(self.alive and other.alive)


def ask_twice(cache, alive, owner):
    def make():
        cache.get(Dying(alive), lambda: "of another thread", owner)  # meanwhile
        return "own"

    assert cache.get(Dying(alive), make, owner) == "own"


def test_an_answer_of_two_threads_goes_with_its_owner():
    cache, alive = Cache(8), [True]
    ask_twice(cache, alive, type("Owner", (), {}))
    alive.clear()
    gc.collect()
    assert not cache._kept
    assert not cache._owners
