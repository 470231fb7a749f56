"""Backward passes of calls that took a shortcut, in which the addresses of weights are known beforehand."""

import copy

import pytest
import torch
from torch.nn import functional as F

import rnnkit

XS = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(1))


class Reused(rnnkit.Cell):
    """Reads a bias at two places, one beside the input's product, a matrix whole and in part, an expanded number."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.empty(hidden_size, hidden_size).uniform_(-1, 1))
        self.bias = torch.nn.Parameter(torch.empty(hidden_size).uniform_(-1, 1))
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.read = torch.nn.Linear(input_size, hidden_size, bias=False)
        self.unread = torch.nn.Parameter(torch.ones(2))

    def step(self, x, state):
        (h,) = state
        inner = torch.tanh(h @ self.weight.t() + F.linear(x, self.read.weight, self.bias)) * self.scale
        h = torch.sigmoid(inner[:, :2] @ self.weight[:2] + self.bias * h + 0 * self.unread.sum())
        return h, (h,)


def layer_of(cell="lstm", frozen=()):
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, 3, 4)
    for name in frozen:
        getattr(layer, name).requires_grad_(False)
    for _ in range(3):
        layer(XS)
    (shortcut,) = layer._shortcuts._with_gradients._known.values()
    assert type(shortcut).__name__ == "BoundShortcut"
    return layer


def gradients_of(layer, between=lambda layer: None):
    """Return the gradients of input and weights, with something done between forward and backward."""
    xs, weights = XS.clone().requires_grad_(), list(layer.parameters())
    ys, _ = layer(xs)
    between(layer)
    return torch.autograd.grad(ys.square().sum(), [xs, *weights])


@torch.no_grad()
def exchange(layer):
    for parameter in layer.parameters():
        parameter.data = torch.full_like(parameter, 7.0)


@pytest.mark.parametrize("cell", ["lstm", "layernorm", Reused])
def test_backward_reads_the_memory_that_the_weights_had(cell):
    expected = gradients_of(layer_of(cell))
    given = gradients_of(layer_of(cell), exchange)
    torch.testing.assert_close(given, expected, rtol=0, atol=0)


@torch.no_grad()
def move(layer):
    """Move the storages of the weights, as to shared memory, or when memory is given back between passes."""
    for parameter in layer.parameters():
        numbers, storage = parameter.clone(), parameter.untyped_storage()
        parameter.data.fill_(torch.nan)  # what is left where they were
        storage.resize_(2 * storage.nbytes())
        parameter.data.copy_(numbers)


@pytest.mark.parametrize("between", [move, torch.nn.Module.share_memory])
@pytest.mark.parametrize("cell", ["lstm", Reused])
def test_backward_reads_weights_whose_memory_has_moved_since(cell, between):
    torch.testing.assert_close(gradients_of(layer_of(cell), between), gradients_of(layer_of(cell)))


def test_weights_that_were_overwritten_since_are_an_error():
    layer = layer_of()

    @torch.no_grad()
    def overwrite(layer):
        layer.weight_hh_l0.mul_(2)

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        gradients_of(layer, overwrite)


def assert_the_loop_s(layer):
    """Compare the gradients of a layer with those of a copy by the loop."""
    loop = copy.deepcopy(layer)
    loop.unroller = "loop"
    given, expected = gradients_of(layer), gradients_of(loop)
    torch.testing.assert_close(given, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "layernorm", "gru", Reused])
def test_gradients_are_the_loop_s(cell, threads):
    """Of one worker sums are the gradients themselves, of two they are added up."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_the_loop_s(layer_of(cell))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("frozen", ["bias_ih_l0", "bias_hh_l0"])
def test_of_two_biases_one_may_be_frozen(frozen):
    """They are one vector for the kernel, whichever of them learns."""
    layer = layer_of(frozen=[frozen])
    loop = copy.deepcopy(layer)
    loop.unroller = "loop"
    for each in (layer, loop):
        each.zero_grad()
        each(XS)[0].square().sum().backward()
    learnt = [[parameter.grad for parameter in each.parameters() if parameter.requires_grad] for each in (layer, loop)]
    torch.testing.assert_close(*learnt)
    assert getattr(layer, frozen).grad is None


def test_backward_reads_what_hooks_return():
    """A hook may return other numbers: the weights are zero in backward, so nothing comes back to the input."""

    def without_weights(tensor):
        return torch.zeros_like(tensor) if tensor.shape == (16, 3) else tensor

    layer, xs = layer_of(), XS.clone().requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, without_weights):
        ys, _ = layer(xs)
    to_input, to_weight = torch.autograd.grad(ys.sum(), [xs, layer.weight_ih_l0])
    assert to_input.count_nonzero() == 0
    assert to_weight.count_nonzero() > 0


@pytest.mark.parametrize("cell", ["lstm", "layernorm"])
def test_backward_leaves_what_hooks_have_as_it_is(cell):
    """Who packs a tensor may read it later; without hooks gradients are written over what nobody else has."""
    layer, packed = layer_of(cell), []

    def pack(tensor):
        packed.append((tensor, tensor.clone()))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        ys, _ = layer(XS)
    ys.sum().backward()
    assert packed
    assert all(torch.equal(tensor.nan_to_num(), before.nan_to_num()) for tensor, before in packed)


def test_gradients_have_memory_of_their_own():
    """Each may be written over, and saved without the others."""
    layer = layer_of("layernorm")
    grads = gradients_of(layer)
    assert len({grad.untyped_storage().data_ptr() for grad in grads}) == len(grads)
