"""Principal components against scikit-learn's."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

import rnnkit
from rnnkit.inspection import record, state_trajectory

from .odd_cells import Linear, Mixed


def test_components_are_those_of_scikit_learn():
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", 3, 5, 2, dtype=torch.float64)
    paths = state_trajectory(layer, components=4, steps=30, batch_size=3)
    states = record(layer, steps=30, batch_size=3).states
    points = np.concatenate([states[name].reshape(90, -1) for name in ("h_l0", "c_l0", "h_l1", "c_l1")], 1)
    theirs = PCA(4).fit(points)
    np.testing.assert_allclose(paths.explained, theirs.explained_variance_ratio_, rtol=1e-9)
    np.testing.assert_allclose(abs(paths.components @ theirs.components_.T), np.eye(4), atol=1e-7)
    np.testing.assert_allclose(abs(paths.projections.reshape(90, 4)), abs(theirs.transform(points)), atol=1e-9)
    assert paths.coordinates[:2] == ("h_l0[0]", "h_l0[1]")
    assert len(paths.coordinates) == points.shape[1]


def test_a_complex_number_is_two_and_a_whole_one_none():
    paths = state_trajectory(Mixed, components=2, steps=4, input_size=2, hidden_size=3)
    assert paths.coordinates == (*(f"outer[{k}]" for k in range(6)), *(f"wave[{k}]" for k in range(6)))
    assert any("state count" in note for note in paths.notes)


def test_states_that_stand_still_are_said_to():
    paths = state_trajectory(Linear(1, 3), torch.zeros(5, 2, 1))
    assert paths.reading == "The states, 3 numbers each, do not move at all."
    assert not paths.explained.any()
    assert paths.dimension == 0


def test_one_unit_has_one_component():
    paths = state_trajectory("rnn", input_size=2, hidden_size=1, steps=5)
    assert paths.explained == pytest.approx([1.0])
    assert paths.plot().get_xlabel() == "component 1 (100 %)"
