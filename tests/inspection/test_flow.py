"""Gradient flow against closed forms and against autograd by hand."""

import math
import re

import numpy as np
import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.inspection import gradient_flow

from .odd_cells import DelayLine, Linear, Mixed, Numbers


def linear(radius, size=4):
    """Return a linear cell whose matrix has the given spectral radius, and is not normal."""
    torch.manual_seed(1)
    with building(None, torch.float64):
        cell = Linear(size, size)
    basis = torch.randn(size, size, dtype=torch.float64)
    values = radius * torch.tensor([1.0, 0.5, -0.4, 0.2], dtype=torch.float64)
    cell.matrix.data = basis @ torch.diag(values) @ basis.inverse()
    return cell


@pytest.mark.parametrize("radius", [0.7, 1.0, 1.2])
def test_the_slope_of_a_linear_cell_is_the_logarithm_of_its_spectral_radius(radius):
    flow = gradient_flow(linear(radius), steps=80)
    assert flow.slope == pytest.approx(math.log(radius), abs=1e-6)
    assert flow.slopes["h"] == flow.slope
    if radius < 1:
        assert flow.half_life == pytest.approx(math.log(2) / -math.log(radius), rel=1e-4)


@pytest.mark.parametrize(("radius", "verdict"), [(0.7, "vanishing"), (1.0, "steady"), (1.2, "exploding")])
def test_it_is_called_what_it_is(radius, verdict):
    flow = gradient_flow(linear(radius), steps=80)
    assert flow.verdict == verdict
    assert (verdict == "steady") == (verdict not in flow.reading)


def test_norms_are_those_of_powers_of_the_matrix():
    cell = linear(0.9)
    weights = torch.randn(4, dtype=torch.float64)
    flow = gradient_flow(cell, steps=5, loss=lambda ys: (ys[-1] * weights).sum())
    matrix = cell.matrix.detach()
    expected = [float((torch.linalg.matrix_power(matrix, k).t() @ weights).norm()) for k in range(1, 6)]
    np.testing.assert_allclose(flow.norms["h"], expected, rtol=1e-12)
    np.testing.assert_array_equal(flow.lags, [1, 2, 3, 4, 5])


def test_a_delay_line_is_reached_at_one_lag_alone():
    flow = gradient_flow(DelayLine(2, 5), steps=12)
    assert flow.verdict == "cut off"
    assert flow.reach == 5
    assert np.flatnonzero(flow.total).tolist() == [0, 1, 2, 3, 4]
    assert "exactly zero from 6 steps back" in flow.reading


class Forgets(Linear):
    def step(self, p, state):
        h = p.sum(-1, keepdim=True) * self.matrix[0]
        return h, (h,)


def test_a_cell_that_reads_no_state_has_no_gradient():
    flow = gradient_flow(Forgets(2, 3), steps=4)
    assert flow.verdict == "absent"
    assert not flow.total.any()
    assert math.isnan(flow.slope)


def test_lstm_gradients_are_those_of_autograd_by_hand():
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", 3, 4, dtype=torch.float64)
    cell = nn.LSTMCell(3, 4, dtype=torch.float64)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(cell, name).data = getattr(layer, f"{name}_l0").data
    xs = torch.randn(5, 2, 3, dtype=torch.float64)
    flow = gradient_flow(layer, xs, loss=lambda ys: ys[-1].sum())
    h = c = torch.zeros(2, 4, dtype=torch.float64)
    kept = []
    for x in xs:
        h, c = (t.detach().requires_grad_() if not t.requires_grad else t.view_as(t) for t in (h, c))
        kept.append((h, c))
        h, c = cell(x, (h, c))
    gradients = torch.autograd.grad(h.sum(), [t for pair in kept for t in pair])
    norms = np.array([float(g.norm(dim=1).mean()) for g in gradients]).reshape(5, 2)[::-1]
    np.testing.assert_allclose(flow.norms["h"], norms[:, 0], rtol=1e-10)
    np.testing.assert_allclose(flow.norms["c"], norms[:, 1], rtol=1e-10)


def test_of_a_bidirectional_layer_each_direction_goes_back_from_its_own_end():
    torch.manual_seed(0)
    layer = rnnkit.RNN("gru", 3, 4, bidirectional=True, dtype=torch.float64)
    one = rnnkit.RNN("gru", 3, 4, dtype=torch.float64)
    one.load_state_dict({n.removesuffix("_reverse"): t for n, t in layer.state_dict().items() if "reverse" in n})
    xs = torch.randn(7, 2, 3, dtype=torch.float64)
    weights = torch.randn(4, dtype=torch.float64)
    both = gradient_flow(layer, xs, loss=lambda ys: (ys[0, :, 4:] * weights).sum())
    alone = gradient_flow(one, xs.flip(0), loss=lambda ys: (ys[-1] * weights).sum())
    np.testing.assert_allclose(both.norms["h_l0_reverse"], alone.norms["h"], rtol=1e-12)
    assert not both.norms["h_l0"].any()


