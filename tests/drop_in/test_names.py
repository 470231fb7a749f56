"""Every attribute and method of torch.nn's layers, public or read all the same by code around them, is there."""

import pytest
import torch
from torch import nn

import rnnkit

from ..core_cells import CORE_CELLS

ORACLES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
D, H, B, T = 3, 5, 2, 4
CASES = [
    ("lstm", {}),
    ("lstm", {"proj_size": 2, "num_layers": 2}),
    ("gru", {"num_layers": 2, "bidirectional": True, "batch_first": True}),
    ("rnn", {"bias": False}),
    ("rnn", {"nonlinearity": "relu"}),
]
every_case = pytest.mark.parametrize(("name", "options"), CASES, ids=str)
READ_ALL_THE_SAME = ("_all_weights", "_flat_weights", "_flat_weights_names")


def pair(name, options):
    torch.manual_seed(0)
    reference, layer = ORACLES[name](D, H, **options), rnnkit.RNN(name, D, H, **options)
    layer.load_state_dict(reference.state_dict())
    return reference, layer


def names_of(module):
    return {name for name in dir(module) if not name.startswith("_")} - set(dir(nn.Module())) | set(READ_ALL_THE_SAME)


@every_case
def test_nothing_is_missing(name, options):
    reference, layer = pair(name, options)
    assert {"mode", "flatten_parameters", "all_weights", "check_hidden_size"} <= names_of(reference)
    assert [missing for missing in names_of(reference) if not hasattr(layer, missing)] == []
    assert hasattr(layer, "nonlinearity") == hasattr(reference, "nonlinearity")


@every_case
def test_attributes_are_torch_s(name, options):
    reference, layer = pair(name, options)
    compared = 0
    for attribute in names_of(reference):
        expected, found = getattr(reference, attribute), getattr(layer, attribute)
        if callable(expected) or isinstance(expected, torch.Tensor):
            continue
        compared += 1
        if attribute in ("all_weights", "_flat_weights"):
            torch.testing.assert_close(found, expected)
        else:
            assert found == expected, attribute
    assert compared >= 12


@every_case
def test_methods_give_what_torch_s_do(name, options):
    reference, layer = pair(name, options)
    xs = torch.randn(B, T, D) if layer.batch_first else torch.randn(T, B, D)
    packed = nn.utils.rnn.pack_sequence([torch.randn(4, D), torch.randn(2, D)])
    for given in ((xs, None), (packed.data, packed.batch_sizes)):
        hidden = layer.get_expected_hidden_size(*given)
        assert hidden == reference.get_expected_hidden_size(*given)
        layer.check_input(*given)
        layer.check_hidden_size(torch.zeros(hidden), hidden)
        hx = torch.randn(hidden)
        if name == "lstm":
            assert layer.get_expected_cell_size(*given) == reference.get_expected_cell_size(*given)
            hx = (hx, torch.randn(layer.get_expected_cell_size(*given)))
        layer.check_forward_args(given[0], hx, given[1])
        order = torch.tensor([1, 0])
        assert layer.permute_hidden(hx, None) is hx
        torch.testing.assert_close(layer.permute_hidden(hx, order), reference.permute_hidden(hx, order))


@every_case
def test_methods_raise_where_torch_s_do(name, options):
    reference, layer = pair(name, options)
    xs = torch.randn(B, T, D) if layer.batch_first else torch.randn(T, B, D)
    hidden = layer.get_expected_hidden_size(xs, None)
    states = torch.zeros(hidden)[:, :1]
    calls = {
        "check_input": [(xs[0], None), (xs[..., 1:], None), (xs, torch.ones(T))],
        "check_hidden_size": [(states, hidden)],
        "check_forward_args": [(xs, (states, states) if name == "lstm" else states, None)],
    }
    for method, arguments in calls.items():
        for given in arguments:
            for module in (reference, layer):
                with pytest.raises(RuntimeError):
                    getattr(module, method)(*given)
    with pytest.raises(RuntimeError, match=r"want \(.*\) have \["):
        layer.check_hidden_size(states, hidden, "want {} have {}")


def test_the_idiom_that_sets_forget_biases():
    layer = rnnkit.RNN("lstm", D, H, num_layers=2, bidirectional=True)
    for names in layer._all_weights:
        for name in filter(lambda name: "bias" in name, names):
            getattr(layer, name).data[H : 2 * H].fill_(1.0)
    assert all((layer.get_parameter(f"bias_{k}h_l1_reverse")[H : 2 * H] == 1).all() for k in "ih")


@pytest.mark.parametrize("cell", [*CORE_CELLS, "zoneout(rnn(nonlinearity=relu))", ["lstm", "gru"]], ids=str)
def test_other_cells_have_them_too(cell):
    layer = rnnkit.RNN(cell, D, H)
    assert layer.mode == layer.mode.upper()
    assert [list(map(layer.get_parameter, names)) for names in layer._all_weights] == layer.all_weights
    assert ("nonlinearity" in vars(layer)) == ("rnn" in str(cell))


def test_shapes_that_there_are_not():
    with pytest.raises(rnnkit.RnnkitError, match="cell 'gru' has 1 state tensors"):
        rnnkit.RNN("gru", D, H).get_expected_cell_size(torch.zeros(T, B, D), None)
    with pytest.raises(rnnkit.RnnkitError, match="layers differ"):
        rnnkit.RNN(["gru", "lstm"], D, H).get_expected_hidden_size(torch.zeros(T, B, D), None)
