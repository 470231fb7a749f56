"""What a call computes stays in the call: parametrized weights, in a cell or in its submodules, are put into a copy."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn
from torch.func import functional_call, vmap
from torch.nn.utils import parametrize, prune
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

import rnnkit

from ..core_cells import TAKING_ALL

T, B, D, H = 7, 3, 4, 5
every_unroller = pytest.mark.parametrize("unroller", TAKING_ALL)


class Modular(rnnkit.Cell):
    """A minimal gated unit made of nn.Linear, with a buffer."""

    name = "modular"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size, 2 * hidden_size)
        self.both = nn.ModuleDict({"f": nn.Linear(hidden_size, hidden_size), "n": nn.Linear(hidden_size, hidden_size)})
        self.register_buffer("offset", torch.zeros(hidden_size))

    def project(self, xs):
        return self.read(xs)

    def step(self, p, state):
        (h,) = state
        p_f, p_n = p.chunk(2, 1)
        f = torch.sigmoid(p_f + self.both["f"](h))
        h = (1 - f) * h + f * torch.tanh(p_n + self.both["n"](f * h) + self.offset)
        return h, (h,)


class Counting(nn.Module):
    """A parametrization that counts how often it is computed."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, weight):
        self.count += 1
        return weight / 2


def build(cell=Modular, **options):
    torch.manual_seed(0)
    return rnnkit.RNN(cell, D, H, dtype=torch.float64, **options)


def draw():
    return torch.randn(T, B, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("cell", [Modular, "residual"], ids=["bare", "wrapped"])
@every_unroller
def test_a_submodule_s_weight_is_computed_once_a_call(unroller, cell):
    layer = build(cell, unroller=unroller) if cell is Modular else build(cell, inner=Modular, unroller=unroller)
    plain = copy.deepcopy(layer)
    (name,) = layer.parameter_names("both.n.weight")
    assert name == "both_l0.n.weight"
    counting = Counting()
    parametrize.register_parametrization(layer.both_l0["n"], "weight", counting)
    with torch.no_grad():
        plain.both_l0["n"].weight /= 2
    assert layer.parameter_names("both.n.weight") == [name]
    counting.count = 0
    xs = draw().requires_grad_()
    output = layer(xs)[0]
    assert counting.count == 1
    found = torch.autograd.grad(output.sin().sum(), [xs, layer.both_l0["n"].parametrizations.weight.original])
    assert counting.count == 1
    expected = torch.autograd.grad(plain(xs)[0].sin().sum(), [xs, plain.both_l0["n"].weight])
    torch.testing.assert_close(found, (expected[0], expected[1] / 2), rtol=0, atol=1e-12)
    assert torch.equal(layer.parameters_of(0)["both.n.weight"], plain.both_l0["n"].weight)


def drop(layer):
    rnnkit.weight_drop(layer, 0.5, ["both.n.weight", "read.weight"])


def normalise(layer):
    weight_norm(layer.both_l0["f"])


def bound(layer):
    spectral_norm(layer.both_l0["f"])


@pytest.mark.parametrize("parametrization", [drop, normalise, bound])
def test_every_unroller_gives_the_same_gradients(parametrization):
    results = []
    for unroller in TAKING_ALL:
        layer = build(unroller=unroller)
        parametrization(layer)
        torch.manual_seed(2)
        output = layer(draw())[0]
        results.append((output, *torch.autograd.grad(output.sin().sum(), list(layer.parameters()))))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0], rtol=0, atol=1e-12)
    assert all(gradient.any() for gradient in results[0][1:])


def test_a_replaced_submodule_is_the_one_that_is_used():
    layer = build()
    other = nn.Linear(D, 2 * H, dtype=torch.float64)
    layer.read_l0 = other
    twin = build()
    twin.read_l0.load_state_dict(other.state_dict())
    assert torch.equal(layer(draw())[0], twin(draw())[0])


def test_nothing_computed_is_left_in_the_cell():
    layer = build("gru")
    held = layer.cells[0].weight_hh
    weight_norm(layer, "weight_hh_l0")
    layer(draw())
    assert layer.cells[0].weight_hh is held
    assert copy.deepcopy(layer)(draw())[0].shape == (T, B, H)


