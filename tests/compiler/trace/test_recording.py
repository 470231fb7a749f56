"""The recording of a step: what it notes, and each reason for which it refuses."""

import functools

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import rnnkit
from rnnkit_compiler.trace.projection import nesting
from rnnkit_compiler.trace.record import record
from rnnkit_compiler.trace.recording import ROWS, NotRecordable
from rnnkit_compiler.trace.split import Depends, dependence, split
from rnnkit_compiler.trace.verification import ALL, FEW

from ..hidden_steps import hook_in_the_graph, other_data

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


@functools.cache
def kept_by_a_cache(size):
    return torch.ones(size, dtype=torch.float64)


class Softened(torch.autograd.Function):
    """Its gradient is cut off."""

    @staticmethod
    def forward(ctx, tensor):
        return tensor * 2

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(-1, 1)


class Noted(rnnkit.Cell):
    """A small cell whose step is a function that a test gives."""

    name = "noted"

    def __init__(self, function, hidden_size=4):
        super().__init__(hidden_size, hidden_size)
        self.function = function
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(hidden_size, hidden_size, generator=generator, dtype=torch.float64)
        self.weight = nn.Parameter(drawn / hidden_size)
        self.register_buffer("scale", torch.full((hidden_size,), 0.5, dtype=torch.float64))
        self.register_buffer("count", torch.zeros(hidden_size, dtype=torch.int64))

    def step(self, p, state):
        h = self.function(self, p, state[0])
        return h, (h,)


def recorded(cell):
    parts = torch.zeros(1, 2, cell.input_size, dtype=torch.float64)
    return record(cell, [parts], [parts[0]], nesting(parts))


def plain(cell, p, h):
    return torch.tanh(p + h @ cell.weight)


def in_place_behind_autograd(cell, p, h):
    h = h * 1
    h.detach().mul_(0.5)
    return plain(cell, p, h)


def in_place_on_a_piece(cell, p, h):
    """Unsafe pieces are views of which autograd knows nothing."""
    h = h * 1
    torch.unsafe_split(h, 2, 1)[0].mul_(0.5)
    return plain(cell, p, h)


def out_of_an_argument(cell, p, h):
    with torch.no_grad():
        return torch.add(p, h, out=torch.zeros_like(h))


def hooked(cell, p, h):
    h = plain(cell, p, h)
    h.register_hook(lambda grad: grad * 2)
    return h


