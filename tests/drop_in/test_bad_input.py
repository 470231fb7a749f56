"""What a layer refuses: one sentence each, said before any tensor operation has touched a floating-point number."""

import pytest
import torch
from torch import zeros
from torch.nested import nested_tensor_from_jagged
from torch.utils._python_dispatch import TorchDispatchMode

import rnnkit
from rnnkit.errors import UsageError

T, B, D, H = 6, 4, 3, 5


class FloatingPoint(TorchDispatchMode):
    """Counts the operations that read or write floating-point numbers; a view does neither."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        involved = torch.utils._pytree.tree_leaves((args, kwargs, result))
        computes = func.namespace == "aten" and not func.is_view
        if computes and any(isinstance(t, torch.Tensor) and t.is_floating_point() for t in involved):
            self.seen.append(func)
        return result


def build(name="lstm", **options):
    return rnnkit.RNN(name, D, H, **options)


LSTM, BATCH_FIRST, DEEP = build(), build(batch_first=True), build(num_layers=2, bidirectional=True)
MIXED = rnnkit.RNN(["lstm", "gru"], D, [H, H + 2])
XS = zeros(T, B, D)
H0, LENGTHS, RESET = zeros(1, B, H), torch.full((B,), T), zeros(T, B).bool()
META = {"device": "meta"}
ENDS = torch.tensor([0, 2, T])  # of two rows in a jagged tensor

# What is called with what, and words that the sentence must have.
REFUSED = {
    # the input
    "too many features": (LSTM, zeros(T, B, D + 1), {}, ("input", "4 features", "3")),
    "too few features": (LSTM, zeros(T, B, 1), {}, ("input", "1 feature", "3")),
    "features of an unbatched input": (LSTM, zeros(T, D + 1), {}, ("input", "4 features", "3")),
    "one dimension": (LSTM, zeros(D), {}, ("input", "(3,)", "(time, batch, input_size)")),
    "four dimensions": (BATCH_FIRST, zeros(1, T, B, D), {}, ("input", "(1, 6, 4, 3)", "(batch, time, input_size)")),
    "no steps": (LSTM, zeros(0, B, D), {}, ("input", "no steps")),
    "no steps, batch first": (BATCH_FIRST, zeros(B, 0, D), {}, ("input", "no steps")),
    "no steps, unbatched": (LSTM, zeros(0, D), {}, ("input", "no steps")),
    "symbols": (LSTM, zeros(T, B, D, dtype=torch.long), {}, ("input", "int64", "floating point")),
    "booleans": (LSTM, zeros(T, B, D).bool(), {}, ("input", "bool", "floating point")),
    "another dtype": (LSTM, XS.double(), {}, ("input", "float64", "float32")),
    "another device": (LSTM, zeros(T, B, D, **META), {}, ("input", "meta", "cpu")),
    "complex numbers": (LSTM, XS.to(torch.complex64), {}, ("input", "complex64", "float32")),
    "numbers": (LSTM, [[0.0] * D] * T, {}, ("input", "list", "tensor")),
    "nothing": (LSTM, None, {}, ("input", "NoneType", "tensor")),
    "a sparse input": (LSTM, XS.to_sparse(), {}, ("input", "sparse_coo", "dense")),
    "an array": (LSTM, XS.numpy(), {}, ("input", "ndarray", "tensor")),
    # a nested input
    "rows of too many features": (
        LSTM,
        nested_tensor_from_jagged(zeros(T, D + 1), ENDS),
        {},
        ("input", "4 features", "3"),
    ),
    "rows of another dtype": (LSTM, nested_tensor_from_jagged(XS[:, 0].double(), ENDS), {}, ("input", "float64")),
    "no rows": (LSTM, nested_tensor_from_jagged(zeros(0, D), torch.tensor([0])), {}, ("input", "no rows")),
    "a row of no steps": (LSTM, nested_tensor_from_jagged(XS[:, 0], torch.tensor([0, 0, T])), {}, ("0", "6")),
    "lengths of rows": (LSTM, nested_tensor_from_jagged(XS[:, 0], ENDS), {"lengths": [2, 4]}, ("lengths", "nested")),
    # lengths
    "a length beyond the end": (LSTM, XS, {"lengths": torch.tensor([1, 2, 7, 3])}, ("lengths", "7", "6")),
    "a negative length": (LSTM, XS, {"lengths": torch.tensor([1, -2, 6, 3])}, ("lengths", "-2")),
    "a length of zero": (LSTM, XS, {"lengths": torch.tensor([1, 2, 0, 3])}, ("lengths", "0")),
    "half steps": (LSTM, XS, {"lengths": LENGTHS / 2}, ("lengths", "float32", "integer")),
    "complex lengths": (LSTM, XS, {"lengths": LENGTHS.to(torch.complex64)}, ("lengths", "complex64", "integer")),
    "lengths that are flags": (LSTM, XS, {"lengths": LENGTHS > 0}, ("lengths", "bool", "integer")),
    "too few lengths": (LSTM, XS, {"lengths": LENGTHS[:-1]}, ("lengths", "(3,)", "4 rows")),
    "a length for each step": (LSTM, XS, {"lengths": torch.ones(T, dtype=torch.long)}, ("lengths", "(6,)", "4 rows")),
    "one length": (LSTM, XS, {"lengths": 3}, ("lengths", "()", "4 rows")),
    "a mask": (LSTM, XS, {"lengths": torch.ones(T, B, dtype=torch.long)}, ("lengths", "(6, 4)", "4 rows")),
    "lengths on another device": (LSTM, XS, {"lengths": LENGTHS.to("meta")}, ("lengths", "meta", "input is on cpu")),
    "lengths without values": (
        build(**META),
        zeros(T, B, D, **META),
        {"lengths": LENGTHS.to("meta")},
        ("lengths", "meta"),
    ),
    "lengths in words": (LSTM, XS, {"lengths": "six"}, ("lengths", "str")),
    "lengths in ragged lists": (LSTM, XS, {"lengths": [[1], [2, 3]]}, ("lengths", "list")),
    "two lengths for one sequence": (LSTM, zeros(T, D), {"lengths": [1, 2]}, ("lengths", "(2,)", "1 row")),
    # hx
    "a state too many": (build("gru"), XS, {"hx": (H0, H0)}, ("hx", "2 tensors", "'gru'", "h")),
    "a state too few": (LSTM, XS, {"hx": (H0,)}, ("hx", "1 tensor;", "'lstm'", "2 tensors: h, c")),
    "a bare state of two": (LSTM, XS, {"hx": H0}, ("hx", "1 tensor;", "'lstm'", "2 tensors: h, c")),
    "three states": (LSTM, XS, {"hx": (H0, H0, H0)}, ("hx", "3 tensors", "2 tensors: h, c")),
    "no states": (LSTM, XS, {"hx": ()}, ("hx", "0 tensors", "2 tensors: h, c")),
    "half a state": (LSTM, XS, {"hx": (H0, None)}, ("hx", "NoneType", "2 tensors")),
    "a number for a state": (LSTM, XS, {"hx": 0}, ("hx", "int", "2 tensors")),
    "h of another width": (LSTM, XS, {"hx": (zeros(1, B, H + 1), H0)}, ("hx", "'h'", "(1, 4, 6)", "(1, 4, 5)")),
    "c of another width": (LSTM, XS, {"hx": (H0, zeros(1, B, H + 1))}, ("hx", "'c'", "(1, 4, 6)", "(1, 4, 5)")),
    "h as wide as c": (build(proj_size=2), XS, {"hx": (H0, H0)}, ("hx", "'h'", "(1, 4, 5)", "(1, 4, 2)")),
    "states of another batch": (LSTM, XS, {"hx": (H0[:, 1:],) * 2}, ("hx", "'h'", "(1, 3, 5)", "(1, 4, 5)")),
    "states of one layer": (DEEP, XS, {"hx": (H0, H0)}, ("hx", "'h'", "(1, 4, 5)", "(4, 4, 5)")),
    "states, batch first": (BATCH_FIRST, XS.transpose(0, 1), {"hx": (zeros(B, 1, H),) * 2}, ("hx", "(1, 4, 5)")),
    "states of a batch": (LSTM, zeros(T, D), {"hx": (H0[:, :1],) * 2}, ("hx", "'h'", "(1, 1, 5)", "(1, 5)")),
    "states without a batch": (LSTM, XS, {"hx": (H0[:, 0],) * 2}, ("hx", "'h'", "(1, 5)", "(1, 4, 5)")),
    "h in another dtype": (LSTM, XS, {"hx": (H0.double(), H0)}, ("hx", "'h'", "float64", "float32")),
    "c in another dtype": (LSTM, XS, {"hx": (H0, H0.double())}, ("hx", "'c'", "float64", "float32")),
    "h on another device": (LSTM, XS, {"hx": (H0.to("meta"), H0)}, ("hx", "'h'", "meta", "cpu")),
    # hx of layers that differ
    "one state for two layers": (MIXED, XS, {"hx": [(H0, H0)]}, ("hx", "1", "list of 2")),
    "a tensor for two layers": (MIXED, XS, {"hx": H0}, ("hx", "Tensor", "list of 2")),
    "a wrong width in the second layer": (
        MIXED,
        XS,
        {"hx": [(H0, H0), H0]},
        ("hx", "layer 1", "(1, 4, 5)", "(1, 4, 7)"),
    ),
    "two states in the second layer": (
        MIXED,
        XS,
        {"hx": [(H0, H0), (zeros(1, B, H + 2),) * 2]},
        ("hx", "layer 1", "2 tensors", "'gru'"),
    ),
    # reset
    "resets, batch first": (BATCH_FIRST, zeros(B, T, D), {"reset": RESET.t()}, ("reset", "(4, 6)", "(6, 4)")),
    "resets of some steps": (LSTM, XS, {"reset": RESET[1:]}, ("reset", "(5, 4)", "(6, 4)")),
    "resets of whole steps": (LSTM, XS, {"reset": RESET[:, 0]}, ("reset", "(6,)", "(6, 4)")),
    "resets that are numbers": (LSTM, XS, {"reset": RESET.long()}, ("reset", "int64", "booleans")),
    "resets on another device": (LSTM, XS, {"reset": RESET.to("meta")}, ("reset", "meta", "cpu")),
    "resets in words": (LSTM, XS, {"reset": "never"}, ("reset", "str")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    layer, xs, options, words = REFUSED[case]
    with FloatingPoint() as operations, pytest.raises(UsageError) as caught:
        layer(xs, **options)
    assert operations.seen == []
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert [word for word in words if word not in sentence] == []


def test_a_call_that_is_right_is_seen():
    with FloatingPoint() as operations:
        LSTM(XS, (H0, H0), lengths=LENGTHS - 1, reset=RESET)
    assert torch.ops.aten.addmm.default in operations.seen
