"""The averaged weights: an exponential mean over the updates, by hand."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.training.averaging import averaged

from ..core_cells import CORE_CELLS


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.999])
def test_the_mean_by_hand(decay):
    model = nn.Linear(2, 3).double()
    mean, expected = averaged(model, decay), None
    for step in range(6):
        with torch.no_grad():
            model.weight.fill_(step**2)
        mean.update_parameters(model)
        expected = 0.0 if step == 0 else decay * expected + (1 - decay) * step**2
        torch.testing.assert_close(mean.module.weight, torch.full_like(model.weight, expected), rtol=1e-14, atol=0)


def test_what_is_no_parameter_is_averaged_too():
    model = nn.Linear(1, 1)
    model.register_buffer("scale", torch.zeros(1))
    mean = averaged(model, 0.75)
    mean.update_parameters(model)
    model.scale.fill_(4.0)
    mean.update_parameters(model)
    assert mean.module.scale.item() == 1.0


def test_the_model_is_left_alone():
    model = rnnkit.RNN("lstm", 2, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    mean = averaged(model, 0.9)
    mean.update_parameters(model)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert mean.module is not model
    assert list(mean.module.state_dict()) == list(before)


@pytest.mark.parametrize("cell", CORE_CELLS)
def test_every_cell_can_be_averaged_and_then_runs(cell):
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, 2, 3, num_layers=2, unroller="loop")
    mean, xs = averaged(layer, 0.5), torch.randn(4, 2, 2)
    layer(xs)
    mean.update_parameters(layer)
    layer.eval()
    mean.eval()
    assert torch.equal(mean.module(xs)[0], layer(xs)[0])
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(1.0)
    mean.update_parameters(layer)
    for name, parameter in mean.module.named_parameters():
        torch.testing.assert_close(parameter, layer.get_parameter(name) - 0.5, msg=name)


@pytest.mark.parametrize("decay", [0, 1, -0.1, 1.5, float("nan"), "much", None])
def test_a_decay_that_makes_no_sense(decay):
    with pytest.raises(UsageError, match=r"average is .*; it must be a decay above 0 and below 1"):
        averaged(nn.Linear(1, 1), decay)