def test_a_buffer_of_one_call_is_not_left_for_the_next():
    layer, offsets, xs = build(), torch.randn(2, H, dtype=torch.float64), draw()

    def run(offset):
        return functional_call(layer, {"offset_l0": offset}, (xs,))[0]

    outputs = vmap(run)(offsets)
    for output, offset in zip(outputs, offsets, strict=True):
        torch.testing.assert_close(run(offset), output, rtol=0, atol=1e-12)
    assert not layer.cells[0].offset.any()
    assert torch.equal(pickle.loads(pickle.dumps(layer))(draw())[0], layer(draw())[0])


def test_a_moved_buffer_is_the_one_that_is_used():
    layer = build().to(torch.float32)
    layer.offset_l0.fill_(0.5)
    assert layer.cells[0].offset is layer.offset_l0
    assert not torch.equal(layer(draw().float())[0], build().to(torch.float32)(draw().float())[0])


def test_threads_do_not_meet_in_a_layer():
    layer = build("lstm")
    weight_norm(layer, "weight_hh_l0")
    inputs = [torch.randn(T, B, D, dtype=torch.float64) for _ in range(40)]
    with torch.no_grad():
        expected = [layer(xs)[0] for xs in inputs]

    def run(xs):
        with torch.no_grad():
            return layer(xs)[0]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, inputs))
    assert all(map(torch.equal, found, expected))


class Choosing(rnnkit.Cell):
    """Keeps one of its own methods as an attribute."""

    name = "choosing"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.w = nn.Parameter(torch.randn(hidden_size, input_size))
        self.u = nn.Parameter(torch.randn(hidden_size, hidden_size))
        self.mix = self.product

    def product(self, h):
        return h @ self.u.T

    def step(self, p, state):
        h = torch.tanh(p @ self.w.T + self.mix(state[0]))
        return h, (h,)


def test_a_method_kept_as_an_attribute_is_the_twin_s():
    layer, xs = build(Choosing), draw()
    weights = {name: parameter.detach() for name, parameter in layer.named_parameters()}
    found = torch.func.grad(lambda weights: functional_call(layer, weights, (xs,))[0].sin().sum())(weights)
    layer(xs)[0].sin().sum().backward()
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=0, atol=1e-12)
    assert found["u_l0"].any()


class Tied(rnnkit.Cell):
    """Uses one submodule under two names."""

    name = "tied"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size, hidden_size)
        self.one = nn.Linear(hidden_size, hidden_size)
        self.other = self.one

    def project(self, xs):
        return self.read(xs)

    def step(self, p, state):
        h = torch.tanh(p + self.one(state[0]))
        h = torch.tanh(p + self.other(h))
        return h, (h,)


@every_unroller
def test_a_tied_submodule_is_computed_once_for_both(unroller):
    layer = build(Tied, unroller=unroller)
    rnnkit.weight_drop(layer, 0.5, "one.weight")
    cell = layer.equipped(0)
    assert cell.one is cell.other
    results = []
    for through in ("loop", unroller):
        layer.unroller = rnnkit.unrollers[through]()
        torch.manual_seed(3)
        results.append(torch.autograd.grad(layer(draw())[0].sin().sum(), list(layer.parameters())))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("compute", [lambda layer: rnnkit.weight_drop(layer, 0.5, "one.weight"), None])
def test_what_is_computed_is_not_drawn_again_in_silence(compute):
    layer = build(Tied) if compute else build("lstm")
    if compute:
        compute(layer)
    else:
        prune.l1_unstructured(layer, "weight_hh_l0", 0.3)
    with pytest.raises(rnnkit.errors.UsageError, match="the layer is parametrized"):
        layer.reset_parameters()


@every_unroller
def test_a_submodule_replaced_before_the_way_back_changes_no_gradient(unroller):
    gradients = []
    for replace in (False, True):
        layer = build(unroller=unroller)
        weight = layer.both_l0["n"].weight
        output, _ = layer(draw())
        if replace:
            layer.read_l0 = nn.Sequential(nn.Linear(D, 2 * H, dtype=torch.float64), nn.ReLU())
            layer(draw())
        output.sin().sum().backward()
        gradients.append(weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=1e-12)


@every_unroller
def test_a_lazy_submodule_is_made_by_the_first_call(unroller):
    class Lazy(Modular):
        name = "lazy"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.read = nn.LazyLinear(2 * hidden_size)

    layer = build(Lazy, unroller=unroller)
    layer(draw())[0].sum().backward()
    assert layer.read_l0.weight.grad.shape == (2 * H, D)
    layer(draw())[0].sum().backward()
