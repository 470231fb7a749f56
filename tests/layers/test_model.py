"""The model: embedding for symbols, the layer, a linear readout."""

import pytest
import torch
from torch import nn

import rnnkit

from ..core_cells import CORE_CELLS

adding, copy = rnnkit.tasks["adding"](seq_len=6), rnnkit.tasks["copy"](seq_len=5)


@pytest.mark.parametrize("cell", CORE_CELLS)
def test_symbols_are_embedded_and_read_out(cell):
    torch.manual_seed(0)
    model = rnnkit.Model(copy, cell, 7, embedding_size=3, num_layers=2).eval()
    xs = torch.randint(copy.input_size, (5, 2))
    outputs, state = model(xs)
    ys, expected_state = model.layer(model.embedding.weight[xs])
    assert outputs.shape == (5, 2, copy.output_size)
    torch.testing.assert_close(outputs, ys @ model.readout.weight.mT + model.readout.bias)
    torch.testing.assert_close(state, expected_state)


def test_real_inputs_go_straight_in_whatever_their_dtype():
    model = rnnkit.Model(adding, "lstm", 7).double()
    assert model.embedding is None
    xs = torch.rand(6, 2, 2)
    outputs, _ = model(xs)
    assert outputs.dtype == torch.float64
    assert torch.equal(outputs, model.readout(model.layer(xs.double())[0]))


def test_the_state_goes_on():
    torch.manual_seed(0)
    model = rnnkit.Model(copy, "lstm", 7)
    xs = torch.randint(copy.input_size, (9, 2))
    whole, _ = model(xs)
    first, state = model(xs[:4])
    second, _ = model(xs[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)


def test_options_reach_the_layer():
    model = rnnkit.Model(adding, "rnn", 7, num_layers=3, dropout=0.2, unroller="checkpoint", nonlinearity="relu")
    layer = model.layer
    assert (layer.num_layers, layer.dropout, str(layer.unroller)) == (3, 0.2, "checkpoint")
    assert layer.cells[0].nonlinearity == "relu"
    assert isinstance(model.readout, nn.Linear)


def test_lengths_reach_the_layer():
    torch.manual_seed(0)
    model = rnnkit.Model(adding, "gru", 7)
    xs, lengths = torch.rand(6, 2, 2), torch.tensor([6, 3])
    outputs, _ = model(xs, lengths=lengths)
    torch.testing.assert_close(outputs[:3, 1], model(xs[:3, 1:])[0][:, 0])
    torch.testing.assert_close(outputs[3:, 1], model.readout.bias.expand(3, 1))
