"""Steps that overwrite tensors in place, through views too: the loop's numbers, in a kernel where there is one."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler._recorded import lowered
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.ir.rules import is_cheap
from rnnkit_compiler.trace.record import record_projected

from .test_odd_cells import assert_same
from .test_strange_steps import Strange, plain, results

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


def view_written_base_read(c, p, h):
    z = plain(c, p, h) * 2
    z[:, :2].mul_(h[:, 1:3])
    return z


def base_written_view_read(c, p, h):
    z = h * 1
    view = z[:, :2]
    z.mul_(0.5)
    return plain(c, p, z) + view.sum(1, keepdim=True)


def view_of_a_view(c, p, h):
    z = plain(c, p, h) * 2
    z[:, 1:][:, :2].sub_(p[:, :2]).mul_(0.5)
    z[:, 2:4].add_(z[:, :2])
    return z


def neighbours(c, p, h):
    """Pieces that have a unit in common are written in turn: each goes on from what the other has left."""
    z = plain(c, p, h) * 2
    one, other = z[:, :2], z[:, 1:3]
    one.add_(1)
    other.mul_(p[:, :2])
    one.sub_(p[:, 1:3])
    return z + other.sum(1, keepdim=True)


def one_unit(c, p, h):
    z = plain(c, p, h) + 0.0
    z[:, 1] = 0.25
    z[:, -1] += p[:, 0]
    return z


def transposed(c, p, h):
    z = plain(c, p, h) * 2
    z.t()[1:3].mul_(0.5)
    return z


def unbound(c, p, h):
    """Autograd forbids it to overwrite one of several views that has a gradient."""
    z, (first, second) = torch.zeros_like(h), p.detach().chunk(2, 1)
    for k, unit in enumerate(z.unbind(1)[:2]):
        unit.copy_(first[:, k]).add_(k)
    z.split(3, 1)[1].copy_(second)
    return z * plain(c, p, h)


def filled(c, p, h):
    """Room that is filled piece by piece, one of them from a number and one by broadcasting."""
    z = torch.empty_like(h)
    z[:, :1] = torch.sigmoid(p[:, :1])
    z[:, 1:2] = 0.5
    z[:, 2:] = plain(c, p, h).mean(1, keepdim=True)
    return z


def filled_by_halves(c, p, h):
    z = h.new_empty(h.shape[0], 2, h.shape[1])
    z[:, 0], z[:, 1] = plain(c, p, h), p
    return z[:, 0] * z[:, 1]


def masked(c, p, h):
    z = plain(c, p, h) * 2
    z[z > 0.3] = 0.1
    z.masked_fill_(p > 0.5, -1.0)
    return z


def quiet_writes(c, p, h):
    """Under no_grad only what has no gradient is overwritten, by what has one elsewhere."""
    z = torch.zeros_like(h)
    with torch.no_grad():
        z[:, :2] = torch.sigmoid(h)[:, :2]
    return plain(c, p, h) * (1 + z)


def clamped_quietly(c, p, h):
    """The gradient goes on as if nothing had happened, through a view too."""
    z = p + h @ c.weight
    view = z[:, 1:3]
    with torch.no_grad():
        z.clamp_(-0.2, 0.2)
        view.mul_(0.5)
    return z + view.sum(1, keepdim=True)


def detached(c, p, h):
    z = (plain(c, p, h) * 2).detach()
    z[:, :2].add_(h[:, :2])
    return z + p


def written_under_a_detached_view(c, p, h):
    z = plain(c, p, h) * 2
    before = z.detach()
    z.add_(h)
    return z * before


def pieces_for_each(c, p, h):
    """As the cells of torch.nn do it: pieces of which autograd knows nothing, which nobody else reads."""
    one, other = torch.unsafe_chunk(torch.cat([p, plain(c, p, h)], 1), 2, 1)
    one.sigmoid_()
    return other.tanh_() * one


STEPS = {
    function.__name__: function
    for function in (
        *(view_written_base_read, base_written_view_read, view_of_a_view, neighbours, one_unit, transposed, unbound),
        *(filled, filled_by_halves, masked, quiet_writes, detached, written_under_a_detached_view, pieces_for_each),
        clamped_quietly,
    )
}


@pytest.mark.parametrize("name", STEPS)
def test_what_is_overwritten_has_the_loops_numbers(name):
    cell = Strange(STEPS[name], 6)
    xs, h0 = torch.randn(4, 3, 6, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    expected = results(Loop(), cell, xs, h0)
    assert_same(results(Compiled(backend="torch"), cell, xs, h0), expected)
    recording = record_projected(cell, xs[:1], [h0])
    assert isinstance(lowered(recording, is_cheap)[2], Lowered)


@pytest.mark.slow
@pytest.mark.parametrize("name", STEPS)
def test_and_so_in_a_kernel(name):
    cell = Strange(STEPS[name], 6)
    xs, h0 = torch.randn(4, 3, 6, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    assert_same(results(Compiled(backend="cpp"), cell, xs, h0), results(Loop(), cell, xs, h0))


class Inner(rnnkit.Cell):
    """A cell of torch.nn, in a step."""

    name = "inner"

    def __init__(self, kind, bias=True):
        super().__init__(3, 5)
        self.inner = kind(3, 5, bias=bias, dtype=torch.float64)
        self.state_names = ("h", "c") if kind is nn.LSTMCell else ("h",)

    def step(self, p, state):
        after = self.inner(p, state if len(state) > 1 else state[0])
        after = after if len(state) > 1 else (after,)
        return after[0], after


@pytest.mark.parametrize("bias", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "kind", [nn.LSTMCell, *(pytest.param(k, marks=pytest.mark.slow) for k in (nn.GRUCell, nn.RNNCell))]
)
def test_a_cell_of_torch_in_a_step_is_native(kind, bias):
    cell = Inner(kind, bias)
    assert Compiled().backend_of(cell) == "cpp"
    for steps, batch in ((5, 3), (1, 1)):
        assert list(rnnkit.testing.differences(Compiled(), cell, steps, batch, 1e-10)) == []


@pytest.mark.slow
def test_a_cell_of_torch_costs_what_the_same_gates_cost():
    ours = Compiled().explain(rnnkit.cells["lstm"](3, 5)).split("the step:")[0].splitlines()
    theirs = Compiled().explain(Inner(nn.LSTMCell).float()).split("the step:")[0].splitlines()
    for what in ("kept", "written over", "bytes", "weights"):
        assert [line for line in theirs if line.startswith(what)] == [line for line in ours if line.startswith(what)]
