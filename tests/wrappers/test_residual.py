"""Residual: the sum, with a shortcut of its own only where widths differ."""

import pytest
import torch

import rnnkit

CASES = {"same width": (4, {}), "another width": (3, {}), "projected": (4, {"proj_size": 2})}


@pytest.mark.parametrize("case", CASES)
def test_adds_the_input_to_the_output_and_leaves_the_state(build, case):
    width, options = CASES[case]
    cell = build("residual", width, inner="lstm", **options)
    xs = torch.randn(7, 2, width, dtype=torch.float64)
    loop = rnnkit.unrollers["loop"]()
    ys, last = loop(cell, xs)
    inner, expected = loop(cell.inner, xs)
    shortcut = xs if case == "same width" else xs @ cell.weight_skip.T
    torch.testing.assert_close(ys, inner + shortcut, rtol=0, atol=1e-15)
    assert all(map(torch.equal, last, expected))


def test_the_shortcut_has_parameters_only_where_widths_differ(build):
    shapes = {case: build("residual", width, **options).weight_skip for case, (width, options) in CASES.items()}
    assert shapes["same width"] is None
    assert shapes["another width"].shape == (4, 3)
    assert shapes["projected"].shape == (2, 4)


def test_the_shortcut_is_drawn_from_the_usual_interval(build):
    weight = build("residual", 16, 500).weight_skip.detach()
    assert 0.249 < weight.max() <= 0.25
    assert -0.25 <= weight.min() < -0.249
    # U(-1/4, 1/4) has variance 1/48 and fourth moment 1/1280, which tell how far a sample's variance may be off.
    assert abs(weight.var() - 1 / 48) < 4 * ((1 / 1280 - 1 / 48**2) / weight.numel()) ** 0.5


def test_the_inner_cell_is_drawn_first_so_that_a_seed_gives_it_the_same_weights(build):
    alone, wrapped = build("gru"), build("residual(gru)").inner
    assert all(map(torch.equal, alone.parameters(), wrapped.parameters()))
