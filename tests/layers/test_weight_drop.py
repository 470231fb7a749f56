"""Weight drop: one mask of the weight a call of the layer, on every cell that has it."""

import copy

import pytest
import torch
from torch.nn.utils import parametrize

import rnnkit
from rnnkit.layers.weight_drop import WeightDrop, weight_drop

from ..core_cells import CORE_CELLS

CELLS = [name for name in CORE_CELLS if "weight_hh" in str([n for n, _ in rnnkit.cells[name](2, 2).named_parameters()])]
every_cell = pytest.mark.parametrize("cell", CELLS)
STACK = {"num_layers": 2, "bidirectional": True, "unroller": "loop"}  # what is dropped is the layer's business
NAMES = ["weight_hh_l0", "weight_hh_l0_reverse", "weight_hh_l1", "weight_hh_l1_reverse"]


def build(cell="rnn", **options):
    torch.manual_seed(0)
    return rnnkit.RNN(cell, 3, 8, **STACK | options)


def dropped(cell="rnn", rate=0.5, **options):
    layer = build(cell, **options)
    weight_drop(layer, rate)
    return layer


def results(layer, steps=9):
    """Run from a seed: the output, and the gradient of every parameter in torch's order of names."""
    torch.manual_seed(1)
    ys, _ = layer(torch.randn(steps, 2, 3))
    parameters = {
        name.replace("parametrizations.", "").replace(".original", ""): p for name, p in layer.named_parameters()
    }
    gradients = torch.autograd.grad(ys.sin().sum(), list(parameters.values()))
    return {"output": ys, **dict(zip(parameters, gradients, strict=True))}


def assert_same_bits(found, expected):
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


def test_every_cell_is_here():
    assert set(CELLS) >= {"gru", "layernorm", "lstm", "peephole", "rnn", "zoneout"}


def test_one_mask_serves_every_step():
    layer = dropped(num_layers=1, bidirectional=False, dtype=torch.float64)
    xs, h = torch.randn(9, 2, 3, dtype=torch.float64), torch.randn(1, 2, 8, dtype=torch.float64)
    torch.manual_seed(1)
    ys, _ = layer(xs, h)
    torch.manual_seed(1)
    weight = layer.parametrizations.weight_hh_l0.original
    weight = weight * torch.empty_like(weight).bernoulli_(0.5) / 0.5
    h = h[0]
    for t in range(9):
        h = (xs[t] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h @ weight.T + layer.bias_hh_l0).tanh()
        torch.testing.assert_close(ys[t], h, rtol=0, atol=1e-14)


@every_cell
def test_every_layer_and_direction_is_dropped_once_a_call(cell):
    layer, masks = dropped(cell), []
    assert [name for name in NAMES if parametrize.is_parametrized(layer, name)] == NAMES
    for name in NAMES:
        layer.parametrizations[name][0].register_forward_hook(lambda module, inputs, weight: masks.append(weight == 0))
    layer(torch.randn(9, 2, 3))
    assert len(masks) == len(NAMES)
    assert len({tuple(mask.flatten().tolist()) for mask in masks}) == len(NAMES)
    layer(torch.randn(9, 2, 3))
    assert not torch.equal(masks[0], masks[len(NAMES)])


@every_cell
def test_only_what_is_kept_has_a_gradient(cell):
    layer, kept = dropped(cell, num_layers=1, bidirectional=False), []
    layer.parametrizations.weight_hh_l0[0].register_forward_hook(
        lambda module, inputs, weight: kept.append(weight != 0)
    )
    gradient = results(layer)["weight_hh_l0"]
    assert torch.equal(gradient != 0, kept[0])
    assert 0.3 < kept[0].float().mean() < 0.7


@every_cell
def test_evaluation_drops_nothing(cell):
    assert_same_bits(results(dropped(cell).eval()), results(build(cell).eval()))
    assert not torch.equal(results(dropped(cell))["output"], results(build(cell))["output"])


@every_cell
def test_rate_zero_is_the_layer_itself_to_the_bit(cell):
    assert_same_bits(results(dropped(cell, rate=0.0)), results(build(cell)))


def test_at_rate_one_nothing_recurs():
    layer = dropped(rate=1, num_layers=1, bidirectional=False)
    xs = torch.randn(9, 2, 3)
    alone = torch.cat([layer(xs[t : t + 1])[0] for t in range(9)])
    torch.testing.assert_close(layer(xs)[0], alone)


@every_cell
def test_every_unroller_gives_the_same_bits(cell):
    assert_same_bits(results(dropped(cell, unroller="checkpoint")), results(dropped(cell, unroller="loop")))


def test_other_weights():
    layer = build("lstm", proj_size=4)
    weight_drop(layer, 0.2, ["weight_ih", "weight_hr"])
    weight_drop(layer, 0.3, "bias_ih")
    rates = {name: layer.parametrizations[name][0].rate for name in layer.parametrizations}
    expected = {"weight_ih": 0.2, "weight_hr": 0.2, "bias_ih": 0.3}
    assert rates == {name.replace("weight_hh", w): rate for w, rate in expected.items() for name in NAMES}


def test_what_is_kept_makes_up_for_what_is_dropped():
    torch.manual_seed(0)
    weight = WeightDrop(0.2)(torch.ones(200, 200))
    assert set(weight.flatten().tolist()) == {0.0, 1.25}
    assert abs(weight.mean() - 1) < 4 * (0.25 / 200**2) ** 0.5


def test_a_copy_is_a_layer_of_its_own():
    layer = dropped("lstm")
    expected, twin = results(layer), copy.deepcopy(layer)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.zero_()
    assert_same_bits(results(twin), expected)


def test_state_dicts_go_round_and_weights_can_be_assigned():
    layer, other = dropped("gru"), dropped("gru")
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.normal_()
    other.load_state_dict(layer.state_dict())
    assert_same_bits(results(other), results(layer))
    weight = torch.randn(24, 8)
    other.weight_hh_l0 = weight
    assert torch.equal(other.parametrizations.weight_hh_l0.original, weight)


def test_it_can_be_taken_off():
    layer = dropped("gru")
    for name in NAMES:
        parametrize.remove_parametrizations(layer, name, leave_parametrized=False)
    assert_same_bits(results(layer), results(build("gru")))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            {"weights": ("weight_hh", "weight_hhh")},
            "no cell has a weight 'weight_hhh' (did you mean 'weight_hh'?); there are",
        ),
        ({"rate": 1.5}, "weight_drop: rate is 1.5; it must be a rate from 0 to 1"),
        ({"rate": "half"}, "weight_drop: rate is 'half'; it must be a rate from 0 to 1"),
        ({"layer": torch.nn.LSTM(3, 4)}, "weight_drop: the layer is a LSTM; it must be an rnnkit.RNN"),
    ],
)
def test_what_cannot_be_dropped(arguments, sentence):
    layer = build()
    with pytest.raises(rnnkit.errors.UsageError) as caught:
        weight_drop(**{"layer": layer, **arguments})
    assert str(caught.value).startswith(sentence)
    assert not parametrize.is_parametrized(layer)


def test_shows_its_rate():
    assert "WeightDrop(rate=0.5)" in repr(dropped())
