"""Trials are of states that steps lead to: right kernels of a variance are used, and wrong ones found."""

import logging

import pytest
import torch

import rnnkit
from rnnkit_compiler.backends.triton import draw, trust

from ..variance_cells import Given, Nowhere, Variance
from .test_trust import NUMBERS, fresh, plant  # noqa: F401

VARIANCES = {kind: lambda kind=kind: Variance(kind) for kind in ("root", "log", "power", "acosh")}
CELLS = {**VARIANCES, "of the input": Given}

pytestmark = pytest.mark.usefixtures("fresh")


def called(cell, times=1):
    """Call a cell by kernels that are tried before, and return what is known of these."""
    unroller = rnnkit.unrollers["compiled"](backend="triton", kernel="sequence")
    with torch.no_grad():
        for _ in range(times):
            unroller(cell, torch.randn(2, 2, 3, dtype=next(cell.parameters()).dtype))
    (line,) = [line for line in unroller.explain(cell).splitlines() if line.startswith("trust in ")]
    return line.removeprefix("trust in sequence: ")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", CELLS)
def test_right_kernels_are_used(name, dtype, caplog):
    torch.manual_seed(0)
    assert "equal within rounding" in called(CELLS[name]().to(dtype))
    assert not caplog.records


@pytest.mark.parametrize("name", CELLS)
def test_wrong_ones_are_found(name, monkeypatch):
    stage = "forward_1" if name == "of the input" else "forward_0"
    plant(monkeypatch, stage, "tanh(", "sigmoid(")
    torch.manual_seed(0)
    assert called(CELLS[name]()) == NUMBERS


class Normed(rnnkit.Cell):
    """Its running mean and variance have no gradient."""

    def __init__(self):
        super().__init__(3, 5)
        self.read = torch.nn.Linear(8, 5)
        self.norm = torch.nn.BatchNorm1d(5).eval()

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(self.norm(self.read(torch.cat([x, h], dim=1))))
        return h, (h,)


def test_no_gradient_is_asked_of_what_has_none(caplog):
    torch.manual_seed(0)
    assert "equal within rounding" in called(Normed().double().eval())
    assert not caplog.records


def test_wrong_kernels_of_what_has_none_are_found(monkeypatch):
    plant(monkeypatch, "forward_0", "tanh(", "sigmoid(")
    torch.manual_seed(0)
    assert called(Normed().double().eval()) == NUMBERS


@pytest.mark.parametrize("function", ["restart", "ended"])
def test_wrong_rows_are_found(function, monkeypatch):
    right, wrong = {"restart": ("!= 0", "== 2"), "ended": ("(run == 0)", "(run == 2)")}[function]
    plant(monkeypatch, f"forward_{function}", right, wrong)
    torch.manual_seed(0)
    assert called(VARIANCES["root"]()) == NUMBERS


def test_numbers_that_are_nowhere_finite_prove_nothing(caplog):
    torch.manual_seed(0)
    cell = Nowhere()
    with caplog.at_level(logging.WARNING):
        for _ in range(trust.PATIENCE - 1):
            assert called(cell).startswith("not yet compared")
        assert not caplog.records
        assert "torch's operations give no finite number either" in called(cell)
    assert len(caplog.records) == 1
    assert not [*trust.VERDICTS.folder.glob("*.json")]


def test_rows_of_a_batch_have_states_of_their_own(monkeypatch):
    drawn = []
    own = draw.draw
    monkeypatch.setattr(trust, "draw", lambda *given: (drawn.append(own(*given)), drawn[-1])[1])
    torch.manual_seed(0)
    called(Variance("root"))
    (h, v), initial = drawn[0].tensors.states, drawn[0].tensors.initial
    assert drawn[0].doubts == 0
    assert (v > 0).all()
    assert (initial[1] > 0).all()
    for states in (h, v, *initial):
        assert torch.unique(states, dim=0).shape == states.shape
        assert states.std(0).min() > 0.05 * states.abs().max()
