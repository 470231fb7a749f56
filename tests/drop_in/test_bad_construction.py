"""What a layer refuses to be built of: one sentence each, of a type that code around torch.nn.LSTM waits for."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.errors import RnnkitError

# How LSTM(3, 5, ...) is called otherwise, and words that the layer's sentence must have.
REFUSED_BY_BOTH = {
    "no input": ({"input_size": 0}, ("input_size", "0", ">= 1")),
    "a negative width": ({"hidden_size": -1}, ("hidden_size", "-1", ">= 1")),
    "half a width": ({"hidden_size": 2.5}, ("hidden_size", "2.5", "whole number")),
    "no width": ({"hidden_size": None}, ("hidden_size", "None", "whole number")),
    "a negative number of layers": ({"num_layers": -1}, ("num_layers", "-1", ">= 1")),
    "no layers": ({"num_layers": 0}, ("num_layers", "0", ">= 1")),
    "half a layer": ({"num_layers": 1.5}, ("num_layers", "1.5", "whole number")),
    "bias in words": ({"bias": "no"}, ("bias", "'no'", "True or False")),
    "the fourth argument of nn.RNN": ({"bias": "relu"}, ("bias", "'relu'", "True or False")),
    "batch first as a number": ({"batch_first": 1}, ("batch_first", "1", "True or False")),
    "more dropout than all": ({"dropout": 1.5}, ("dropout", "1.5", "from 0 to 1")),
    "negative dropout": ({"dropout": -0.1}, ("dropout", "-0.1", "from 0 to 1")),
    "dropout that is no number": ({"dropout": float("nan")}, ("dropout", "nan", "from 0 to 1")),
    "dropout as a flag": ({"dropout": True}, ("dropout", "True", "from 0 to 1")),
    "dropout in words": ({"dropout": "half"}, ("dropout", "'half'", "from 0 to 1")),
    "no dropout": ({"dropout": None}, ("dropout", "None", "from 0 to 1")),
    "a projection as wide as h": ({"proj_size": 5}, ("proj_size", "5", "below hidden_size")),
    "a negative projection": ({"proj_size": -1}, ("proj_size", "-1", ">= 0")),
    "half a projection": ({"proj_size": 1.5}, ("proj_size", "1.5", "whole number")),
    "dtype in words": ({"dtype": "float32"}, ("dtype", "'float32'", "floating")),
    "a device that there is not": ({"device": "gpu"}, ("device", "'gpu'")),
}
REFUSED_BEYOND_TORCH = {
    "layers as a flag": ({"num_layers": True}, ("num_layers", "True", "whole number")),
    "directions as a number": ({"bidirectional": 2}, ("bidirectional", "2", "True or False")),
    "weights of integers": ({"dtype": torch.long}, ("dtype", "int64", "floating")),
    "an option that it lacks": ({"nonlinearity": "relu"}, ("'lstm'", "'nonlinearity'", "bias, proj_size")),
    "an option misspelt": ({"proj_sise": 2}, ("'lstm'", "'proj_sise'", "did you mean 'proj_size'")),
    "residual as a number": ({"residual": 1}, ("residual", "1", "True or False")),
    "trainable as a number": ({"trainable_state": 0}, ("trainable_state", "0", "True or False")),
    "widths that cannot be added": ({"hidden_size": [5, 4], "residual": True}, ("residual", "layer 1", "5", "4")),
    "more widths than layers": ({"hidden_size": [5, 4], "num_layers": 3}, ("hidden_size", "2", "3 layers")),
    "an empty list of widths": ({"hidden_size": []}, ("hidden_size", "list")),
    "a width of none in a list": ({"hidden_size": [5, 0]}, ("hidden_size", "0", ">= 1")),
    "more cells than layers": ({"cell": ["lstm"] * 3, "num_layers": 2}, ("cell", "3", "2 layers")),
    "an empty list of cells": ({"cell": []}, ("cell", "list")),
    "a cell misspelt": ({"cell": "lstn"}, ("'lstn'", "did you mean 'lstm'")),
    "torch's class": ({"cell": nn.LSTM}, ("cell", "LSTM", "registered name")),
    "no cell": ({"cell": None}, ("cell", "None", "registered name")),
    "an unroller misspelt": ({"unroller": "lop"}, ("'lop'", "did you mean 'loop'")),
    "no unroller": ({"unroller": None}, ("unroller", "None", "registered name")),
}
BASE = {"input_size": 3, "hidden_size": 5}


def refusal(options):
    """Return the error of building a layer so, an LSTM if nothing else is said."""
    with pytest.raises(RnnkitError) as caught:
        rnnkit.RNN(**{"cell": "lstm", **BASE, **options})
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("case", REFUSED_BY_BOTH)
def test_what_torch_refuses_too(case):
    options, words = REFUSED_BY_BOTH[case]
    with pytest.raises((ValueError, TypeError, RuntimeError)) as caught:
        nn.LSTM(**{**BASE, **options})
    error = refusal(options)
    assert isinstance(error, type(caught.value))
    assert [word for word in words if word not in str(error)] == []


@pytest.mark.parametrize("case", REFUSED_BEYOND_TORCH)
def test_what_torch_does_not_know_or_lets_pass(case):
    options, words = REFUSED_BEYOND_TORCH[case]
    sentence = str(refusal(options))
    assert [word for word in words if word not in sentence] == []


def test_dropout_of_one_layer_warns_where_it_was_written():
    found = []
    for make in (nn.LSTM, lambda *sizes, **options: rnnkit.RNN("lstm", *sizes, **options)):
        with pytest.warns(UserWarning, match="dropout") as caught:
            make(3, 5, dropout=0.5)
        found.append((len(caught), caught[0].category))
        where = caught[0].filename
    assert found[0] == found[1] == (1, UserWarning)
    assert where == __file__
