"""Lyapunov exponents of systems for which they are known."""

import json
import math

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.inspection import gradient_flow, lyapunov_spectrum
from rnnkit.inspection.lyapunov import kaplan_yorke

from .odd_cells import DelayLine, Held, Linear, Lorenz

LORENZ = [0.906, 0.0, -14.572]  # Sprott, "Chaos and Time-Series Analysis", 2003, for 10, 28, 8/3


def test_those_of_a_linear_cell_are_the_logarithms_of_its_eigenvalues():
    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = Linear(2, 4)
    basis = torch.randn(4, 4, dtype=torch.float64)
    values = torch.tensor([1.1, 0.8, -0.5, 0.1], dtype=torch.float64)
    cell.matrix.data = basis @ torch.diag(values) @ basis.inverse()
    spectrum = lyapunov_spectrum(cell, steps=120, warm_up=80, batch_size=2)
    np.testing.assert_allclose(spectrum.exponents["linear"], np.log(abs(values.numpy())), rtol=0, atol=1e-6)
    assert spectrum.sums["linear"] == pytest.approx(math.log(float(cell.matrix.detach().det().abs())), abs=1e-9)
    assert spectrum.verdict == "chaotic"  # neighbours part, as they do in chaos


def lorenz(rows, steps):
    with building(None, torch.float64):
        cell = Lorenz(1, 3)
    spectrum = lyapunov_spectrum(cell, steps=steps, batch_size=rows)
    return spectrum, spectrum.exponents["lorenz"] / Lorenz.dt


def test_those_of_lorenz_are_roughly_right():
    spectrum, exponents = lorenz(rows=40, steps=600)
    np.testing.assert_allclose(exponents, LORENZ, atol=0.15)
    assert exponents.sum() == pytest.approx(-(10 + 1 + 8 / 3), rel=1e-4)  # the trace of the flow's Jacobian
    assert spectrum.verdict == "chaotic"
    assert "it is chaotic" in spectrum.reading


@pytest.mark.slow
def test_those_of_lorenz_are_right_to_one_in_a_hundred():
    spectrum, exponents = lorenz(rows=256, steps=5000)
    np.testing.assert_allclose(exponents, LORENZ, rtol=0.01, atol=0.01)
    assert spectrum.dimensions["lorenz"] == pytest.approx(2.062, abs=0.005)
    errors = spectrum.errors["lorenz"] / Lorenz.dt
    assert abs(exponents[0] - LORENZ[0]) < 4 * errors[0]


def test_the_largest_is_the_slope_of_the_gradient():
    sizes = {"input_size": 3, "hidden_size": 6, "batch_size": 4}
    spectrum = lyapunov_spectrum("gru", steps=150, **sizes)
    assert spectrum.largest == pytest.approx(gradient_flow("gru", steps=150, **sizes).slope, rel=0.05)
    assert spectrum.verdict == "stable"


def test_what_is_forgotten_at_once_is_minus_infinity_and_null():
    spectrum = lyapunov_spectrum(DelayLine(1, 3), steps=8, batch_size=1)
    assert np.isneginf(spectrum.exponents["delayline"][-1])
    written = spectrum.to_json()
    assert written["exponents"]["delayline"][-1] is None
    json.dumps(written, allow_nan=False)


@pytest.mark.parametrize(
    ("exponents", "dimension"),
    [([-1.0, -2.0], 0.0), ([0.906, 0.0, -14.572], 2 + 0.906 / 14.572), ([0.5, -0.2], 2.0), ([0.0, -1.0], 1.0)],
)
def test_the_kaplan_yorke_dimension(exponents, dimension):
    assert kaplan_yorke(np.array(exponents), len(exponents)) == pytest.approx(dimension)


def test_some_exponents_are_the_largest_ones_of_all():
    sizes = {"input_size": 3, "hidden_size": 6, "steps": 120, "batch_size": 2}
    every, some = (lyapunov_spectrum("lstm", exponents=count, **sizes) for count in (None, 3))
    np.testing.assert_allclose(some.exponents["lstm"], every.exponents["lstm"][:3], atol=0.05)
    assert some.notes == ("lstm: the 3 largest of 12 exponents; the others left out.",)
    assert math.isnan(some.sums["lstm"])
    assert some.to_json()["sums"]["lstm"] is None
    assert some.dimensions["lstm"] == 0
    assert math.isnan(kaplan_yorke(np.array([0.5, 0.1]), 4))


def test_a_warm_up_leaves_some_steps():
    with pytest.raises(UsageError, match="warm_up is 5; it must leave some of the 5 steps"):
        lyapunov_spectrum("rnn", steps=5, warm_up=5)


def test_a_frozen_map_at_its_fixed_point_is_neutral():
    with building(None, torch.float64):
        cell = Linear(1, 2)
    cell.matrix.data = torch.eye(2, dtype=torch.float64)
    spectrum = lyapunov_spectrum(cell, steps=8, batch_size=1)
    assert spectrum.largest == pytest.approx(0, abs=1e-12)
    assert spectrum.verdict == "neutral"


def test_layers_have_exponents_of_their_own():
    layer = rnnkit.RNN("rnn", 2, [3, 4], 2)
    spectrum = lyapunov_spectrum(layer, steps=6, batch_size=1)
    assert {name: len(values) for name, values in spectrum.exponents.items()} == {"rnn_l0": 3, "rnn_l1": 4}


def test_few_steps_are_said():
    assert "Exponents of only 6 steps say little; take some hundred steps." in lyapunov_spectrum("gru", steps=8).notes
    assert lyapunov_spectrum("gru", steps=80).notes == ()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_an_exponent_that_is_zero_but_for_rounding_is_no_chaos(dtype):
    """What is carried on as it is, and what is turned."""

    class Turned(rnnkit.Cell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.turn = torch.nn.Parameter(torch.linalg.qr(torch.randn(hidden_size, hidden_size)).Q)

        def step(self, p, state):
            h = state[0] @ self.turn + p.sum(-1, keepdim=True)
            return h, (h,)

    for seed in range(4):
        torch.manual_seed(seed)
        for cell in (Turned(3, 5).to(dtype), Held(3, 5).to(dtype)):
            spectrum = lyapunov_spectrum(cell, steps=100)
            assert spectrum.verdict == "neutral"
            assert spectrum.reading == (
                "The largest exponent is 0 per step, so neighbouring states keep their distance: it is neither stable "
                "nor chaotic."
            )
