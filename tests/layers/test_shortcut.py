"""Calls take a shortcut, with gradients and without, which no change escapes: they always give what the loop gives."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.func import functional_call, vmap
from torch.nn.utils import parametrizations

import rnnkit
from rnnkit.layers.shortcuts import Shortcuts

XS = torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(1))


WAYS = ("without gradients", "without gradients, of many rows", "with gradients")
LONG_WAYS = ("cell by cell, without gradients", "cell by cell, with gradients")


@pytest.fixture(autouse=True, params=(*WAYS, *LONG_WAYS))
def gradients(request, monkeypatch):
    """Run a test without gradients, of few rows and as if they were many, and with them; and where no call is plain."""
    if "many" in request.param:
        monkeypatch.setattr("rnnkit.layers.advancing_shortcut.MOST_ROWS", 0)
    if request.param in LONG_WAYS:
        monkeypatch.setattr(Shortcuts, "run", lambda *call: None)
        monkeypatch.setattr("rnnkit.layers.shortcuts.is_simple", lambda layer: False)
        monkeypatch.setattr(Shortcuts, "for_input", lambda self, xs: self.for_cells())
    with torch.set_grad_enabled(request.param.endswith("with gradients")):
        yield torch.is_grad_enabled()


class Scaled(rnnkit.Cell):
    """Reads an attribute, one of its class, a global, a list and a buffer, and has a submodule."""

    class_factor = 1.0

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.register_buffer("shift", torch.zeros(hidden_size))
        self.factor, self.factors = 1.0, [1.0]

    def step(self, x, state):
        (h,) = state
        scale = self.factor * self.class_factor * self.factors[0] * FACTOR
        h = torch.tanh(scale * self.read(torch.cat([x, h], 1)) + self.shift)
        return h, (h,)


FACTOR = 1.0


def layer_of(cell="lstm", **options):
    torch.manual_seed(0)
    return rnnkit.RNN(cell, 3, 4, **options)


def shortcut_of(layer, xs=XS):
    shortcuts = layer._shortcuts.for_input(xs)
    return shortcuts._known.get(shortcuts._kind.form(xs))


def warmed(layer, xs=XS, hx=None):
    """Call a layer until it takes the shortcut, and return what it gives then."""
    for _ in range(3):
        given = layer(xs, hx)
    assert shortcut_of(layer, xs) is not None
    return given


def by_the_loop(layer, xs=XS, hx=None):
    other = copy.deepcopy(layer)
    other.unroller = "loop"
    return other(xs, hx)


def assert_same(given, expected):
    flat = torch.utils._pytree.tree_leaves
    for a, b in zip(flat(given), flat(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "layernorm", "zoneout(lstm)", Scaled])
@pytest.mark.covering(2)
def test_the_shortcut_gives_what_the_loop_gives(cell, batch_first, num_layers):
    layer = layer_of(cell, num_layers=num_layers, batch_first=batch_first).eval()
    xs = XS.transpose(0, 1) if batch_first else XS
    assert_same(warmed(layer, xs), by_the_loop(layer, xs))
    hx = layer.layout.unflat([torch.randn_like(t) for t in layer.layout.flat(layer.initial_state(2))])
    given = layer(xs, hx)
    assert_same(given, by_the_loop(layer, xs, hx))
    assert all(a.data_ptr() != b.data_ptr() for a, b in zip(*map(layer.layout.flat, (hx, given[1])), strict=True))


@torch.no_grad()
def double_by_data(layer):
    for parameter in layer.parameters():
        parameter.data.mul_(2)


@torch.no_grad()
def exchange_data(layer):
    for parameter in layer.parameters():
        parameter.data = 2 * parameter.data


@torch.no_grad()
def transpose_data(layer):
    layer.weight_hh_l0.data = layer.weight_hh_l0.data.view(4, 16).t().reshape(16, 4)


@torch.no_grad()
def stride_data(layer):
    """The same memory, read in another order."""
    layer.weight_hh_l0.data = layer.weight_hh_l0.data.as_strided((16, 4), (1, 16))


@torch.no_grad()
def negate_by_a_mark(layer):
    """The same memory, read with another sign."""
    layer.weight_hh_l0.data = layer.weight_hh_l0.data._neg_view()


@torch.no_grad()
def double_in_place(layer):
    for parameter in layer.parameters():
        parameter.mul_(2)


def write_by_numpy(layer):
    layer.bias_ih_l0.detach().numpy()[:] = 3


def load(layer):
    layer.load_state_dict({name: 2 * tensor for name, tensor in layer.state_dict().items()})


def assign(layer):
    layer.load_state_dict({name: 2 * tensor for name, tensor in layer.state_dict().items()}, assign=True)


def replace(layer):
    layer.weight_hh_l0 = torch.nn.Parameter(2 * layer.weight_hh_l0.detach())


def parametrize(layer):
    parametrizations.weight_norm(layer, "weight_hh_l0")
    layer.parametrizations.weight_hh_l0.original0.data.mul_(2)


OF_WEIGHTS = [
    *(double_by_data, exchange_data, transpose_data, stride_data, negate_by_a_mark, double_in_place),
    *(write_by_numpy, load, assign, replace, parametrize),
]


@pytest.mark.parametrize("change", OF_WEIGHTS)
def test_a_change_of_weights_counts_from_the_next_call_on(change):
    layer, hx = layer_of(), (torch.full((1, 2, 4), 0.5), torch.full((1, 2, 4), 0.5))
    before = warmed(layer, hx=hx)
    change(layer)
    given = layer(XS, hx)
    assert not torch.equal(given[0], before[0])
    assert_same(given, by_the_loop(layer, hx=hx))


def attribute(layer, monkeypatch):
    layer._cells[0].factor = 2.0


def negative_zero(layer, monkeypatch):
    layer._cells[0].factor = -1.0


def in_a_list(layer, monkeypatch):
    layer._cells[0].factors[0] = 2.0


def of_the_class(layer, monkeypatch):
    monkeypatch.setattr(Scaled, "class_factor", 2.0)


def a_global(layer, monkeypatch):
    monkeypatch.setitem(globals(), "FACTOR", 2.0)


def the_step(layer, monkeypatch):
    monkeypatch.setattr(Scaled, "step", lambda self, x, state: (state[0] + 1, (state[0] + 1,)))


def a_buffer(layer, monkeypatch):
    layer.shift_l0 += 1


def a_submodule(layer, monkeypatch):
    layer.read_l0 = torch.nn.Linear(7, 4)


def weights_of_a_submodule(layer, monkeypatch):
    layer.read_l0.weight.data = 2 * layer.read_l0.weight.data


def a_hook(layer, monkeypatch):
    layer.read_l0.register_forward_hook(lambda module, args, result: 2 * result)


def parametrized_submodule(layer, monkeypatch):
    parametrizations.weight_norm(layer.read_l0, "weight")
    layer.read_l0.parametrizations.weight.original0.data.mul_(2)


OF_CELLS = [
    *(attribute, negative_zero, in_a_list, of_the_class, a_global, the_step, a_buffer),
    *(a_submodule, weights_of_a_submodule, a_hook, parametrized_submodule),
]


@pytest.mark.parametrize("change", OF_CELLS)
def test_a_change_of_a_cell_counts_from_the_next_call_on(change, monkeypatch):
    layer = layer_of(Scaled)
    before = warmed(layer)
    change(layer, monkeypatch)
    given = layer(XS)
    assert not torch.equal(given[0], before[0])
    assert_same(given, by_the_loop(layer))


def test_settings_of_the_layer_count_from_the_next_call_on():
    layer = layer_of("lstm", num_layers=2, dropout=0.5).eval()
    xs = torch.randn(2, 2, 3)
    assert_same(warmed(layer, xs), by_the_loop(layer, xs))
    layer.batch_first = True
    assert_same(layer(xs), by_the_loop(layer, xs))
    layer.batch_first = False
    layer.train()
    assert not torch.equal(layer(xs)[0], layer(xs)[0])  # dropped


def test_to_look_for_a_shortcut_draws_no_random_numbers():
    layer = layer_of()
    rnnkit.weight_drop(layer, 0.5, "weight_hh")
    drawn = []
    for each in (layer, layer, layer, layer):
        torch.manual_seed(0)
        each(XS)
        drawn.append(torch.rand(1))
    assert len(set(map(float, drawn))) == 1


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_input_of_another_kind_is_refused_as_ever():
    layer = layer_of()
    warmed(layer)
    with pytest.raises(rnnkit.errors.UsageError, match="nested tensor of another kind"):
        layer(torch.nested.nested_tensor([torch.ones(2, 3), torch.ones(1, 3)]))


class Complex(rnnkit.Cell):
    """Takes real input or complex, with a complex state."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.decay = torch.nn.Parameter(torch.rand(hidden_size))
        self.turn = torch.nn.Parameter(torch.randn(hidden_size, dtype=torch.complex64))

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, self.hidden_size, dtype=torch.complex64),)

    def step(self, x, state):
        h = 0.5 * state[0] * self.decay * self.turn + x.sum(1, keepdim=True) * self.turn
        return h, (h,)


