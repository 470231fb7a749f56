"""Learnt initial state: what a handed-in state does, done by parameters."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building

from ..core_cells import TAKING_ALL


class Odd(rnnkit.cells["rnn"]):
    """A cell with states of several shapes and types, that begins at other values than zero."""

    name = "odd"
    state_names = ("h", "fast weights", "age", "state")

    def initial_state(self, batch_size):
        h = torch.linspace(-1, 1, self.hidden_size).expand(batch_size, -1)
        return h, torch.eye(2).expand(batch_size, 2, 2), torch.zeros(batch_size, 1, dtype=torch.int64), h * 2

    def step(self, p, state):
        h, fast, age, slow = state
        y, (h,) = super().step(p, (h + slow,))
        return y, (h, fast * 0.9 + y[:, :2].unsqueeze(1), age + 1, slow * 0.5)


def unroll(name, cell, xs, state=None, **masks):
    return rnnkit.unrollers[name]()(cell, xs, state, **masks)


def test_begins_where_the_inner_cell_begins(build):
    cell = build("learnt_state", inner=Odd)
    learnt = dict(cell.named_parameters(recurse=False))
    shapes = {name: tuple(tensor.shape) for name, tensor in learnt.items()}
    assert shapes == {"initial_h": (4,), "initial_fast weights": (2, 2), "initial_state_": (4,)}
    with building(None, torch.float64):
        assert all(map(torch.equal, cell.initial_state(3), cell.inner.initial_state(3)))


@pytest.mark.parametrize("reset", [False, True], ids=["from the start", "reset"])
@pytest.mark.parametrize("unroller", TAKING_ALL)
@pytest.mark.parametrize("inner", ["lstm", "gru", Odd], ids=str)
def test_equals_a_state_that_is_handed_in(build, inner, unroller, reset):
    """With its gradient, summed over the rows, and once more for every reset."""
    cell = build("learnt_state", inner=inner)
    for parameter in cell.parameters(recurse=False):
        torch.nn.init.normal_(parameter)
    xs = torch.randn(8, 3, 3, dtype=torch.float64)
    restarts = torch.zeros(8, 3, dtype=torch.bool)
    restarts[5] = reset
    ys, last = unroll(unroller, cell, xs, reset=restarts if reset else None)
    handed = tuple(tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in cell.initial_state(3))
    expected, state = unroll("loop", cell.inner, xs[: 5 if reset else 8], handed)
    if reset:
        rest, state = unroll("loop", cell.inner, xs[5:], handed)
        expected = torch.cat([expected, rest])
    torch.testing.assert_close((ys, *last), (expected, *state), rtol=0, atol=1e-14)

    own = list(cell.parameters(recurse=False))
    # What no output depends on has no gradient, or zeros from a kernel.
    found = torch.autograd.grad(ys.sin().sum(), own, allow_unused=True, materialize_grads=True)
    leaves = [tensor for tensor in handed if tensor.requires_grad]
    by_row = torch.autograd.grad(expected.sin().sum(), leaves, allow_unused=True, materialize_grads=True)
    assert any(rows.any() for rows in by_row)
    for gradient, rows in zip(found, by_row, strict=True):
        torch.testing.assert_close(gradient, rows.sum(0), rtol=0, atol=1e-12)


def test_a_state_that_is_handed_in_takes_its_place(build):
    cell = build("learnt_state(gru)")
    torch.nn.init.normal_(cell.initial_h)
    xs, h = torch.randn(5, 2, 3, dtype=torch.float64), torch.randn(2, 4, dtype=torch.float64)
    assert torch.equal(unroll("loop", cell, xs, (h,))[0], unroll("loop", cell.inner, xs, (h,))[0])


def test_resetting_begins_as_the_inner_cell_again(build):
    cell = build("learnt_state", inner=Odd)
    before = {name: tensor.clone() for name, tensor in cell.named_parameters()}
    for parameter in cell.parameters():
        torch.nn.init.normal_(parameter)
    torch.manual_seed(0)
    cell.reset_parameters()
    assert all(torch.equal(tensor, before[name]) for name, tensor in cell.named_parameters())


def test_a_layer_s_trainable_state_learns_what_only_it_can_say():
    """Without input from outside, the first output is a function of the initial state alone."""
    torch.manual_seed(0)
    layer = rnnkit.RNN("gru", 1, 4, num_layers=2, bidirectional=True, trainable_state=True)
    initial = [name for name, _ in layer.named_parameters() if name.startswith("initial")]
    assert initial == [f"initial_h_l{k}{suffix}" for k in range(2) for suffix in ("", "_reverse")]
    for name, parameter in layer.named_parameters():
        parameter.requires_grad_(name in initial)
    target, losses = torch.rand(8) - 0.5, []
    optimizer = torch.optim.Adam([p for p in layer.parameters() if p.requires_grad], 0.1)
    for _ in range(40):
        loss = (layer(torch.zeros(2, 1, 1))[0][0] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
    assert layer.initial_state(5).shape == (4, 5, 4)
    assert all(layer.initial_state(5)[:, 0].abs().sum(-1) > 0)
