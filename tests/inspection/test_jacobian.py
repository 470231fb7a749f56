"""Step Jacobians against torch.func, and their spectrum against numpy."""

import numpy as np
import pytest
import torch
from torch.func import jacrev

import rnnkit
from rnnkit.core.cell import building, starting_state, time_slice
from rnnkit.core.state_domains import random_like
from rnnkit.errors import UsageError
from rnnkit.inspection import jacobian, jacobian_spectrum, step_jacobian
from rnnkit.inspection.coordinates import flatten, unflatten
from rnnkit.inspection.jacobian import step_products
from rnnkit.plugin.cell_spec import choose

from ..core_cells import CORE_CELLS
from .odd_cells import Linear, Mixed

CELLS = [*CORE_CELLS, "zoneout(gru)", "gru(reset_after=False)", "lstm(proj_size=2)", Mixed]


def prepared(kind):
    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = choose(kind).build(3, 4, {}).eval()
        state = random_like(cell, starting_state(cell, 2))
    return cell, time_slice(cell.project(torch.randn(1, 2, 3, dtype=torch.float64)), 0), state


def by_torch(cell, p, state):
    """Return the Jacobians, each row by torch.func.jacrev."""
    start = flatten(state)

    def step(vector, row):
        mine = tuple(tensor[row : row + 1] for tensor in state)
        part = rnnkit.map_parts(lambda tensor: tensor[row : row + 1], p)
        return flatten(cell.step(part, unflatten(vector[None], mine))[1])[0]

    return torch.stack([jacrev(step)(start[row], row) for row in range(len(start))])


@pytest.mark.parametrize("kind", CELLS)
def test_the_step_jacobian_is_that_of_torch(kind):
    cell, p, state = prepared(kind)
    ours = step_jacobian(cell, p, state)
    torch.testing.assert_close(ours, by_torch(cell, p, state), rtol=0, atol=1e-10)
    assert float(ours.abs().max()) > 0.01


def test_it_is_the_same_in_one_go_and_in_several(monkeypatch):
    cell, p, state = prepared("lstm")
    whole = step_jacobian(cell, p, state)
    monkeypatch.setattr(jacobian, "ROWS", 6)
    torch.testing.assert_close(step_jacobian(cell, p, state), whole, rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", ["lstm", "gru", Mixed])
def test_products_with_vectors_need_no_matrix(kind):
    cell, p, state = prepared(kind)
    matrices = step_jacobian(cell, p, state)
    vectors = torch.randn(*matrices.shape[:2], 3, dtype=torch.float64)
    torch.testing.assert_close(step_products(cell, p, state, vectors), matrices @ vectors, rtol=0, atol=1e-12)


def test_of_a_large_cell_some_jacobians_are_computed_and_it_is_said(monkeypatch):
    every = jacobian_spectrum("gru", hidden_size=6, steps=9, batch_size=2)
    monkeypatch.setattr(jacobian, "WORK", 5 * 6**3)
    some = jacobian_spectrum("gru", hidden_size=6, steps=9, batch_size=2)
    assert some.steps.tolist() == [0, 2, 4, 6, 8]
    assert some.notes == ("Jacobians of 6 numbers take long: computed at 5 of 9 steps, in 1 row.",)
    assert some.radius == pytest.approx(every.radius, rel=0.2)


def test_a_step_that_forgets_has_a_jacobian_of_zeros():
    class Forgets(Linear):
        def step(self, p, state):
            return p, (p,)

    assert not step_jacobian(Forgets(2, 2), torch.ones(3, 2), (torch.ones(3, 2),)).any()


def test_a_state_of_integers_alone_has_no_jacobian():
    cell = Linear(2, 2)
    with pytest.raises(UsageError, match="cell 'linear' has no state of real or complex numbers"):
        step_jacobian(cell, torch.ones(1, 2), (torch.ones(1, 2, dtype=torch.int64),))


def test_the_spectrum_of_a_linear_cell_is_that_of_its_matrix():
    cell = Linear(3, 3)
    spectrum = jacobian_spectrum(cell, steps=3, batch_size=2)
    matrix = cell.matrix.detach().double().numpy()
    np.testing.assert_allclose(spectrum.singular_values["linear"], [np.linalg.svd(matrix)[1]] * 3, rtol=1e-5)
    np.testing.assert_allclose(spectrum.spectral_radius["linear"], abs(np.linalg.eigvals(matrix)).max(), rtol=1e-5)
    assert spectrum.radius == pytest.approx(abs(np.linalg.eigvals(matrix)).max(), rel=1e-5)


def test_what_is_not_finite_stays_unknown():
    cell = Linear(2, 2)
    cell.matrix.data.fill_(torch.inf)
    spectrum = jacobian_spectrum(cell, steps=2, batch_size=1)
    assert np.isnan(spectrum.spectral_radius["linear"]).all()
    assert "exploding_steps" in spectrum.advice


class Uneven(rnnkit.Cell):
    """Doubles the state of rows whose input is above 0, and quarters that of the others."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

    def step(self, p, state):
        h = torch.where(p > 0, 2.0, 0.25) * state[0] + self.weight * p
        return h, (h,)


def test_the_largest_stretch_is_that_of_any_row():
    inputs = torch.ones(6, 2, 4)
    inputs[:, 1] = -1
    spectrum = jacobian_spectrum(Uneven(4, 4), inputs)
    assert spectrum.largest == 2
    assert "by at most 2.00" in spectrum.reading
    assert spectrum.singular_values["uneven"].max() == pytest.approx((2 + 0.25) / 2)  # the mean over the rows