def test_complex_input_goes_the_long_way():
    layer, xs = layer_of(Complex), torch.complex(XS, -XS)
    for _ in range(4):
        assert_same(layer(xs), by_the_loop(layer, xs))


def test_training_and_evaluation_of_a_cell_are_told_apart():
    layer = layer_of("zoneout(lstm)", rate=0.5).eval()
    warmed(layer)
    layer.train()
    assert any(not torch.equal(layer(XS)[0], layer(XS)[0]) for _ in range(8))


def test_calls_of_other_forms_go_the_long_way():
    layer = layer_of()
    warmed(layer)
    loop = copy.deepcopy(layer)
    loop.unroller = "loop"
    wide = torch.randn(1, 2, 6)
    lengths = torch.tensor([1, 1])
    calls = [
        lambda layer: layer(wide[..., ::2]),
        lambda layer: layer(XS, (torch.ones(1, 4, 2).transpose(1, 2), torch.ones(1, 2, 4))),
        lambda layer: layer(XS, lengths=lengths),
        lambda layer: layer(XS, reset=torch.ones(1, 2, dtype=torch.bool)),
        lambda layer: layer(XS, return_states=True),
        lambda layer: layer(torch._neg_view(XS)),
        lambda layer: vmap(lambda x: layer(x)[0])(torch.stack([XS, XS])),
        lambda layer: functional_call(layer, {"bias_ih_l0": torch.ones(16)}, (XS,)),
        lambda layer: layer(XS.expand(1, 2, 3)),
    ]
    for call in calls:
        assert_same(call(layer), call(loop))
    for bad in (XS.double(), XS.to("meta")):
        with pytest.raises(rnnkit.errors.ShapeError):
            layer(bad)
    with pytest.raises(rnnkit.errors.ShapeError, match="hx"):
        layer(XS, (torch.zeros(1, 2, 4),))


