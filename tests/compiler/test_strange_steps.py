"""Steps that change the graph, or whose sizes mislead, through every backend: the loop's numbers, or a reason."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import UsageError

from .hidden_steps import hook_in_the_graph, in_place_under_no_grad, other_data
from .test_odd_cells import assert_same

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]
WIDTHS, BATCHES = (4, 8), (3, 8, 1)
"""One batch is the number of rows that a step is recorded on, one a width."""


class Strange(rnnkit.Cell):
    """A cell whose step is a function that a test gives."""

    name = "strange"

    def __init__(self, function, size):
        super().__init__(size, size)
        generator = torch.Generator().manual_seed(0)

        def drawn(*shape):
            return nn.Parameter(torch.randn(*shape, generator=generator, dtype=torch.float64) / size**0.5)

        self.function = function
        self.weight, self.twice, self.bias = drawn(size, size), drawn(2 * size, size), drawn(size)
        self.register_buffer("scale", torch.full((size,), 0.5, dtype=torch.float64))
        self.groups = nn.GroupNorm(2, size, dtype=torch.float64)
        self.group_each = nn.GroupNorm(size, size, dtype=torch.float64)
        self.attention = nn.MultiheadAttention(size, 2, batch_first=True, dtype=torch.float64)
        self.batch_norm = nn.BatchNorm1d(size, dtype=torch.float64)

    def step(self, p, state):
        h = self.function(self, p, state[0])
        return h, (h,)


def plain(c, p, h):
    return torch.tanh(p + h @ c.weight)


def cut_in_place(c, p, h):
    w = (p * 2).detach_()
    return torch.tanh(w + h @ c.weight)


def running_sum_in_a_buffer(c, p, h):
    with torch.no_grad():
        c.scale.add_(0.1)
    return plain(c, p, h) * c.scale.clone()


def chunks_of_a_weight(c, p, h):
    first, second = c.twice.chunk(2, 0)
    return torch.tanh(F.linear(h, first) + F.linear(p, second))


def bent_weight(c, p, h):
    return torch.tanh(p + h @ torch.tanh(c.weight * 0.5).t())


def antisymmetric_weight(c, p, h):
    w = c.weight - c.weight.t()
    return torch.tanh(p + h @ w.t())


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)

    @torch.jit.script
    def scripted(x):
        return torch.tanh(x) * torch.sigmoid(x)


STEPS = {
    "plain": plain,
    "clamped under no_grad": in_place_under_no_grad,
    "cosine similarity": lambda c, p, h: (
        plain(c, p, h) * F.cosine_similarity(h + p, c.bias.expand_as(h), dim=1).unsqueeze(1)
    ),
    "detach_": cut_in_place,
    "other data": other_data,
    "hook in the graph": hook_in_the_graph,
    "running sum in a buffer": running_sum_in_a_buffer,
    "chunks of a weight": chunks_of_a_weight,
    "bent weight": bent_weight,
    "antisymmetric weight": antisymmetric_weight,
    "expanded to the rows": lambda c, p, h: torch.tanh(
        p + h @ c.weight + c.bias.unsqueeze(0).expand(3, -1).sum(0) + h.unsqueeze(1).expand(-1, 3, -1).sum(1)
    ),
    "ones": lambda c, p, h: torch.tanh(p + h.new_ones(h.shape[0], 3).sum(1, keepdim=True) * 0.1 + h @ c.weight),
    "three columns": lambda c, p, h: plain(c, p, h) + (h @ c.weight)[:, :3].sum(1, keepdim=True),
    "arange": lambda c, p, h: plain(c, p, h) * h[torch.arange(h.shape[0]), 1].unsqueeze(1),
    "unfold": lambda c, p, h: plain(c, p, h) + h.unfold(1, 2, 1).sum((1, 2)).unsqueeze(1),
    "group norm": lambda c, p, h: torch.tanh(c.groups(p + h @ c.weight)),
    "a group for each unit": lambda c, p, h: plain(c, p, h) * c.group_each(torch.stack([h, p], 2)).sum(2),
    "batch norm": lambda c, p, h: torch.tanh(c.batch_norm(p + h @ c.weight)),
    "repeat": lambda c, p, h: torch.tanh(p + h @ c.weight + c.bias.repeat(h.shape[0], 1)),
    "eye": lambda c, p, h: torch.tanh(p + torch.eye(h.shape[0], dtype=h.dtype) @ (h @ c.weight)),
    "joined along the batch": lambda c, p, h: torch.tanh(sum(torch.cat([h @ c.weight, p], 0).chunk(2, 0))),
    "flattened": lambda c, p, h: plain(c, p, h.flatten().view(-1, h.shape[1])),
    "rows mixed, times zero": lambda c, p, h: plain(c, p, h) + 0 * h.mean(0),
    "attention": lambda c, p, h: plain(c, p, h) + c.attention(*[torch.stack([h, p], 1)] * 3)[0][:, 0],
    "compared with a parameter": lambda c, p, h: torch.tanh(torch.where(h < c.bias, p, 0.5 * p) + h @ c.weight),
    "scripted": lambda c, p, h: scripted(p + h @ c.weight),
}

REASONS = {
    "other data": "does more than its operations show",
    "hook in the graph": "another gradient than its operations show",
    "running sum in a buffer": "on a tensor that others see",
    "batch norm": "on a tensor that others see",
    "rows mixed, times zero": "mixes the rows",
}
"""Why the loop runs them."""


def results(unroller, cell, xs, h0):
    """Return the output, last state, gradients and their gradients; None for the last where there are none."""
    cell.scale.fill_(0.5)
    x, h = xs.clone().requires_grad_(), h0.clone().requires_grad_()
    ys, (last,) = unroller(cell, x, (h,))
    leaves = [x, h, *cell.parameters()]
    loss = (ys * torch.arange(ys.numel(), dtype=ys.dtype).cos().view_as(ys)).sum() + last.square().sum()
    grads = torch.autograd.grad(loss, leaves, create_graph=True, allow_unused=True)
    total = sum(grad.square().sum() for grad in grads if grad is not None)
    again = torch.autograd.grad(total, leaves, allow_unused=True)
    return [ys, last, *grads, *again]


@pytest.mark.covering(1)
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_strange_step_has_the_loops_numbers_in_every_backend(name, width):
    cell = Strange(STEPS[name], width)
    generator = torch.Generator().manual_seed(1)
    ran = set()
    for batch in BATCHES:
        xs = torch.randn(4, batch, width, generator=generator, dtype=torch.float64)
        h0 = torch.randn(batch, width, generator=generator, dtype=torch.float64)
        if name == "batch norm" and batch == 1:
            continue  # refused by batch norm itself
        expected = results(Loop(), cell, xs, h0)
        for unroller in Compiled.variants():
            if unroller.applies(cell) or unroller.backend is None:
                ran.add(unroller.backend)
                assert_same(results(unroller, cell, xs, h0), expected)
            else:
                with pytest.raises(UsageError, match=REASONS.get(name, "cannot run")):
                    unroller(cell, xs, (h0,))
    assert ran == {None} if name in REASONS else ran >= {None, "torch"}


@pytest.mark.parametrize("name", STEPS)
def test_the_backend_does_not_depend_on_the_width(name):
    backends = {Compiled().backend_of(Strange(STEPS[name], width)) for width in (4, 6, 14, 32)}
    assert len(backends) == 1


def test_the_error_is_the_users_own_though_a_recording_failed_first():
    def step(c, p, h):
        if h.shape[0] != 2:
            raise ValueError(f"this cell wants two rows, not {h.shape[0]}")
        return plain(c, p, h)

    cell = Strange(step, 4)
    xs = torch.zeros(5, 3, 4, dtype=torch.float64)
    with pytest.raises(ValueError, match="not 3"):
        Compiled()(cell, xs)
    assert Compiled()(cell, xs[:, :2])[0].shape == (5, 2, 4)


def test_booleans_are_no_numbers():
    def step(c, p, h):
        both = (h > 0) + (p > 0)
        filled = torch.full_like(h > 0, 5.0)
        return plain(c, p, h) * both + 0.1 * filled.to(h.dtype)

    cell = Strange(step, 4)
    assert "of booleans, which are no numbers" in Compiled(backend="torch").explain(cell) + Compiled().explain(cell)
    xs, h0 = torch.randn(4, 3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    for unroller in (Compiled(), Compiled(backend="torch")):
        assert_same(results(unroller, cell, xs, h0), results(Loop(), cell, xs, h0))


class Spiking(rnnkit.Cell):
    """Its output is true or false."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size, hidden_size)

    def step(self, p, state):
        h = torch.tanh(self.read(p) + state[0])
        return h > 0, (h,)