def fails(cell, p, h):
    return plain(cell, p, h) / (1 // 0)


REASONS = {
    "item": (lambda c, p, h: plain(c, p, h) * (h.sum().item() + 1), "step() reads the values of a tensor"),
    "branch": (lambda c, p, h: plain(c, p, h) if p.sum() > 0 else h, "step() reads the values of a tensor"),
    "nonzero": (lambda c, p, h: h[:, c.scale.nonzero()[:, 0]], "has a shape that depends on values"),
    "as many draws as values ask for": (
        lambda c, p, h: plain(c, p, h) + torch.poisson(h.abs()),
        "step() draws random numbers",
    ),
    "sums of a mask for all rows": (
        lambda c, p, h: plain(c, p, h) * nn.functional.dropout(torch.ones_like(c.scale), 0.5).cumsum(0),
        "step() draws random numbers",
    ),
    "rows mixed": (lambda c, p, h: torch.tanh(h - h.mean(0)), "step() mixes the rows of the batch"),
    "the least of the rows": (lambda c, p, h: torch.tanh(h.amin(0) + 0 * h), "step() mixes the rows of the batch"),
    "the sum so far": (lambda c, p, h: torch.tanh(h.cumsum(0)), "step() mixes the rows of the batch"),
    "rows moved": (lambda c, p, h: h.roll(1, 0) + p, "step() mixes the rows of the batch"),
    "in place behind autograd": (in_place_behind_autograd, "step() calls mul_ on a tensor that others see"),
    "in place on an unsafe piece": (in_place_on_a_piece, "step() calls mul_ on a tensor that others see"),
    "in place on a view of the state": (lambda c, p, h: h.detach()[:, :2].add_(1), "add_ on a tensor that others see"),
    "a gradient that goes elsewhere": (
        lambda c, p, h: plain(c, p, Softened.apply(h)),
        "step() applies Softened, an autograd.Function whose gradient is not linear in the one that it is given",
    ),
    "a tensor that nobody holds": (
        lambda c, p, h: plain(c, p, h) * kept_by_a_cache(4),
        "step() reads a tensor that it neither makes nor is given, and that is not found in the cell or beside it",
    ),
    "a hook": (hooked, "step() puts hooks on tensors"),
    "out=": (out_of_an_argument, "step() calls add, which overwrites a tensor"),
    "in place on what is given": (lambda c, p, h: plain(c, p, h) + c.count.add_(1), "on a tensor that others see"),
    "in place on a buffer": (lambda c, p, h: plain(c, p, h) * c.scale.add_(1), "on a tensor that others see"),
    "a mask as an index": (lambda c, p, h: plain(c, p, h) + h[h > 0].sum(), "takes elements by a mask"),
    "numbers by a generator of its own": (
        lambda c, p, h: plain(c, p, h) + torch.rand(4, generator=torch.Generator().manual_seed(0), dtype=h.dtype),
        "draws random numbers from a generator that it makes anew",
    ),
    "a change of the shape of a buffer": (
        lambda c, p, h: plain(c, p, h) * c.scale.unsqueeze_(0).squeeze_(0),
        "calls unsqueeze_ on a tensor that others see",
    ),
    "a change of strides in place": (
        lambda c, p, h: plain(c, p, h) + (p * 2).as_strided_(p.shape, p.stride()),
        "calls as_strided_, which changes a tensor in place",
    ),
    "other data": (other_data, "step() does more than its operations show"),
    "a hook in the graph": (hook_in_the_graph, "step() has another gradient than its operations show"),
    "mixed, times zero": (lambda c, p, h: plain(c, p, h) + 0 * h.mean(0), "step() mixes the rows of the batch"),
    "the middle of the rows": (lambda c, p, h: torch.tanh(h.median(0)[0] + 0 * h), "mixes the rows of the batch"),
    "one row less": (lambda c, p, h: plain(c, p, torch.cat([h[:1], h[1:]])), "no multiple of it"),
    "as many operations as rows": (
        lambda c, p, h: sum([plain(c, p, h)] * len(h)) / len(h),
        "for another number of rows",
    ),
    "a branch on the rows": (lambda c, p, h: plain(c, p, h) if len(h) > 5 else plain(c, p, -h), "other operations"),
    "a literal for each row": (lambda c, p, h: plain(c, p, h) * torch.tensor([[1.0]] * len(h)), "makes other tensors"),
    "values read past torch": (lambda c, p, h: plain(c, p, h) * c.scale.tolist()[0], "of a tensor, by tolist()"),
    "values read by numpy": (lambda c, p, h: plain(c, p, h) * float(c.scale.numpy().sum()), "of a tensor, by numpy()"),
    "values of the input": (
        lambda c, p, h: plain(c, p, h) * p.detach().numpy().max().item(),
        "of a tensor, by numpy()",
    ),
    "a branch on the mode": (lambda c, p, h: plain(c, p, h if torch.is_grad_enabled() else -h), "without gradients"),
    "a fixed row": (lambda c, p, h: plain(c, p, h - h[1:2]), "step() mixes the rows of the batch"),
    "strides": (lambda c, p, h: torch.as_strided(plain(c, p, h), (h.shape[0], 4), (4, 1)), "memory by strides"),
    "a failure": (fails, "recording step() fails (ZeroDivisionError: "),
}


@pytest.mark.parametrize("case", REASONS)
def test_what_cannot_be_recorded_is_refused_with_a_reason(case):
    function, reason = REASONS[case]
    with pytest.raises(NotRecordable) as caught:
        recorded(Noted(function))
    assert reason in str(caught.value)


def test_an_operation_that_is_not_torchs_own_is_refused():
    with torch.library._scoped_library("rnnkit_test", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
        with pytest.raises(NotRecordable, match=r"rnnkit_test\.twice.*no operation of torch's own"):
            recorded(Noted(lambda c, p, h: plain(c, p, torch.ops.rnnkit_test.twice(h).detach())))


def test_a_complex_state_is_recorded_as_it_is():
    parts = torch.zeros(1, 2, 4, dtype=torch.complex128)
    cell = Noted(lambda c, p, h: torch.tanh(p + h * c.scale))
    recording = record(cell, [parts], [parts[0]], nesting(parts))
    assert recording.dtypes[recording.output] == torch.complex128


def test_a_recording_notes_inputs_operations_and_results():
    recording = recorded(Noted(lambda c, p, h: torch.tanh(p + h @ c.weight) * c.scale * torch.tensor(2.0)))
    assert [call.name for call in recording.calls if call.name != "detach.default"] == [
        "mm.default",
        "add.Tensor",
        "tanh.default",
        "mul.Tensor",
        "mul.Tensor",
    ]
    assert [call.base_name for call in recording.calls][:2] == ["mm", "add"]
    assert list(recording.weights) == ["weight", "scale", "count"]
    assert [float(literal) for literal in recording.constants.values()] == [2.0]
    assert recording.calls[0].reads == [recording.states[0], recording.weights["weight"]]
    assert recording.next_states == [recording.output]
    assert recording.shapes[recording.output] == (recording.rows, 4)


def test_in_place_on_what_nobody_else_sees_is_the_functional_operation():
    recording = recorded(Noted(lambda c, p, h: (p + h @ c.weight).tanh_()))
    assert "tanh.default" in [call.name for call in recording.calls]
    assert not [call.name for call in recording.calls if call.name.split(".")[0].endswith("_")]


def test_the_random_state_is_left_as_it_was():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    recorded(Noted(plain))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("size", [len(FEW), len(ALL), 2 * len(FEW)])
def test_a_size_that_equals_the_rows_that_were_recorded_is_no_batch(size):
    def step(cell, p, h):
        ones = h.new_ones(h.shape[0], size)
        return plain(cell, p, h) + h.unsqueeze(1).expand(-1, size, -1).sum(1) + ones.sum(1, True)

    recording = recorded(Noted(step))
    assert [shape for shape in recording.shapes if size in shape]
    assert {shape[0] for shape in recording.shapes if size in shape} == {ROWS}


def test_a_size_made_of_the_rows_is_a_multiple_of_them():
    recording = recorded(Noted(lambda c, p, h: plain(c, p, sum(torch.cat([h, p], 0).chunk(2, 0)))))
    assert (2 * ROWS, 4) in recording.shapes
    assert recording.shapes[recording.output] == (ROWS, 4)


def test_tied_weights_have_one_number():
    cell = Noted(lambda c, p, h: plain(c, p, h) @ c.other)
    cell.other = cell.weight
    recording = recorded(cell)
    assert list(recording.weights) == ["weight", "scale", "count"]
    cell.inner = nn.Linear(4, 4, bias=False)
    cell.inner.weight = cell.weight
    assert recorded(cell).weights["weight"] in recorded(cell).calls[0].reads


def test_no_grad_inside_a_step_cuts_the_gradient():
    def step(cell, p, h):
        with torch.no_grad():
            gate = torch.sigmoid(h @ cell.weight)
        return torch.tanh(p + gate * h)

    cell = Noted(step)
    assert Compiled().backend_of(cell) == "cpp"
    xs = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = []
    for unroller in (Loop(), Compiled()):
        leaves = (xs.clone().requires_grad_(), torch.ones(3, 4, dtype=torch.float64, requires_grad=True))
        ys, _ = unroller(cell, leaves[0], (leaves[1],))
        grads.append(torch.autograd.grad(ys.square().sum(), [*leaves, cell.weight], materialize_grads=True))
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-10, atol=1e-10)
    assert not grads[1][2].any()
    assert grads[1][1].all()


def test_a_tied_weight_gets_the_gradients_of_all_its_uses():
    cell = Noted(lambda c, p, h: c.inner(plain(c, p, h)).sin())
    cell.inner = nn.Linear(4, 4, bias=False)
    cell.inner.weight = cell.weight
    assert Compiled().backend_of(cell) == "cpp"
    xs = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    grads = [torch.autograd.grad(unroller(cell, xs)[0].sum(), cell.weight) for unroller in (Loop(), Compiled())]
    torch.testing.assert_close(grads[1], grads[0], rtol=1e-10, atol=1e-10)


def test_the_split_is_by_what_a_call_depends_on():
    def step(cell, p, h):
        weight = torch.exp(cell.weight)
        return torch.tanh(p @ weight + h @ weight) + p.sin() * torch.ones_like(h)

    recording = recorded(Noted(step))
    found = split(recording, lambda call: call.base_name == "sin")
    assert [call.base_name for call in found.once if call.base_name != "detach"] == ["exp"]
    assert [call.base_name for call in found.ahead] == ["mm"]
    assert {"mm", "sin", "tanh", "ones_like"} <= {call.base_name for call in found.core}
    depends = dependence(recording, recording.calls)
    assert depends[recording.output] is Depends.STATE
    assert {depends[number] for number in found.parts} == {Depends.INPUT}
    assert {depends[number] for number in found.invariants} == {Depends.PARAMETERS}


def test_what_the_results_do_not_need_is_left_out():
    def step(cell, p, h):
        h.exp()
        return plain(cell, p, h)

    found = split(recorded(Noted(step)), lambda call: True)
    assert "exp" not in [call.base_name for call in found.core]


def test_hooks_of_a_call_see_nothing_of_the_recording():
    """A checkpoint counts the tensors that are saved: a layer's first call saved others than when it ran again."""

    class First(rnnkit.Cell):
        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.across = nn.Parameter(torch.rand(hidden_size, hidden_size))

        def step(self, x, state):
            h = torch.tanh(x + state[0] @ self.across)
            return h, (h,)

    layer, xs = rnnkit.RNN(First, 3, 3, unroller=Compiled()), torch.ones(4, 2, 3, requires_grad=True)
    ys, _ = checkpoint(layer, xs, use_reentrant=False)
    (given,) = torch.autograd.grad(ys.sum(), xs)
    (expected,) = torch.autograd.grad(layer(xs)[0].sum(), xs)
    torch.testing.assert_close(given, expected)
