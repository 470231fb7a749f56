"""What may stand for a cell, and the options that come with it."""

import re
from functools import partial

import pytest
import torch

import rnnkit
from rnnkit.errors import UnknownNameError, UsageError
from rnnkit.plugin.cell_spec import CellChoice, choose

RNN = rnnkit.cells["rnn"]
ways = {
    "name": ("rnn", {"nonlinearity": "relu"}),
    "expression": ("rnn(nonlinearity=relu)", {}),
    "class": (RNN, {"nonlinearity": "relu"}),
    "partial": (partial(RNN, nonlinearity="relu"), {}),
    "choice": (CellChoice(RNN, {"nonlinearity": "relu"}), {}),
}


@pytest.mark.parametrize("way", ways)
def test_all_ways_build_the_same_layer(way):
    cell, options = ways[way]
    torch.manual_seed(0)
    expected = rnnkit.RNN("rnn", 3, 4, nonlinearity="relu")
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, 3, 4, **options)
    xs = torch.randn(5, 2, 3)
    assert torch.equal(layer(xs)[0], expected(xs)[0])
    assert (layer(xs)[0] >= 0).all()
    assert "relu" in repr(layer)


@pytest.mark.parametrize("way", ways)
def test_all_ways_can_be_checked(way):
    cell, options = ways[way]
    report = rnnkit.gradcheck(cell, **options)
    assert report.ok
    assert report.cell == "rnn"


REFUSED = {
    "option 'nonlinearity' is given twice": ("rnn(nonlinearity=relu)", {"nonlinearity": "tanh"}),
    "option 'bias' is given twice": ("rnn(bias=true)", {"bias": False}),
    "cell 'lstm(gru)': 'gru' has no keyword; 'lstm' takes option=value": ("lstm(gru)", {}),
    "a partial may give keywords alone": (partial(RNN, 3), {}),
    "cell 'rnn' has no option 'slope'": ("rnn(slope=2)", {}),
    "it must be a registered name or a class derived from Cell": (partial(torch.nn.LSTM), {}),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_stands_for_no_cell_is_said_in_a_sentence(sentence):
    cell, options = REFUSED[sentence]
    with pytest.raises(UsageError, match=re.escape(sentence)):
        rnnkit.RNN(cell, 3, 4, **options)


def test_the_name_in_an_expression_is_looked_up():
    with pytest.raises(UnknownNameError, match="unknown cell 'lsmt'"):
        choose("lsmt(bias=false)")


def test_an_expression_may_turn_the_bias_off():
    assert "bias_ih_l0" not in rnnkit.RNN("gru(bias=false)", 3, 4).state_dict()
