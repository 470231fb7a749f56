"""The workload: what every candidate runs."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

import rnnkit
from rnnkit.benchmark.sizes import DEFAULT, Size
from rnnkit.benchmark.workload import Workload, one_pass


def test_a_pass_is_training_or_inference():
    layer, xs = rnnkit.RNN("gru", 3, 4), torch.randn(5, 2, 3)
    one_pass(layer, xs, training=True)()
    gradient = layer.weight_hh_l0.grad.clone()
    one_pass(layer, xs, training=True)()
    assert torch.equal(layer.weight_hh_l0.grad, gradient)  # not gathered
    layer.zero_grad()
    inputs = xs.clone().requires_grad_()
    layer(inputs)[0].sum().backward()
    torch.testing.assert_close(layer.weight_hh_l0.grad, gradient)
    layer.zero_grad()
    one_pass(layer, xs, training=False)()
    assert layer.weight_hh_l0.grad is None
    assert not layer.training


def test_a_packed_pass_is_nn_lstm_s_own():
    xs = Workload(Size(6, 20, 3, 4), ragged=True).input()
    assert isinstance(xs, PackedSequence)
    theirs = nn.LSTM(3, 4)
    layer = rnnkit.RNN("lstm", 3, 4)
    layer.load_state_dict(theirs.state_dict())
    for module in (theirs, layer):
        one_pass(module, xs, training=True)()
    for name, parameter in theirs.named_parameters():
        torch.testing.assert_close(layer.get_parameter(name).grad, parameter.grad)


@pytest.mark.parametrize("size", [*DEFAULT, Size(3, 1, 2, 2), Size(4, 3, 2, 2)], ids=str)
def test_ragged_rows_are_a_quarter_to_all_of_the_steps(size):
    workload = Workload(size, ragged=True)
    lengths = workload.lengths()
    assert lengths == workload.lengths()  # the same for everyone, every time
    assert len(lengths) == size.batch
    assert all(max(1, size.steps // 4) <= steps <= size.steps for steps in lengths)
    assert size.batch < 8 or len(set(lengths)) > 4


def test_equal_rows_and_a_cut():
    workload = Workload(Size(2, 9, 3, 4), dtype=torch.float64)
    assert workload.lengths() == [9, 9]
    assert workload.input().shape == (9, 2, 3)
    assert workload.input().dtype == torch.float64
    assert workload.cut(2) == Workload(Size(2, 2, 3, 4), dtype=torch.float64)
