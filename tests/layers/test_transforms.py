"""The layer is an ordinary module: copied, moved, saved, called with other weights, differentiated by torch.func."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, jvp, vmap
from torch.nn.utils import parametrize

import rnnkit

from ..core_cells import CORE_CELLS, TAKING_ALL
from ..slow_cases import slow_but

every_cell = pytest.mark.parametrize("name", CORE_CELLS)
every_unroller = pytest.mark.parametrize("unroller", TAKING_ALL)

T, B, D, H = 5, 3, 4, 6


def build(name="lstm", seed=0, dtype=torch.float64, **options):
    torch.manual_seed(seed)
    return rnnkit.RNN(name, D, H, num_layers=2, dtype=dtype, **options).eval()  # some cells draw masks


def draw(dtype=torch.float64):
    return torch.randn(T, B, D, dtype=dtype, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    "twin", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))], ids=["deep", "pickle"]
)
@every_cell
def test_a_copy_computes_the_same_from_weights_of_its_own(name, twin):
    layer, xs = build(name), draw()
    other = twin(layer)
    assert torch.equal(other(xs)[0], layer(xs)[0])
    before = layer(xs)[0]
    for parameter in other.parameters():
        nn.init.constant_(parameter, 0.3)
    assert torch.equal(layer(xs)[0], before)
    assert not torch.equal(other(xs)[0], before)


@pytest.mark.parametrize("name", slow_but(["lstm", "layernorm", "zoneout"], CORE_CELLS))
def test_to_another_dtype_and_back(name):
    layer = build(name, dtype=torch.float32)
    xs = draw(torch.float32)
    expected = layer(xs)[0]
    output = layer.double()(xs.double())[0]
    assert output.dtype == torch.float64
    torch.testing.assert_close(output.float(), expected)
    assert torch.equal(layer.to(torch.float32)(xs)[0], expected)
    assert all(parameter.dtype == torch.float32 for parameter in layer.parameters())


@every_cell
def test_built_without_memory_then_filled(name):
    source, xs = build(name), draw()
    layer = build(name, device="meta")
    layer.to_empty(device="cpu").load_state_dict(source.state_dict())
    assert torch.equal(layer(xs)[0], source(xs)[0])
    assigned = build(name, device="meta")
    assigned.load_state_dict(source.state_dict(), assign=True)
    assert torch.equal(assigned(xs)[0], source(xs)[0])


@every_cell
def test_shapes_are_inferred_on_meta(name):
    layer = build(name, device="meta")
    output, _ = layer(torch.empty(T, B, D, dtype=torch.float64, device="meta"))
    assert (output.shape, output.device.type) == ((T, B, H), "meta")


@every_unroller
@every_cell
def test_functional_call_uses_the_weights_that_it_is_given(name, unroller):
    layer, other, xs = build(name, unroller=unroller), build(name, seed=7), draw()
    weights = {key: tensor.clone().requires_grad_() for key, tensor in other.named_parameters()}
    before = layer(xs)[0]
    output, _ = functional_call(layer, weights, (xs,))
    torch.testing.assert_close(output, other(xs)[0], rtol=0, atol=1e-14)
    found = torch.autograd.grad(output.sin().sum(), list(weights.values()))
    expected = torch.autograd.grad(other(xs)[0].sin().sum(), list(other.parameters()))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert torch.equal(layer(xs)[0], before)


@every_cell
def test_gradients_of_each_row_by_vmap(name):
    layer, xs = build(name, unroller="loop"), draw()
    weights = {key: parameter.detach() for key, parameter in layer.named_parameters()}

    def loss(weights, row):
        return functional_call(layer, weights, (row.unsqueeze(1),))[0].sin().sum()

    found = vmap(grad(loss), in_dims=(None, 1))(weights, xs)
    for row in range(B):
        layer.zero_grad()
        layer(xs[:, row : row + 1])[0].sin().sum().backward()
        for key, parameter in layer.named_parameters():
            torch.testing.assert_close(found[key][row], parameter.grad, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")  # torch's own use of it
@every_cell
def test_directional_derivatives_by_jvp(name):
    layer, xs = build(name, unroller="loop"), draw()
    direction = torch.randn(T, B, D, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    output, found = jvp(lambda xs: layer(xs)[0], (xs,), (direction,))
    with torch.no_grad():
        assert torch.equal(output, layer(xs)[0])
        expected = (layer(xs + 1e-6 * direction)[0] - layer(xs - 1e-6 * direction)[0]) / 2e-6
    torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-8)


class Doubled(nn.Module):
    def forward(self, weight):
        return 2 * weight


@every_unroller
@pytest.mark.parametrize("name", slow_but(["lstm", "zoneout"], CORE_CELLS))
def test_a_computed_weight_is_used_and_learnt(name, unroller):
    layer, reference, xs = build(name, unroller=unroller), build(name), draw()
    parametrize.register_parametrization(layer, "weight_hh_l0", Doubled())
    nn.init.normal_(layer.parametrizations.weight_hh_l0.original)
    with torch.no_grad():
        reference.weight_hh_l0.copy_(layer.weight_hh_l0)
    output, expected = layer(xs)[0], reference(xs)[0]
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-12)
    output.sum().backward()
    expected.sum().backward()
    found = layer.parametrizations.weight_hh_l0.original.grad
    torch.testing.assert_close(found, 2 * reference.weight_hh_l0.grad, rtol=0, atol=1e-12)
    with parametrize.cached():
        assert torch.equal(layer(xs)[0], output)
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert torch.equal(layer(xs)[0], output)


def test_a_replaced_parameter_is_the_one_that_is_used():
    layer, xs = build(), draw()
    layer.weight_ih_l0 = nn.Parameter(torch.zeros_like(layer.weight_ih_l0))
    assert torch.equal(layer(xs)[0], layer(torch.zeros_like(xs))[0])


@every_unroller
def test_learning_moves_every_weight(unroller):
    layer, xs = build(unroller=unroller), draw()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    before = {name: parameter.clone() for name, parameter in layer.named_parameters()}
    loss = layer(xs)[0].square().sum()
    loss.backward()
    optimizer.step()
    assert layer(xs)[0].square().sum() < loss
    for name, parameter in layer.named_parameters():
        assert not torch.equal(parameter, before[name]), name


@every_cell
def test_gradients_of_each_row_of_its_own_length_by_vmap(name):
    layer, xs, lengths = build(name, unroller="loop", bidirectional=True), draw(), torch.tensor([5, 1, 3])
    weights = {key: parameter.detach() for key, parameter in layer.named_parameters()}

    def loss(weights, row, length):
        output, _ = functional_call(layer, weights, (row.unsqueeze(1),), {"lengths": length.unsqueeze(0)})
        return output.sin().sum()

    found = vmap(grad(loss), in_dims=(None, 1, 0))(weights, xs, lengths)
    for row, length in enumerate(lengths):
        layer.zero_grad()
        layer(xs[:length, row : row + 1])[0].sin().sum().backward()
        for key, parameter in layer.named_parameters():
            torch.testing.assert_close(found[key][row], parameter.grad, rtol=0, atol=1e-12)


def test_a_checked_layer_may_be_parametrized():
    layer = build("gru", dtype=torch.float32)
    parametrize.register_parametrization(layer, "weight_hh_l0", Doubled())
    assert rnnkit.gradcheck(layer).ok


def test_a_default_device_moves_nothing():
    layer, xs = build("gru", bidirectional=True), draw()
    packed = nn.utils.rnn.pack_padded_sequence(xs, torch.tensor([5, 1, 3]), enforce_sorted=False)
    expected = layer(packed)[0].data, layer(xs, lengths=torch.tensor([5, 1, 3]))[0]
    with torch.device("meta"):
        lengths = torch.tensor([5, 1, 3], device="cpu")
        assert torch.equal(layer(packed)[0].data, expected[0])
        assert torch.equal(layer(xs, lengths=lengths)[0], expected[1])
