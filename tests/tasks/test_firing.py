"""Firing: a spike at one step after each that is given, and at no other."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError

Firing = rnnkit.tasks["firing"]


@pytest.mark.parametrize(("interval", "spikes"), [(1, 1), (9, 4), (49, 1)])
def test_what_is_asked_for_comes_so_many_steps_after_what_is_given(interval, spikes):
    batch = Firing(interval=interval, spikes=spikes).batch(3, torch.Generator())
    assert batch.xs.shape == batch.targets.shape == (spikes * (interval + 1), 3, 1)
    for given, asked in zip(batch.xs[..., 0].t(), batch.targets[..., 0].t(), strict=True):
        assert given.nonzero().flatten().tolist() == [k * (interval + 1) for k in range(spikes)]
        assert asked.nonzero().flatten().tolist() == [k * (interval + 1) + interval for k in range(spikes)]


def test_the_error_is_that_of_silence_of_a_constant_and_none():
    task = Firing(interval=9, spikes=2)
    (batch,) = task.validation()
    baselines = task.baselines()
    constants = torch.linspace(-1, 1, 2001, dtype=torch.float64)
    errors = [
        float(task.metric(torch.full_like(batch.targets, c, dtype=torch.float64), batch.targets)) for c in constants
    ]
    assert min(errors) == pytest.approx(baselines["constant"], abs=1e-9)
    assert float(task.metric(torch.zeros_like(batch.targets), batch.targets)) == baselines["silence"]
    assert float(task.metric(batch.targets, batch.targets)) == 0


def test_a_unit_with_peepholes_can_do_it_exactly():
    """The cell counts steps, a spike that is given sets it back, and the output gate opens at the count of 50."""
    task = Firing(interval=49, spikes=3)
    (batch,) = task.validation()
    model = rnnkit.Model(task, "peephole", 1).double()
    cell, large = model.layer.cells[0], 60.0
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        i, f, g, o = range(4)
        cell.bias_ih[[i, g]] = large  # one is added at each step
        cell.bias_ih[f], cell.weight_ih[f] = large, -3 * large  # what was counted is forgotten where a spike is given
        cell.peephole_o.fill_(large)
        cell.bias_ih[o] = -large * 49.5
        model.readout.weight.fill_(1)
        outputs = model(batch.xs.double())[0]
    assert float(task.metric(outputs, batch.targets)) < 1e-9


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"spikes": 0}, "spikes is 0; it must be a whole number >= 1"),
        ({"spikes": 1001}, "spikes is 1001; it must be 1000 or less"),
        ({"interval": 10_001}, "interval is 10001; it must be 10000 or less"),
    ],
)
def test_bad_options(options, sentence):
    with pytest.raises(UsageError, match=f"task 'firing': {sentence}"):
        Firing(**options)
