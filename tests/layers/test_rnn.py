"""The layer stands where torch.nn.LSTM, GRU and RNN stand: same weights, same names, same shapes, same numbers."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnnkit

from ..core_cells import CORE_CELLS, TAKING_ALL

ORACLES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}
SHAPES = [  # num_layers, bidirectional, bias, batch_first
    (1, False, True, False),
    (1, False, False, True),
    (1, True, True, True),
    (2, False, True, False),
    (2, True, False, False),
    (3, True, True, False),
]

every_oracle = pytest.mark.parametrize("name", ORACLES)
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)

T, B, D, H = 7, 3, 4, 5


def pair(name, shape=(1, False, True, False), seed=0, **options):
    """Return torch's module and the layer, each built from the same seed, in float64."""
    layers, bidirectional, bias, batch_first = shape
    options |= {"num_layers": layers, "bidirectional": bidirectional, "bias": bias, "batch_first": batch_first}
    torch.manual_seed(seed)
    reference = ORACLES[name](D, H, **options, dtype=torch.float64)
    torch.manual_seed(seed)
    return reference, rnnkit.RNN(name, D, H, **options, dtype=torch.float64)


def tensors(state):
    return state if isinstance(state, tuple) else (state,)


def random_state(name, shape, batch=(B,)):
    cells = shape[0] * (2 if shape[1] else 1)
    state = tuple(torch.randn(cells, *batch, H, dtype=torch.float64) for _ in rnnkit.cells[name].state_names)
    return state if len(state) > 1 else state[0]


@every_shape
@every_oracle
def test_the_same_seed_gives_torch_s_weights(name, shape):
    reference, layer = pair(name, shape)
    expected, found = reference.state_dict(), layer.state_dict()
    assert list(found) == list(expected)
    for key, tensor in expected.items():
        assert torch.equal(found[key], tensor), key


@every_shape
@every_oracle
def test_weights_go_to_torch_and_come_back(name, shape):
    reference, layer = pair(name, shape)
    _, other = pair(name, shape, seed=1)
    layer.load_state_dict(reference.state_dict())
    reference.load_state_dict(other.state_dict())
    for key, tensor in other.state_dict().items():
        assert torch.equal(reference.state_dict()[key], tensor), key
        assert not torch.equal(layer.state_dict()[key], tensor), key


@pytest.mark.parametrize("with_state", [False, True], ids=["no hx", "hx"])
@every_shape
@every_oracle
def test_outputs_states_and_gradients_are_torch_s(name, shape, with_state):
    reference, layer = pair(name, shape)
    xs = torch.randn(*((B, T) if shape[3] else (T, B)), D, dtype=torch.float64, requires_grad=True)
    hx = random_state(name, shape) if with_state else None
    inputs = [xs]
    if with_state:
        inputs += [tensor.requires_grad_() for tensor in tensors(hx)]
    results = []
    for module in (layer, reference):
        output, state = module(xs, hx)
        outputs = (output, *tensors(state))
        weights = [torch.sin(torch.arange(tensor.numel(), dtype=tensor.dtype)).view_as(tensor) for tensor in outputs]
        results.append((outputs, torch.autograd.grad(outputs, [*inputs, *module.parameters()], weights)))
    (found, gradients), (expected, wanted) = results
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradients, wanted, rtol=0, atol=1e-10)


@pytest.mark.parametrize("shape", [(1, False, True, False), (2, True, True, True)], ids=str)
@every_oracle
def test_one_sequence_without_a_batch(name, shape):
    reference, layer = pair(name, shape)
    xs = torch.randn(T, D, dtype=torch.float64)
    state = random_state(name, shape, batch=())
    for hx in (None, state):
        (output, last), (expected, expected_last) = layer(xs, hx), reference(xs, hx)
        torch.testing.assert_close((output, *tensors(last)), (expected, *tensors(expected_last)), rtol=0, atol=1e-12)


@every_shape
@every_oracle
def test_lengths_are_what_packing_is_to_torch(name, shape):
    reference, layer = pair(name, shape)
    lengths = torch.tensor([5, 7, 1])
    batch_first = shape[3]
    xs = torch.randn(*((B, T) if batch_first else (T, B)), D, dtype=torch.float64, requires_grad=True)
    hx = random_state(name, shape)
    output, state = layer(xs, hx, lengths=lengths)
    packed = pack_padded_sequence(xs, lengths, batch_first=batch_first, enforce_sorted=False)
    packed_output, expected_state = reference(packed, hx)
    expected, _ = pad_packed_sequence(packed_output, batch_first=batch_first, total_length=T)
    torch.testing.assert_close((output, *tensors(state)), (expected, *tensors(expected_state)), rtol=0, atol=1e-12)
    gradients = [
        torch.autograd.grad(ys.sin().sum() + tensors(last)[-1].sum(), [xs, *module.parameters()])
        for module, ys, last in ((layer, output, state), (reference, expected, expected_state))
    ]
    torch.testing.assert_close(*gradients, rtol=0, atol=1e-10)


