"""Packed batches: every row gets what it gets alone, in the order in which it was packed."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence, unpack_sequence

import rnnkit

from ..core_cells import CORE_CELLS
from ..slow_cases import slow_but

D, H = 3, 5
LENGTHS = (5, 7, 1, 7, 3)
ROWS = len(LENGTHS)

every_cell = pytest.mark.parametrize("name", CORE_CELLS)
every_order = pytest.mark.parametrize("is_sorted", [False, True], ids=["unsorted", "sorted"])


def build(name, **options):
    torch.manual_seed(0)
    return rnnkit.RNN(name, D, H, dtype=torch.float64, **options).eval()


def random_state(layer, rows):
    """Draw states for a batch, laid out as the layer's own."""
    zeros = layer.initial_state(rows)
    return torch.randn_like(zeros) if isinstance(zeros, torch.Tensor) else tuple(map(torch.randn_like, zeros))


def rows_of(state, tensors):
    """Take a state apart into those of its rows."""
    return list(zip(*(tensor.unbind(1) for tensor in tensors(state)), strict=True))


def sequences(lengths):
    return [torch.randn(length, D, dtype=torch.float64) for length in lengths]


def pack(rows, is_sorted=False):
    """Pack rows as they stand, or with the longest first."""
    return pack_sequence(sorted(rows, key=len, reverse=True) if is_sorted else rows, enforce_sorted=is_sorted)


def calm(layer):
    """Halve the recurrent gains where a cell has any.

    At its default ones the layer-norm LSTM is chaotic: states that differ by 1e-14 may give outputs
    that differ by 1e-10, so what rounding does to it says nothing about packing.
    """
    for name, gain in layer.named_parameters():
        if name.startswith("gain_hh"):
            gain.mul_(0.5)


@pytest.mark.parametrize(("longest", "layers"), [(100, 2), pytest.param(1000, 1, marks=pytest.mark.slow)])
@every_cell
@torch.no_grad
def test_every_row_gets_what_it_gets_alone(name, longest, layers, tensors):
    layer = build(name, num_layers=layers, bidirectional=True)
    calm(layer)
    rows = sequences([10, longest, *torch.randint(10, longest + 1, (30,)).tolist()])
    hx = random_state(layer, len(rows))
    alone = [
        layer(row, state if len(state) > 1 else state[0]) for row, state in zip(rows, rows_of(hx, tensors), strict=True)
    ]
    for order in (range(32), sorted(range(32), key=lambda place: -len(rows[place]))):
        begun = tuple(tensor[:, order] for tensor in tensors(hx))
        packed = pack_sequence([rows[place] for place in order], enforce_sorted=not isinstance(order, range))
        output, state = layer(packed, begun if len(begun) > 1 else begun[0])
        for place, ys, last in zip(order, unpack_sequence(output), rows_of(state, tensors), strict=True):
            expected, after = alone[place]
            torch.testing.assert_close((ys, last), (expected, tensors(after)), rtol=0, atol=1e-12)


@every_order
@every_cell
def test_the_output_is_packed_as_the_input_is(name, is_sorted):
    layer = build(name, bidirectional=True)
    packed = pack(sequences(LENGTHS), is_sorted)
    output, _ = layer(packed)
    assert output.data.shape == (sum(LENGTHS), 2 * H)
    assert torch.equal(output.batch_sizes, packed.batch_sizes)
    if is_sorted:
        assert output.sorted_indices is output.unsorted_indices is None
    else:
        assert torch.equal(output.sorted_indices, packed.sorted_indices)
        assert torch.equal(output.unsorted_indices, packed.unsorted_indices)


