"""Calls that no shortcut takes look at each cell once: they give what the loop gives, and no change escapes them."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import rnnkit
from rnnkit_compiler import _making

STEPS, ROWS, INPUT, HIDDEN = 5, 3, 4, 6
LENGTHS = torch.tensor([5, 2, 4])
RESET = torch.zeros(STEPS, ROWS, dtype=torch.bool).index_put(
    (torch.tensor([2, 3]), torch.tensor([0, 2])), torch.tensor(True)
)
LAYERS = {
    "one layer": {},
    "both ways": {"bidirectional": True},
    "both ways, two layers": {"bidirectional": True, "num_layers": 2},
    "residual": {"num_layers": 2, "residual": True},
    "batch first": {"batch_first": True},
}
MASKS = {
    "none": {},
    "lengths": {"lengths": LENGTHS},
    "reset": {"reset": RESET},
    "both": {"lengths": LENGTHS, "reset": RESET},
}


@pytest.fixture
def looks(monkeypatch):
    """Return the cells that were looked at in full."""
    seen, look = [], _making.Fingerprint
    monkeypatch.setattr(_making, "Fingerprint", lambda cell: seen.append(cell) or look(cell))
    return seen


def layers_of(cell="lstm", **options):
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, INPUT, HIDDEN, dtype=torch.float64, unroller="compiled", **options)
    loop = rnnkit.RNN(cell, INPUT, HIDDEN, dtype=torch.float64, unroller="loop", **options)
    loop.load_state_dict(layer.state_dict())
    return layer, loop


def input_of(layer):
    torch.manual_seed(1)
    shape = (ROWS, STEPS, INPUT) if layer.batch_first else (STEPS, ROWS, INPUT)
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def results(layer, order=1, **masks):
    """Return outputs, last states and gradients."""
    xs = input_of(layer)
    ys, last = layer(xs, **masks)
    last = last if isinstance(last, tuple) else (last,)
    total = ys.sin().sum() + sum(tensor.cos().sum() for tensor in last)
    leaves = [xs, *layer.parameters()]
    grads = torch.autograd.grad(total, leaves, create_graph=order == 2)
    if order == 2:
        grads = torch.autograd.grad(sum(grad.sin().sum() for grad in grads), leaves)
    return [ys, *last, *grads]


def assert_alike(layer, loop, **masks):
    for order in (1, 2):
        for ours, theirs in zip(results(layer, order, **masks), results(loop, order, **masks), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("form", LAYERS)
@pytest.mark.parametrize("cell", ["lstm", "layernorm"])
def test_what_is_bound_gives_what_the_loop_gives(cell, form, masks, looks):
    layer, loop = layers_of(cell, **LAYERS[form])
    for _ in range(3):
        results(layer, **MASKS[masks])
    looks.clear()
    assert_alike(layer, loop, **MASKS[masks])
    assert looks == []


@pytest.mark.parametrize("grad", [True, False])
def test_packed_sequences_and_states_are_looked_at_once(grad, looks):
    layer, loop = layers_of(bidirectional=True)
    hx = tuple(torch.randn(2, ROWS, HIDDEN, dtype=torch.float64) for _ in range(2))
    with torch.set_grad_enabled(grad):
        packed = pack_padded_sequence(input_of(layer), LENGTHS, enforce_sorted=False)
        for _ in range(3):
            layer(packed, hx)
        looks.clear()
        (ours, last), (theirs, other) = layer(packed, hx), loop(packed, hx)
    assert looks == []
    for one, another in zip(
        (pad_packed_sequence(ours)[0], *last), (pad_packed_sequence(theirs)[0], *other), strict=True
    ):
        torch.testing.assert_close(one, another)


def test_weights_that_are_written_loaded_or_exchanged_count_from_the_next_call_on():
    layer, loop = layers_of(bidirectional=True)
    for _ in range(3):
        layer(input_of(layer), lengths=LENGTHS)
    for change in (
        lambda one: one.weight_hh_l0.data.mul_(2),
        lambda one: setattr(one, "weight_ih_l0_reverse", torch.nn.Parameter(one.weight_ih_l0_reverse.detach() + 0.5)),
        lambda one: one.load_state_dict({name: tensor + 0.1 for name, tensor in one.state_dict().items()}),
        lambda one: setattr(one.bias_hh_l0, "data", one.bias_hh_l0.data - 1),
    ):
        for one in (layer, loop):
            change(one)
        assert_alike(layer, loop, lengths=LENGTHS)


def test_what_is_wrong_is_said_as_ever():
    layer, _ = layers_of()
    xs = input_of(layer)
    for _ in range(3):
        layer(xs, lengths=LENGTHS)
    with pytest.raises(rnnkit.errors.ShapeError, match="lengths"):
        layer(xs, lengths=torch.tensor([5, 9, 1]))
    with pytest.raises(rnnkit.errors.ShapeError, match="reset"):
        layer(xs, reset=RESET[1:])


def test_padding_reaches_nothing():
    layer, loop = layers_of()
    for _ in range(3):
        layer(input_of(layer), lengths=LENGTHS)
    with torch.no_grad():
        xs = input_of(layer).detach()
        xs[2:, 1] = torch.nan
        ours, theirs = (one(xs, lengths=LENGTHS)[0] for one in (layer, loop))
    assert ours.isfinite().all()
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("masks", [{}, {"lengths": LENGTHS}, {"lengths": torch.full((ROWS,), STEPS)}])
@pytest.mark.parametrize("rows", [1, ROWS])
def test_a_layer_of_another_dtype_is_looked_at_once_again(masks, rows, looks):
    layer, _ = layers_of()
    masks = {name: mask[:rows] for name, mask in masks.items()}
    xs = torch.rand(STEPS, rows, INPUT, dtype=torch.float64)
    for dtype in (torch.float64, torch.float32):
        layer.to(dtype)
        for _ in range(8):
            looks.clear()
            with torch.no_grad():
                layer(xs.to(dtype), **masks)
        assert not looks


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("form", ["lengths", "one row", "packed", "a sequence alone"])
def test_rows_that_all_run_to_the_end_are_looked_at_once(form, grad, looks):
    layer, loop = layers_of()
    xs = torch.rand(STEPS, 1 if form == "one row" else ROWS, INPUT, dtype=torch.float64)
    ends = torch.full((xs.shape[1],), STEPS)
    given = {"packed": pack_padded_sequence(xs, ends), "a sequence alone": xs[:, 0]}.get(form, xs)
    masks = {"lengths": ends} if given is xs else {}
    with torch.set_grad_enabled(grad):
        for _ in range(4):
            looks.clear()
            ys, last = layer(given, **masks)
        assert not looks
        expected, state = loop(given, **masks)
    pairs = zip(ys[:1] if form == "packed" else [ys], expected[:1] if form == "packed" else [expected], strict=True)
    for one, other in (*pairs, *zip(last, state, strict=True)):
        torch.testing.assert_close(one, other)


class Kept(torch.Tensor):
    """What is made of it is of its class, too."""


@pytest.mark.parametrize("options", [{}, {"bidirectional": True}], ids=str)
def test_input_and_states_of_a_class_of_their_own_are_left_to_the_loop(options):
    layer, loop = layers_of(**options)
    xs = input_of(layer).detach()
    for _ in range(3):
        layer(xs, lengths=LENGTHS)
    directions = 2 if options else 1
    hx = tuple(torch.randn(directions, ROWS, HIDDEN, dtype=torch.float64).as_subclass(Kept) for _ in range(2))
    for given in ((xs.as_subclass(Kept), None), (xs, hx)):
        (ours, _), (theirs, _) = (one(*given, lengths=LENGTHS) for one in (layer, loop))
        assert type(ours) is type(theirs) is Kept
        torch.testing.assert_close(ours, theirs)


def test_each_direction_reads_as_torch_does():
    """Not only as the loop does, which goes the same way through a layer."""
    layer, _ = layers_of(bidirectional=True, num_layers=2)
    torchs = torch.nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True, dtype=torch.float64)
    torchs.load_state_dict(layer.state_dict())
    xs = input_of(layer)
    packed = pack_padded_sequence(xs, LENGTHS, enforce_sorted=False)
    for _ in range(3):
        ys, last = layer(xs, lengths=LENGTHS)
    expected, states = torchs(packed)
    torch.testing.assert_close((ys, *last), (pad_packed_sequence(expected)[0], *states))
    (ys, _), (expected, _) = layer(xs), torchs(xs)
    torch.testing.assert_close(ys, expected)
