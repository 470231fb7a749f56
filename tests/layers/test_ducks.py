"""What stands for a tensor and is none: objects with `__torch_function__`, and weights of per-sample gradients."""

import pytest
import torch
from torch import nn
from torch.nn.utils._per_sample_grad import call_for_per_sample_grads
from torch.nn.utils.rnn import pack_sequence

import rnnkit

from ..core_cells import CORE_CELLS, TAKING_ALL

T, B, D, H = 5, 3, 2, 4
CELLS = [*CORE_CELLS, "lstm(proj_size=2)", "gru(reset_after=False)"]
every_unroller = pytest.mark.parametrize("unroller", ["auto", *TAKING_ALL])
every_cell = pytest.mark.parametrize("cell", CELLS)


class Duck:
    """No tensor, but torch's functions take it for one; it says what it was asked."""

    def __init__(self, tensor, asked):
        self.tensor, self.asked = tensor, asked

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        for duck in (arg for arg in args if isinstance(arg, Duck)):
            duck.asked.append(function)
        return function(*[arg.tensor if isinstance(arg, Duck) else arg for arg in args], **(kwargs or {}))

    def __getattr__(self, name):
        return getattr(self.tensor, name)


class Wrapping(Duck):
    """One whose results are such as it is."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        result = super().__torch_function__(function, types, args, kwargs)
        asked = next(arg.asked for arg in args if isinstance(arg, Duck))
        return cls(result, asked) if isinstance(result, torch.Tensor) else result


@pytest.mark.parametrize("kind", [Duck, Wrapping])
@every_unroller
@every_cell
def test_what_behaves_as_a_tensor_is_taken_for_one(cell, unroller, kind):
    torch.manual_seed(0)
    layer, xs, asked = rnnkit.RNN(cell, D, H, unroller=unroller).eval(), torch.randn(T, B, D), []
    found, expected = layer(kind(xs, asked)), layer(xs)
    assert asked or unroller != "loop"
    torch.testing.assert_close(getattr(found[0], "tensor", found[0]), expected[0])


def test_torch_s_own_layer_takes_it_too():
    layer, xs = nn.LSTM(D, H), torch.randn(T, B, D)
    assert torch.equal(layer(Duck(xs, []))[0], layer(xs)[0])


def test_what_does_not_is_refused():
    with pytest.raises(rnnkit.RnnkitError, match="the input is a list"):
        rnnkit.RNN("gru", D, H)([1.0])


def by_row(layer, xs, reduction):
    """Return for each parameter the gradients of each row's part of the loss."""
    found = []
    for row in xs.split(1):
        loss = layer(row)[0].square().sum()
        loss = loss / len(xs) if reduction == "mean" else loss
        scale = len(xs) if reduction == "mean" else 1
        gradients = torch.autograd.grad(loss, list(layer.parameters()), allow_unused=True, materialize_grads=True)
        found.append([scale * gradient for gradient in gradients])
    return [torch.stack(rows) for rows in zip(*found, strict=True)]


@pytest.mark.covering(2)
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"trainable_state": True}], ids=str)
@every_cell
def test_per_sample_gradients(cell, options, reduction):
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, D, H, batch_first=True, dtype=torch.float64, **options).eval()
    xs = torch.randn(B, T, D, dtype=torch.float64)
    ys, _ = call_for_per_sample_grads(layer, loss_reduction=reduction)(xs)
    loss = ys.square().sum()
    (loss / B if reduction == "mean" else loss).backward()
    for parameter, expected in zip(layer.parameters(), by_row(layer, xs, reduction), strict=True):
        torch.testing.assert_close(parameter.grad_sample, expected)
        assert parameter.grad is None


@every_unroller
def test_per_sample_gradients_through_every_unroller(unroller):
    layer = rnnkit.RNN("gru", D, H, batch_first=True, dtype=torch.float64, unroller=unroller)
    xs = torch.randn(B, T, D, dtype=torch.float64)
    call_for_per_sample_grads(layer, loss_reduction="sum")(xs)[0].square().sum().backward()
    for parameter, expected in zip(layer.parameters(), by_row(layer, xs, "sum"), strict=True):
        torch.testing.assert_close(parameter.grad_sample, expected)


def test_per_sample_gradients_are_torch_s():
    reference, layer = nn.GRU(D, H), rnnkit.RNN("gru", D, H)
    layer.load_state_dict(reference.state_dict())
    rows = [torch.randn(n, D) for n in (5, 3, 3)]
    lengths = {"lengths": [5, 3, 3]}
    padded = nn.utils.rnn.pad_sequence(rows)
    for module, given, options in ((reference, pack_sequence(rows), {}), (layer, padded, lengths)):
        ys = call_for_per_sample_grads(module, batch_size=3)(given, **options)[0]
        (ys.data if module is reference else ys).sum().backward()
    for found, expected in zip(layer.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(found.grad_sample, expected.grad_sample)


def test_per_sample_gradients_of_a_packed_batch():
    layer = rnnkit.RNN("peephole", D, H)
    rows = [torch.randn(n, D) for n in (5, 3, 2)]
    call_for_per_sample_grads(layer, batch_size=3)(pack_sequence(rows))[0].data.square().sum().backward()
    expected = [
        torch.autograd.grad(layer(row.unsqueeze(1))[0].square().sum(), list(layer.parameters())) for row in rows
    ]
    for parameter, gradients in zip(layer.parameters(), zip(*expected, strict=True), strict=True):
        torch.testing.assert_close(parameter.grad_sample, torch.stack(gradients), rtol=1e-4, atol=1e-5)


def test_a_batch_that_is_not_the_one_expanded_to_is_refused():
    layer = rnnkit.RNN("gru", D, H)
    with pytest.raises(rnnkit.errors.ShapeError, match="expanded to a batch of 5, the input has 3 rows"):
        call_for_per_sample_grads(layer, batch_size=5)(torch.randn(T, B, D))