def test_an_output_of_booleans_stays_one():
    assert Compiled()(Spiking(3, 3), torch.randn(4, 2, 3))[0].dtype == torch.bool
    assert rnnkit.testing.inspect_cell(Spiking).promises["every unroller's law"] == []


class Turned(rnnkit.Cell):
    """Hands on a state that lies in memory the other way round, and flattens it."""

    def __init__(self, size):
        super().__init__(size, size)
        self.weight = nn.Parameter(torch.randn(size, size, dtype=torch.float64) / size)

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 2, self.hidden_size, dtype=torch.float64),)

    def step(self, p, state):
        h = torch.cumsum(state[0].reshape(-1, self.hidden_size) @ self.weight, 1).view(-1, 2, self.hidden_size)
        h = torch.tanh(h + p.unsqueeze(1)).transpose(1, 2).contiguous().transpose(1, 2)
        return h.sum(1), (h,)


def test_a_state_of_other_strides_goes_through_the_plan():
    cell = Turned(5)
    xs = torch.randn(4, 3, 5, dtype=torch.float64)
    (ys, _), (expected, _) = (unroller(cell, xs) for unroller in (Compiled(backend="torch"), Loop()))
    torch.testing.assert_close(ys, expected)


def test_a_scripted_module_by_its_class_is_no_failure():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        module = torch.jit.script(nn.Linear(4, 4, dtype=torch.float64))
    cell = Strange(lambda c, p, h: torch.tanh(c.scripted(h) + p), 4)
    cell.scripted = module
    xs, h0 = torch.randn(4, 3, 4, dtype=torch.float64), torch.randn(3, 4, dtype=torch.float64)
    assert_same(results(Compiled(), cell, xs, h0), results(Loop(), cell, xs, h0))


