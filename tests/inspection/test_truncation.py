"""Truncated gradients against those of rnnkit.train's windows and against finite truth."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.inspection import truncation_bias

from .odd_cells import DelayLine, Forgetful, Numbers


def flat(tensors):
    return torch.cat([tensor.flatten() for tensor in tensors])


def by_windows(model, task, batch, k):
    """Return the gradient of truncated BPTT as it is learnt: one window after another, the state detached."""
    steps = len(batch.xs)
    total, state = None, None
    for start in range(0, steps, k):
        outputs, state = model(batch.xs[start : start + k], state)
        part = outputs[: len(outputs)]
        loss = (part - batch.targets[start : start + k]).square().sum() / batch.targets.numel()
        gradient = flat(torch.autograd.grad(loss, list(model.parameters())))
        total = gradient if total is None else total + gradient
        state = tuple(t.detach() for t in state) if isinstance(state, tuple) else state.detach()
    return total


def test_the_gradients_are_those_of_training_on_windows():
    torch.manual_seed(0)
    task = Numbers(seq_len=11)
    model = rnnkit.Model(task, "lstm", 4, num_layers=2).double()
    batch = task.batch(3, torch.Generator().manual_seed(1))
    batch = batch._replace(xs=batch.xs.double(), targets=batch.targets.double())
    bias = truncation_bias(model, task=task, batch=batch, windows=[1, 3, 4])
    whole = by_windows(model, task, batch, 11)
    assert bias.windows.tolist() == [1, 3, 4, 11]
    for k, cosine, ratio in zip(bias.windows, bias.cosine, bias.norm_ratio, strict=True):
        truncated = by_windows(model, task, batch, int(k))
        assert cosine == pytest.approx(float(truncated @ whole / truncated.norm() / whole.norm()), abs=1e-10)
        assert ratio == pytest.approx(float(truncated.norm() / whole.norm()), rel=1e-9)


def test_the_whole_window_is_the_whole_gradient(every_subject):
    subject, small = every_subject
    if isinstance(subject, str | torch.nn.Module):
        bias = truncation_bias(subject, **small)
        assert bias.cosine[-1] == pytest.approx(1, abs=1e-12)
        assert bias.norm_ratio[-1] == pytest.approx(1, abs=1e-12)


def test_one_target_a_sequence_is_learnt_from_the_last_steps():
    torch.manual_seed(0)
    task = rnnkit.tasks["adding"](seq_len=9)
    model = rnnkit.Model(task, "gru", 4).double()
    batch = task.batch(5, torch.Generator().manual_seed(1))
    batch = batch._replace(xs=batch.xs.double(), targets=batch.targets.double())
    bias = truncation_bias(model, task=task, batch=batch, windows=[2])
    parameters = list(model.parameters())
    whole = flat(torch.autograd.grad(task.loss(model(batch.xs)[0][-1], batch.targets), parameters))
    state = model(batch.xs[:7])[1].detach()
    last = flat(torch.autograd.grad(task.loss(model(batch.xs[7:], state)[0][-1], batch.targets), parameters))
    assert bias.cosine[0] == pytest.approx(float(last @ whole / last.norm() / whole.norm()), abs=1e-10)


def test_a_gradient_cut_in_both_directions_is_neither_direction_alone():
    torch.manual_seed(0)
    layer = rnnkit.RNN("rnn", 2, 3, bidirectional=True, dtype=torch.float64)
    xs = torch.randn(6, 2, 2, dtype=torch.float64)
    weights = torch.randn(6, 2, 6, dtype=torch.float64)
    both = truncation_bias(layer, xs, windows=[3], loss=lambda ys: (ys * weights).sum())
    alone = rnnkit.RNN("rnn", 2, 3, dtype=torch.float64)
    alone.load_state_dict({n.removesuffix("_reverse"): t for n, t in layer.state_dict().items() if "reverse" in n})
    backward = truncation_bias(alone, xs.flip(0), windows=[3], loss=lambda ys: (ys * weights[..., 3:].flip(0)).sum())
    forward = truncation_bias(layer, xs, windows=[3], loss=lambda ys: (ys[..., :3] * weights[..., :3]).sum())
    reverse = truncation_bias(layer, xs, windows=[3], loss=lambda ys: (ys[..., 3:] * weights[..., 3:]).sum())
    np.testing.assert_allclose(reverse.cosine, backward.cosine, rtol=1e-12)
    assert min(forward.cosine[0], reverse.cosine[0]) < both.cosine[0] < max(forward.cosine[0], reverse.cosine[0])


def test_a_loss_without_parameters_has_no_angle():
    bias = truncation_bias(DelayLine(2, 3), steps=4)
    assert np.isnan(bias.cosine).all()
    assert "zero or not finite" in bias.reading


def test_windows_that_are_none_are_refused():
    with pytest.raises(UsageError, match="windows has 9; the sequence has 4 steps"):
        truncation_bias("rnn", steps=4, windows=[9])
    with pytest.raises(UsageError, match="windows: k is 0"):
        truncation_bias("rnn", steps=4, windows=[0])


def test_what_differs_by_nothing_does_not_fill_the_picture():
    """Of a cell without a memory every window has nearly the whole gradient."""
    bias = truncation_bias(Forgetful, steps=16)
    assert bias.cosine == pytest.approx(1)
    near = np.linspace(0.9999, 1, len(bias.windows))
    low, high = replace(bias, cosine=near, norm_ratio=near).plot().get_ylim()
    assert low <= 0.95
    assert high >= 1.05