def test_a_task_judges_a_model_at_its_last_step():
    torch.manual_seed(0)
    task = Numbers()
    model = rnnkit.Model(task, "rnn", 4)
    batch = task.batch(5, torch.Generator().manual_seed(3))
    by_task = gradient_flow(model, task=task, batch=batch)
    by_hand = gradient_flow(model, batch.xs, loss=lambda ys: task.loss(ys[-1:], batch.targets[-1:]))
    np.testing.assert_array_equal(by_task.total, by_hand.total)


def test_integers_are_left_out_and_it_is_said():
    flow = gradient_flow(Mixed(3, 4), steps=5)
    assert list(flow.norms) == ["outer", "wave"]
    assert flow.notes == ("mixed: state count holds no real or complex numbers and is left out.",)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"loss": lambda ys: ys}, r"the loss is \(6, 2, 4\); it must be one real number"),
        ({"loss": "sum"}, "the loss is a str; give a function"),
        ({"steps": 0}, "steps is 0; it must be a whole number >= 1"),
        ({"seed": -1}, "seed is -1"),
        ({"hidden": 3}, "cell 'lstm' has no option 'hidden'"),
        ({"task": Numbers()}, "task 'numbers' judges a Model; lstm has no readout"),
        ({"inputs": torch.zeros(3, 2)[..., None].expand(3, 2, 5)}, "the input has 5 features a step; input_size is 3"),
        ({"inputs": torch.zeros(3, 2, 3, 1)}, r"lstm: the inputs have shape \(3, 2, 3, 1\); they must be"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_one_sentence(arguments, problem):
    sizes = {"input_size": 3, "hidden_size": 4, "steps": 6, "batch_size": 2}
    with pytest.raises(UsageError, match=problem):
        gradient_flow("lstm", **{**sizes, **arguments})


@pytest.mark.parametrize("subject", [torch.nn.LSTM(2, 3), 7, None])
def test_what_is_no_subject_is_refused(subject):
    with pytest.raises(UsageError, match="the subject is a"):
        gradient_flow(subject)


def test_options_do_not_go_with_what_has_been_built():
    with pytest.raises(UsageError, match="'hidden_size' goes with a cell's name or class"):
        gradient_flow(Linear(2, 3), hidden_size=4)


def test_what_is_left_is_at_the_last_lag_as_a_share_of_the_first():
    flow = gradient_flow(linear(0.5), steps=5)
    assert flow.left == flow.total[4] / flow.total[0]
    assert flow.reading.endswith(f"5 steps back {flow.left:.4f} of it is left.")


@pytest.mark.parametrize(
    ("radius", "steps", "verdict"), [(0.95, 20, "steady"), (0.7, 12, "fading"), (0.7, 60, "vanishing")]
)
def test_what_has_mostly_gone_is_not_steady(radius, steps, verdict):
    flow = gradient_flow(linear(radius), steps=steps)
    assert flow.verdict == verdict
    assert (flow.advice == "Nothing needs to be done.") == (verdict == "steady")


def test_too_few_steps_and_another_loss_are_said():
    assert gradient_flow("gru", steps=1).reading == "The sequence is too short to say how the gradient changes."
    early = gradient_flow("gru", loss=lambda ys: ys[0].sum())
    assert early.verdict == "elsewhere"
    assert "is no loss of the last step" in early.reading
    for flow in (gradient_flow("gru", steps=1), early):
        assert "unknown" not in flow.reading


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_is_too_small_to_be_held_is_vanishing_and_not_cut_off(dtype):
    """A gradient that halves at each step, over more steps than the dtype has powers of two."""
    steps = 250 if dtype == torch.float32 else 1200
    cell = linear(0.5).to(dtype)
    flow = gradient_flow(cell, torch.zeros(steps, 1, cell.input_size, dtype=dtype))
    assert flow.underflows
    assert flow.verdict == "vanishing"
    assert flow.slope == pytest.approx(math.log(0.5), rel=1e-3)
    assert re.fullmatch(r"Far back .* steps back less than 1.[25]e-\d+ of it is left: it is vanishing.", flow.reading)
    assert "is vanishing" in flow.reading


def test_what_is_cut_off_is_exactly_zero_far_back():
    flow = gradient_flow(DelayLine, steps=20, hidden_size=4, loss=lambda ys: ys[-1].sum())
    assert (flow.verdict, flow.pace) == ("cut off", "are exactly zero")