def test_a_shape_in_a_reason_is_written_with_the_batch():
    explained = Compiled().explain(Strange(STEPS["joined along the batch"], 4))
    assert "a tensor of shape (2B, 4) joins the batch with other dimensions" in explained


def test_a_step_that_changes_its_cell_is_run_by_the_loop():
    def step(c, p, h):
        c.count = getattr(c, "count", 0) + 1
        return plain(c, p, h) * c.count

    cell = Strange(step, 4)
    assert "step() changes the cell" in Compiled().explain(cell)
    assert not hasattr(cell, "count")  # a recording is made on a copy
    ys, _ = Compiled()(cell, torch.zeros(5, 3, 4, dtype=torch.float64))
    assert cell.count == 5
    assert ys.shape == (5, 3, 4)


@pytest.mark.parametrize("rows", [1, 2])
def test_what_a_step_does_with_one_row_alone(rows):
    def step(c, p, h):
        h = plain(c, p, h)
        return h * 2 if h.shape[0] == rows else h

    def cut(c, p, h):
        weight = c.weight.detach() if h.shape[0] == rows else c.weight
        return torch.tanh(p + h @ weight)

    def same(c, p, h):  # which reads as a view of one row, and as a copy of more
        return plain(c, p, h.view(-1, 2, 2).transpose(1, 2).reshape(-1, 4))

    cell = Strange(step, 4)
    assert Compiled().backend_of(cell) == ("cpp" if rows == 1 else "loop")
    for batch in (1, 2, 4):
        xs, h0 = torch.randn(4, batch, 4, dtype=torch.float64), torch.randn(batch, 4, dtype=torch.float64)
        assert_same(results(Compiled(), cell, xs, h0), results(Loop(), cell, xs, h0))
    with pytest.raises(UsageError, match="with a batch of one row" if rows == 1 else "other operations"):
        Compiled(backend="cpp")(cell, torch.zeros(4, 1, 4, dtype=torch.float64))
    xs, h0 = torch.randn(4, rows, 4, dtype=torch.float64), torch.randn(rows, 4, dtype=torch.float64)
    assert_same(results(Compiled(), Strange(cut, 4), xs, h0), results(Loop(), Strange(cut, 4), xs, h0))
    assert Compiled(backend="cpp")(Strange(same, 4), torch.zeros(4, 1, 4, dtype=torch.float64))[0].shape == (4, 1, 4)


def test_a_backend_that_is_not_there_is_refused():
    with pytest.raises(UsageError, match=r"backend is 'fortran'; it must be one of cpp, triton, torch, or None"):
        Compiled(backend="fortran")
    assert repr(Compiled(backend="torch")) == "compiled(backend='torch')"


def test_a_cell_without_parameters_has_a_program_for_each_device():
    class Bare(rnnkit.Cell):
        name = "bare"

        def step(self, p, state):
            h = torch.tanh(p + state[0])
            return h, (h,)

    cell = Bare(3, 3)
    assert Compiled()(cell, torch.zeros(2, 2, 3))[0].device.type == "cpu"
    assert Compiled()(cell, torch.zeros(2, 2, 3, device="meta"))[0].is_meta