@pytest.mark.parametrize("name", CORE_CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_reset_cuts_the_sequence_in_two(name, bidirectional):
    """Both directions: a segment between two starts knows nothing of what is outside of it."""
    torch.manual_seed(0)
    layer = rnnkit.RNN(name, D, H, num_layers=2, bidirectional=bidirectional, dtype=torch.float64).eval()
    xs = torch.randn(T, 1, D, dtype=torch.float64)
    cuts = [0, 2, 3, T]
    reset = torch.zeros(T, 1, dtype=torch.bool)
    reset[cuts[1:-1]] = True
    output, _ = layer(xs, reset=reset)
    segments = [layer(xs[start:stop])[0] for start, stop in pairwise(cuts)]
    torch.testing.assert_close(output, torch.cat(segments), rtol=0, atol=1e-12)


def test_resets_and_lengths_in_the_reverse_direction_row_by_row():
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", D, H, bidirectional=True, dtype=torch.float64)
    xs = torch.randn(T, B, D, dtype=torch.float64)
    lengths, starts = torch.tensor([7, 4, 5]), [(3,), (1, 2), ()]
    reset = torch.tensor([[t in starts[row] for row in range(B)] for t in range(T)])
    output, _ = layer(xs, lengths=lengths, reset=reset)
    for row, length in enumerate(lengths.tolist()):
        cuts = [0, *starts[row], length]
        segments = [layer(xs[start:stop, row])[0] for start, stop in pairwise(cuts)]
        torch.testing.assert_close(output[:length, row], torch.cat(segments), rtol=0, atol=1e-12)
        assert not output[length:, row].any()


@pytest.mark.covering(1)
@pytest.mark.parametrize("unroller", TAKING_ALL)
@pytest.mark.parametrize("name", CORE_CELLS)
def test_shapes_for_every_cell(name, unroller):
    layer = rnnkit.RNN(name, D, H, num_layers=2, bidirectional=True, batch_first=True, unroller=unroller)
    output, state = layer(torch.randn(B, T, D))
    assert output.shape == (B, T, 2 * H)
    assert isinstance(state, tuple) == (len(layer.state_names) > 1)
    assert [tensor.shape for tensor in tensors(state)] == [(4, B, H)] * len(layer.state_names)
    assert [tensor.shape for tensor in tensors(layer.initial_state(B))] == [(4, B, H)] * len(layer.state_names)
    more, _ = layer(torch.randn(B, T, D), state)
    assert more.shape == output.shape


def test_a_start_in_the_padding_is_none_in_either_direction():
    layer = rnnkit.RNN("lstm", 3, 4, bidirectional=True, dtype=torch.float64)
    xs, hx = torch.randn(5, 1, 3, dtype=torch.float64), tuple(torch.randn(2, 2, 1, 4, dtype=torch.float64))
    reset = torch.zeros(5, 1, dtype=torch.bool)
    lengths = torch.tensor([3])
    output, state = layer(xs, hx, lengths=lengths, reset=reset)
    reset[3] = True
    again, after = layer(xs, hx, lengths=lengths, reset=reset)
    assert torch.equal(output, again)
    assert all(map(torch.equal, state, after))


def test_a_cell_in_a_layer_follows_its_mode():
    layer = rnnkit.RNN("lstm", 3, 4)
    for mode in (False, True):
        layer.train(mode)
        layer(torch.randn(2, 1, 3))
        assert layer.cells[0].training is mode


class BareStart(rnnkit.Cell):
    """Names neither dtype nor device in its initial state, as no cell should."""

    name = "bare-start"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def initial_state(self, batch_size):
        return (torch.ones(batch_size, self.hidden_size),)

    def step(self, p, state):
        h = torch.tanh(self.read(torch.cat([p, *state], dim=1)))
        return h, (h,)


def test_an_initial_state_is_made_where_the_cell_is():
    rnnkit.testing.check_cell(BareStart)
    for dtype, device in ((torch.float64, "cpu"), (torch.float32, "meta")):
        layer = rnnkit.RNN(BareStart, 3, 4, dtype=dtype, device=device)
        output, h = layer(torch.zeros(5, 2, 3, dtype=dtype, device=device))
        assert (output.dtype, h.dtype, h.device.type) == (dtype, dtype, device)
        assert layer.initial_state(2).dtype == dtype
