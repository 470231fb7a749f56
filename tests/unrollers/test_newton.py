"""Newton's method over time: the theorem, convergence, falling back, and what is told of it."""

import warnings

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.testing import differences
from rnnkit_unrollers import newton
from rnnkit_unrollers.newton import Newton

from ..compiler.structure.shaped_cells import Base, Counter, Detached, Heads, NonlinearInOnePart, Shifted, Sorted

Loop = rnnkit.unrollers["loop"]
D, H, T = 3, 6, 12


def build(kind):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return kind(D, H)


class Chaotic(Base):
    """Far from the solution, and with states that run away from each other."""

    def step(self, p, state):
        (h,) = state
        h = torch.sin(8 * (h @ self.across.weight) + p)
        return h, (h,)


@pytest.mark.parametrize("kind", [Heads, NonlinearInOnePart, Shifted, Detached, Sorted], ids=lambda kind: kind.__name__)
def test_third_party_cells_obey_the_law(kind):
    cell = build(kind)
    assert Newton().applies(cell)
    for steps in (1, 2, 11):
        masks = {"lengths": torch.randint(1, steps + 1, (2,)), "reset": torch.rand(steps, 2) < 0.3}
        assert list(differences(Newton(), cell, steps, 2, 1e-10)) == []
        assert list(differences(Newton(), cell, steps, 2, 1e-10, **masks)) == []


def test_each_iteration_brings_a_step_more_of_the_loop(monkeypatch):
    """So T iterations are enough, whatever the guess and the cell."""
    guesses, residual = [], newton._residual
    monkeypatch.setattr(newton, "_residual", lambda row, guess: guesses.append(guess) or residual(row, guess))
    cell, xs = build(Chaotic), torch.randn(T, 2, D, dtype=torch.float64)
    expected, _ = Loop()(cell, xs)
    unroller = Newton(iterations=T)
    ys, _ = unroller(cell, xs)
    assert 2 < len(guesses) <= T + 1
    for count, guess in enumerate(guesses):
        torch.testing.assert_close(guess[:count], expected[:count], rtol=0, atol=1e-9)
    assert (guesses[1] - expected).abs().amax() > 0.1
    torch.testing.assert_close(ys, expected, rtol=0, atol=1e-9)
    assert not unroller.report.fell_back


def test_what_does_not_converge_is_run_by_the_loop_and_said_once():
    cell, xs = build(Chaotic), torch.randn(T, 2, D, dtype=torch.float64, requires_grad=True)
    unroller = Newton(iterations=2)
    with pytest.warns(UserWarning, match="'newton': cell 'chaotic' does not converge in 2 iterations, its residual is"):
        ys, _ = unroller(cell, xs)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        unroller(cell, xs)
    expected, _ = Loop()(cell, xs)
    assert torch.equal(ys, expected)
    assert unroller.report.fell_back.startswith("does not converge")
    wanted = [xs, *cell.parameters()][:2]
    pairs = (torch.autograd.grad(out.cos().sum(), wanted) for out in (ys, expected))
    torch.testing.assert_close(*pairs)


class Explosive(Base):
    """Overflows where the guess is far off: its own states are small."""

    def step(self, p, state):
        (h,) = state
        h = torch.tanh(p) - 1e-3 * torch.exp(h * 3)
        return h, (h,)


def test_guesses_that_are_not_finite_begin_anew():
    cell, xs = build(Explosive), torch.randn(T, 2, D, dtype=torch.float64)
    far = (torch.full((2, H), 232.0, dtype=torch.float64),)
    found, expected = Newton()(cell, xs, far)[0], Loop()(cell, xs, far)[0]
    assert expected[0].abs().amax() > 1e290
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("dtype", "most"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
def test_the_report_tells_iterations_and_residual(dtype, most):
    torch.manual_seed(0)
    layer = rnnkit.RNN("gru", D, H, unroller="newton", dtype=dtype)
    layer(torch.randn(100, 2, D, dtype=dtype))
    report = layer.unroller.report
    assert set(report.iterations) == {"h"}
    assert 2 <= report.iterations["h"] <= 12
    assert 0 <= report.residual <= most
    assert layer.unroller.explain(layer.cells[0]).splitlines()[-1] == f"last call: {report}"
    assert str(report) == f"iterations: {report.iterations['h']} for h; residual {report.residual:.1e}"


def test_what_cannot_be_recorded_goes_to_the_loop():
    cell, xs = build(Counter), torch.randn(4, 2, D, dtype=torch.float64)
    unroller = Newton()
    assert not unroller.applies(cell)
    assert torch.equal(unroller(cell, xs)[0], Loop()(cell, xs)[0])
    assert str(unroller.report) == "the loop ran: t holds whole numbers"
    assert unroller.explain(cell) == "the loop runs: t holds whole numbers"


def test_a_linear_stage_takes_one_iteration():
    unroller = Newton()
    unroller(build(rnnkit.cells["mingru"]), torch.randn(50, 2, D, dtype=torch.float64))
    assert unroller.report.iterations == {"h": 1}


def test_bad_options_are_named():
    with pytest.raises(UsageError, match="unroller 'newton': iterations is 0"):
        Newton(iterations=0)
    assert str(Newton(iterations=7)) == "newton(iterations=7)"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_small_states_are_solved_as_well_as_large_ones(dtype):
    """Of an oscillator in small steps of time; errors are relative to the largest state, as the residual is."""
    torch.manual_seed(0)
    cell, xs = rnnkit.cells["cornn"](D, H, dt=1e-3).to(dtype), torch.randn(6, 2, D, dtype=dtype)
    found, expected = (torch.cat(unroller(cell, xs)[1]) for unroller in (Newton(), Loop()))
    largest = expected.abs().amax()
    assert largest < 1e-2
    assert (found - expected).abs().amax() <= 100 * torch.finfo(dtype).eps * largest