def test_a_call_with_gradients_takes_no_shortcut_of_one_without():
    layer = layer_of()
    with torch.no_grad():
        warmed(layer)
    with torch.enable_grad():
        assert layer(XS)[0].requires_grad


def derivatives(layer, xs, order):
    """Return gradients of input, states and weights, of a sum over outputs and last states, or those of their sum."""
    with torch.enable_grad():
        xs, rows = xs.clone().requires_grad_(), xs.shape[0 if layer.batch_first else 1]
        hx = [
            torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view(t.shape)
            for t in layer.layout.flat(layer.initial_state(rows))
        ]
        tensors = [xs, *(h.requires_grad_() for h in hx), *layer.parameters()]
        ys, last = layer(xs, layer.layout.unflat(hx))
        total = sum(t.square().sum() for t in (ys, *layer.layout.flat(last)))
        grads = torch.autograd.grad(total, tensors, create_graph=order == 2)
        return grads if order == 1 else torch.autograd.grad(sum(g.square().sum() for g in grads), tensors)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru", "layernorm", "zoneout(lstm)", Scaled])
@pytest.mark.covering(2)
def test_gradients_are_the_loop_s(cell, num_layers, order):
    layer = layer_of(cell, num_layers=num_layers, batch_first=num_layers == 2).double().eval()
    with torch.enable_grad():
        warmed(layer, XS.double())
    loop = copy.deepcopy(layer)
    loop.unroller = "loop"
    for steps, rows in ((1, 1), (5, 2), (2, 5), (5, 2)):
        xs = torch.randn(steps, rows, 3, dtype=torch.double)
        given, expected = (derivatives(each, xs, order) for each in (layer, loop))
        torch.testing.assert_close(given, expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("gradients", WAYS, indirect=True)
@pytest.mark.parametrize(("rows", "kind"), [(32, "AdvancingShortcut"), (33, "BoundShortcut")])
def test_few_rows_have_room_of_their_own_without_gradients(rows, kind, gradients, monkeypatch):
    monkeypatch.setattr("rnnkit.layers.advancing_shortcut.MOST_ROWS", 64)
    layer, xs = layer_of(), torch.ones(2, rows, 3)
    assert_same(warmed(layer, xs), by_the_loop(layer, xs))
    assert type(shortcut_of(layer, xs)).__name__ == ("BoundShortcut" if gradients else kind)


@pytest.mark.parametrize("num_layers", [1, 2])
def test_any_number_of_rows_begins_with_zeros(num_layers):
    layer = layer_of("gru", num_layers=num_layers)
    with torch.enable_grad():
        warmed(layer)
        for rows in (2, 5, 1, 5):
            xs = torch.randn(3, rows, 3)
            assert_same(layer(xs), by_the_loop(layer, xs))


class Asks(rnnkit.Cell):
    """Does something else where its weight is learnt."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        h = torch.tanh(self.read(torch.cat([x, state[0]], 1)))
        return (h if self.read.weight.requires_grad else -h), (h,)


def test_whether_a_weight_is_learnt_counts_from_the_next_call_on():
    layer = layer_of(Asks)
    before = warmed(layer)
    layer.read_l0.weight.requires_grad_(False)
    torch.testing.assert_close(layer(XS)[0], -before[0])


def test_a_weight_that_is_frozen_later_has_no_gradient():
    layer = layer_of()
    with torch.enable_grad():
        warmed(layer)
        layer.weight_hh_l0.requires_grad_(False)
        for _ in range(3):
            layer(XS)[0].sum().backward()
    assert layer.weight_hh_l0.grad is None
    assert layer.weight_ih_l0.grad is not None


def test_what_was_made_in_inference_mode_goes_the_long_way():
    layer = layer_of()
    with torch.enable_grad():
        warmed(layer)
        with torch.inference_mode():
            xs, h = torch.ones(1, 2, 3), torch.ones(1, 2, 4)
        for given in ((xs, None), (XS, (h, h))):
            with pytest.raises(RuntimeError, match="nference tensors cannot be saved"):
                layer(*given)
        more = torch.ones(1, 5, 3)
        with torch.inference_mode(), torch.enable_grad():
            warmed(layer, more)
        layer(more)[0].sum().backward()


def test_copies_begin_with_no_shortcut():
    layer = layer_of()
    before = warmed(layer)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert shortcut_of(other) is None
        assert_same(warmed(other), before)
    half = rnnkit.copy_with_tensors(layer, {name: t.detach() / 2 for name, t in layer.named_parameters()})
    assert_same(half(XS), by_the_loop(half))
    assert_same(layer(XS), before)


def test_a_cell_that_changes_at_every_call_is_not_looked_at_for_ever(monkeypatch):
    layer = layer_of(Scaled)
    looked, of = [], type(layer.unroller)
    for name in ("bound", "advancer"):
        inner = getattr(of, name)
        monkeypatch.setattr(of, name, lambda self, *given, do=inner: looked.append(given) or do(self, *given))
    for k in range(200):
        layer._cells[0].factor = 1 + k / 200
        layer(XS)
    assert 1 <= len(looked) < 10


def test_threads_share_a_layer():
    layer = layer_of("lstm", num_layers=2)
    warmed(layer)
    inputs = [torch.randn(1, 2, 3) for _ in range(16)]
    expected = [by_the_loop(layer, xs) for xs in inputs]

    def call(k):
        return [layer(inputs[k]) for _ in range(50)]

    with ThreadPoolExecutor(4) as pool:
        for given, wanted in zip(pool.map(call, range(16)), expected, strict=True):
            for one in given:
                assert_same(one, wanted)


def test_learnt_initial_states_are_read_anew():
    layer = layer_of("gru", trainable_state=True)
    before = warmed(layer)
    layer.initial_h_l0.data.add_(1)
    given = layer(XS)
    assert not torch.equal(given[0], before[0])
    assert_same(given, by_the_loop(layer))
