"""lstm, gru and rnn against torch.nn, in float64, for the same weights."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building

ORACLES = {
    "lstm": (nn.LSTM, {}),
    "gru": (nn.GRU, {}),
    "rnn-tanh": (nn.RNN, {"nonlinearity": "tanh"}),
    "rnn-relu": (nn.RNN, {"nonlinearity": "relu"}),
}
SIZES = [(1, 1, 1, 1), (5, 3, 4, 6), (12, 2, 7, 3), (40, 5, 2, 9)]  # T, B, D, H

every_oracle = pytest.mark.parametrize("oracle", ORACLES)
with_and_without_bias = pytest.mark.parametrize("bias", [True, False], ids=["bias", "no bias"])


def pair(oracle, inputs, hidden, bias, dtype=torch.float64):
    """Return torch's module and the cell, each built from the same seed."""
    kind, options = ORACLES[oracle]
    torch.manual_seed(3)
    reference = kind(inputs, hidden, bias=bias, dtype=dtype, **options)
    torch.manual_seed(3)
    with building(None, dtype):
        cell = rnnkit.cells[oracle.partition("-")[0]](inputs, hidden, bias=bias, **options)
    return reference, cell


@with_and_without_bias
@every_oracle
def test_the_same_seed_gives_the_same_weights(oracle, bias):
    reference, cell = pair(oracle, 4, 6, bias, torch.float32)
    expected = {name.removesuffix("_l0"): tensor for name, tensor in reference.named_parameters()}
    found = dict(cell.named_parameters())
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@with_and_without_bias
@every_oracle
def test_outputs_states_and_gradients_equal(oracle, bias, sizes):
    steps, batch, inputs, hidden = sizes
    reference, cell = pair(oracle, inputs, hidden, bias)
    xs = torch.randn(steps, batch, inputs, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(batch, hidden, dtype=torch.float64, requires_grad=True) for _ in cell.state_names)

    hx = tuple(tensor.unsqueeze(0) for tensor in state)
    expected_ys, expected_last = reference(xs, hx if len(hx) > 1 else hx[0])
    expected_last = expected_last if isinstance(expected_last, tuple) else (expected_last,)
    ys, last = rnnkit.unrollers["loop"]()(cell, xs, state)

    outputs = (ys, *last)
    expected = (expected_ys, *(tensor[0] for tensor in expected_last))
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)

    weights = [torch.randn_like(tensor) for tensor in outputs]
    found = torch.autograd.grad(outputs, [xs, *state, *cell.parameters()], weights)
    wanted = torch.autograd.grad(expected, [xs, *state, *reference.parameters()], weights)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-10)
