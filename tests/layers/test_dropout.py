"""Dropout stands between layers, in training alone."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import rnnkit

from ..core_cells import TAKING_ALL

xs = torch.randn(7, 3, 4, generator=torch.Generator().manual_seed(0))
PACKED = pack_padded_sequence(xs, torch.tensor([3, 7, 2]), enforce_sorted=False)


def build(dropout, num_layers=2, **options):
    torch.manual_seed(0)
    return rnnkit.RNN("gru", 4, 5, num_layers, dropout=dropout, **options)


def test_rate_one_leaves_the_second_layer_nothing_but_zeros():
    layer, reference = build(1.0), build(0.0)
    output, state = layer(xs)
    _, of_first = reference(xs)
    single = rnnkit.RNN("gru", 5, 5)
    single.load_state_dict(
        {name.replace("_l1", "_l0"): t for name, t in layer.state_dict().items() if name.endswith("_l1")}
    )
    torch.testing.assert_close(output, single(torch.zeros(7, 3, 5))[0])
    torch.testing.assert_close(state[0], of_first[0])  # the first layer's input is not dropped


def test_evaluation_drops_nothing():
    layer, reference = build(0.5).eval(), build(0.0)
    assert torch.equal(layer(xs)[0], reference(xs)[0])
    assert not torch.equal(layer.train()(xs)[0], reference(xs)[0])


def test_the_last_output_is_not_dropped():
    with pytest.warns(UserWarning, match=r"after all but last recurrent layer.*dropout=0\.9"):  # as torch.nn.LSTM warns
        layer = build(0.9, num_layers=1)
    assert torch.equal(layer(xs)[0], build(0.0, num_layers=1)(xs)[0])
    output, _ = build(0.9)(xs)
    assert (output != 0).all()


@pytest.mark.parametrize("input", [xs, PACKED], ids=["padded", "packed"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_same_draws_as_torch_at_the_same_places(bidirectional, input):
    torch.manual_seed(0)
    reference = nn.GRU(4, 5, 3, dropout=0.4, bidirectional=bidirectional)
    layer = build(0.4, 3, bidirectional=bidirectional)
    layer.load_state_dict(reference.state_dict())
    results = []
    for module in (layer, reference):
        torch.manual_seed(1)
        output = module(input)[0]
        results.append(output if isinstance(output, torch.Tensor) else output.data)
    torch.testing.assert_close(*results)


def test_every_unroller_drops_the_same():
    results = []
    for unroller in TAKING_ALL:
        layer = build(0.5, unroller=unroller)
        torch.manual_seed(1)
        output, _ = layer(xs)
        results.append((output, *torch.autograd.grad(output.sin().sum(), list(layer.parameters()))))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])
