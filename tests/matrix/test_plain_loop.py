"""The plain loop over rows, beside torch.nn and beside pieces run one by one: what all cases are held to."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnkit.matrix.case import LAYOUTS, Case
from rnnkit.matrix.problem import Problem


def problem(layout, cell="lstm", direction="bi"):
    return Problem(Case(cell, "loop", layout, direction, "first"))


def torchs(own):
    theirs = torch.nn.LSTM(3, 4, bidirectional=own.layer.bidirectional).double()
    theirs.load_state_dict(own.layer.state_dict())
    return theirs


@pytest.mark.parametrize("direction", ["uni", "bi"])
@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "reset"])
def test_it_is_torch_s_lstm(layout, direction):
    own = problem(layout, direction=direction)
    xs, states = own.tensors["input"], (own.tensors["h0"], own.tensors["c0"])
    with torch.no_grad():
        found = own.expected(own.tensors)
        lengths = own.layout.lengths
        if lengths is None:
            output, last = torchs(own)(xs, states)
        else:
            packed, last = torchs(own)(pack_padded_sequence(xs, lengths, enforce_sorted=False), states)
            output, _ = pad_packed_sequence(packed, total_length=len(xs))
    for name, expected in zip(("output", "h", "c"), (output, *last), strict=True):
        torch.testing.assert_close(found[name], expected, rtol=1e-12, atol=1e-12)


def test_a_reset_parts_a_row_in_two_that_know_nothing_of_each_other():
    own = problem("reset")
    xs, theirs = own.tensors["input"], torchs(own)
    with torch.no_grad():
        found = own.expected(own.tensors)
        for row in range(xs.shape[1]):
            borders = [t for t in range(len(xs)) if own.layout.reset[t, row]]
            starts = sorted({0, *borders})
            for start, stop in zip(starts, [*starts[1:], len(xs)], strict=True):
                h, c = (own.tensors[name][:, row : row + 1].clone() for name in ("h0", "c0"))
                if start or start in borders:
                    h[0], c[0] = 0, 0  # the forward direction comes from a border
                if stop < len(xs):
                    h[1], c[1] = 0, 0  # so does the reverse one
                output, _ = theirs(xs[start:stop, row : row + 1], (h, c))
                torch.testing.assert_close(found["output"][start:stop, row], output[:, 0], rtol=1e-12, atol=1e-12)


def test_a_problem_is_the_same_each_time_and_float32_has_its_numbers():
    first, again = problem("lengths", "layernorm"), problem("lengths", "layernorm")
    assert first.tensors.keys() == again.tensors.keys()
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, again.tensors[name])
        assert torch.equal(tensor, tensor.float().double())
    assert torch.equal(first.direction(1)["input"], again.direction(1)["input"])
    assert not torch.equal(first.direction(1)["input"], first.direction(2)["input"])


@pytest.mark.parametrize("layout", ["lengths", "packed"])
def test_lengths_differ_and_one_is_whole(layout):
    for cell in ("lstm", "gru", "rnn", "janet", "mgu"):
        lengths = problem(layout, cell).layout.lengths.tolist()
        assert max(lengths) == 4
        assert min(lengths) < 4