@every_order
@pytest.mark.parametrize("proj_size", [0, 2])
def test_gradients_through_packing_are_torch_s(proj_size, is_sorted, outcome, assert_same):
    layer = build("lstm", num_layers=2, bidirectional=True, proj_size=proj_size)
    reference = nn.LSTM(D, H, num_layers=2, bidirectional=True, proj_size=proj_size, dtype=torch.float64)
    reference.load_state_dict(layer.state_dict())
    rows = [row.requires_grad_() for row in sequences(LENGTHS)]
    hx = tuple(tensor.requires_grad_() for tensor in random_state(layer, ROWS))
    given = {f"row {place}": row for place, row in enumerate(rows)} | dict(zip(("h0", "c0"), hx, strict=True))
    found, expected = (
        outcome(module(pack(rows, is_sorted), hx), given | dict(module.named_parameters()))
        for module in (layer, reference)
    )
    assert_same(found, expected)


@pytest.mark.covering(1)
@every_order
@pytest.mark.parametrize("name", slow_but(["lstm", "layernorm", "zoneout", "learnt_state"], CORE_CELLS))
def test_packing_lengths_and_padding_say_the_same(name, is_sorted, tensors):
    """Outputs, last states and the states over time, with rows that start again in mid-sequence."""
    layer = build(name, num_layers=2, bidirectional=True)
    rows = sorted(sequences(LENGTHS), key=len, reverse=is_sorted)
    lengths = torch.tensor([len(row) for row in rows])
    hx = random_state(layer, ROWS)
    reset = torch.rand(max(LENGTHS), ROWS) < 0.4
    options = {"reset": reset, "return_states": True}
    padded = nn.utils.rnn.pad_sequence(rows)
    output, state, states = layer(pack(rows, is_sorted), hx, **options)
    expected, last, history = layer(padded, hx, lengths=lengths, **options)
    found = pad_packed_sequence(output)[0], *tensors(state), *tensors(states)
    torch.testing.assert_close(found, (expected, *tensors(last), *tensors(history)), rtol=0, atol=1e-12)
    assert [tensor.shape[:3] for tensor in tensors(states)] == [(4, max(LENGTHS), ROWS)] * len(layer.state_names)
    without, _ = layer(pack(rows, is_sorted), hx)
    assert not torch.equal(without.data, output.data)


def test_batch_first_changes_nothing_of_a_packed_batch():
    layer, other = build("lstm"), build("lstm", batch_first=True)
    rows = sequences(LENGTHS)
    padded = nn.utils.rnn.pad_sequence(rows, batch_first=True)
    packed = pack_padded_sequence(padded, torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False)
    output, state = other(packed)
    expected, last = layer(pack(rows))
    assert torch.equal(output.data, expected.data)
    assert all(map(torch.equal, state, last))


def zeros(*features, dtype=torch.float64):
    """Return a packed batch of zeros."""
    return pack([torch.zeros(length, *features, dtype=dtype) for length in LENGTHS])


STATE = torch.zeros(1, ROWS, H, dtype=torch.float64)
REFUSED = {
    "lengths too": (zeros(D), {"lengths": torch.tensor(LENGTHS)}, ("lengths", "PackedSequence")),
    "too many features": (zeros(D + 1), {}, ("input", "4 features", "3")),
    "no features": (zeros(), {}, ("input", "features", "3")),
    "another dtype": (zeros(D, dtype=torch.float32), {}, ("input", "float32", "float64")),
    "integers": (zeros(D, dtype=torch.long), {}, ("input", "int64")),
    "hx of another batch": (zeros(D), {"hx": (STATE[:, 1:],) * 2}, ("hx", "'h'", "(1, 4, 5)", "(1, 5, 5)")),
    "hx without a batch": (zeros(D), {"hx": (STATE[:, 0],) * 2}, ("hx", "'h'", "(1, 5)", "(1, 5, 5)")),
    "hx without c": (zeros(D), {"hx": STATE}, ("hx", "1 tensor", "2 tensors: h, c")),
    "resets of another batch": (zeros(D), {"reset": torch.zeros(7, 4).bool()}, ("reset", "(7, 4)", "(7, 5)")),
    "resets of fewer steps": (zeros(D), {"reset": torch.zeros(6, 5).bool()}, ("reset", "(6, 5)", "(7, 5)")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(case):
    packed, options, words = REFUSED[case]
    with pytest.raises(rnnkit.errors.UsageError) as caught:
        build("lstm")(packed, **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)
