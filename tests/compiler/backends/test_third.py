"""A third backend needs its own folder and a place in the list: the plan, the interface and autograd are there."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.testing import differences
from rnnkit_compiler import _candidates, _programs, compiled
from rnnkit_compiler.backends.base.backend import Refusal

from ...core_cells import CORE_CELLS
from ..chosen_cells import InOrder, Routed
from ..odd_cells import EVERY_ODD_CELL, NEVER_RECORDED
from ..test_axes import CASES
from ..test_axes import build as in_axes
from ..test_odd_cells import build
from .reference import Reference, ReferenceRuntime

Compiled = rnnkit.unrollers["compiled"]


@pytest.fixture
def listed(monkeypatch):
    """Put backends in front of those that there are; no program of theirs is kept."""

    def enter(*backends):
        whole = (*backends, *_candidates.BACKENDS)
        monkeypatch.setattr(_candidates, "BACKENDS", whole)
        monkeypatch.setattr(compiled, "BACKENDS", tuple(backend.name for backend in whole))
        _candidates.candidates.cache_clear()

    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    yield enter
    _candidates.candidates.cache_clear()


def held(cell):
    """Hold the reference to the loop, with the state taken along: what differs, and whether kernels ran."""
    unroller = Compiled(backend="reference")
    return [
        line for steps, batch in ((1, 1), (2, 3), (5, 2)) for line in differences(unroller, cell, steps, batch, 1e-9)
    ]


@pytest.mark.parametrize("name", CORE_CELLS)
def test_the_plan_says_all_that_a_backend_has_to_know(name, listed):
    listed(Reference)
    cell = build(name, 6, 8)
    assert Compiled().backend_of(cell) in ("reference", "loop")
    if Compiled().backend_of(cell) == "reference":
        assert held(cell) == []


@pytest.mark.one_in(3)
@pytest.mark.parametrize("kind", EVERY_ODD_CELL, ids=lambda kind: kind.__name__)
def test_the_plan_says_all_of_odd_cells_too(kind, listed):
    listed(Reference)
    cell = build(kind)
    if Compiled().backend_of(cell) == "reference":
        assert held(cell) == []


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", CASES)
def test_the_plan_says_all_of_axes_within_a_row(name, listed):
    listed(Reference)
    cell = in_axes(name)
    assert Compiled().backend_of(cell) == "reference"
    assert held(cell) == []


@pytest.mark.parametrize("kind", [Routed, InOrder], ids=lambda kind: kind.__name__)
def test_the_plan_says_all_of_orders_too(kind, listed):
    listed(Reference)
    cell = build(kind, 6, 8)
    assert Compiled().backend_of(cell) == "reference"
    assert held(cell) == []


def test_kernels_of_the_reference_run(listed, monkeypatch):
    """The two above would not notice if torch's operations did."""
    listed(Reference)
    launched = []
    launch = ReferenceRuntime.launch
    monkeypatch.setattr(ReferenceRuntime, "launch", lambda self, one: (launched.append(one.kernel), launch(self, one)))
    layer = rnnkit.RNN("lstm", 4, 8, unroller="compiled")
    layer(torch.randn(3, 2, 4))[0].sum().backward()
    assert launched == ["Forward", "Backward"]


def test_backends_are_asked_in_order_and_their_reasons_are_told(listed):
    class Never(Reference):
        name = "never"

        @classmethod
        def supports(cls, step, device, dtype):
            return "it never does"

    class Breaks(Reference):
        name = "breaks"

        @classmethod
        def make(cls, step):
            return Refusal("its compiler fails")

    ours = [backend.name for backend in _candidates.BACKENDS]
    listed(Never, Breaks)
    cell = build("gru", 4, 6)
    assert [unroller.backend for unroller in Compiled.variants()] == [None, "never", "breaks", *ours]
    assert Compiled().backend_of(cell) == Compiled(backend="cpp").backend_of(cell) == "cpp"
    assert Compiled(backend="torch").backend_of(cell) == "torch"
    for name, reason in (("never", "it never does"), ("breaks", "its compiler fails")):
        unroller = Compiled(backend=name)
        assert f"no native kernel: {reason}\n" in unroller.explain(cell)
        with pytest.raises(UsageError, match=f"backend='{name}' cannot run cell 'gru': {reason}; leave backend out"):
            unroller(cell, torch.zeros(1, 1, 4, dtype=torch.float64))


def test_a_kernel_elsewhere_is_chosen_by_itself(listed):
    listed(Reference)
    assert Compiled().applies(build("lstm", 4, 6))
    assert Compiled(backend="reference").applies(build("lstm", 4, 6))
    (never, *_) = (kind for kind in EVERY_ODD_CELL if kind in NEVER_RECORDED)
    assert not any(unroller.applies(build(never)) for unroller in Compiled.variants())
