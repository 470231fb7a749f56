"""The recording of a step: what it notes, and each reason for which it refuses."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler.run.program import nesting
from rnnkit_compiler.trace.recording import ATTEMPTS, PRIMES, NotRecordable, record
from rnnkit_compiler.trace.split import Depends, dependence, split

Compiled, Loop = rnnkit.unrollers["compiled"], rnnkit.unrollers["loop"]


class Double(torch.autograd.Function):
    """Its own way back, which the operations of its forward do not show."""

    @staticmethod
    def forward(ctx, tensor):
        return tensor * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 3


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
        self.loose = torch.ones(hidden_size, dtype=torch.float64)

    def step(self, p, state):
        h = self.function(self, p, state[0])
        return h, (h,)


def recorded(cell):
    parts = torch.zeros(1, 2, cell.input_size, dtype=torch.float64)
    return record(cell, [parts], [parts[0]], nesting(parts))


def plain(cell, p, h):
    return torch.tanh(p + h @ cell.weight)


def in_place_on_the_state(cell, p, h):
    h = h * 1
    view = h[:, :2]
    h.mul_(0.5)
    return plain(cell, p, h) + view.sum(1, keepdim=True)


def out_of_an_argument(cell, p, h):
    with torch.no_grad():
        return torch.add(p, h, out=torch.zeros_like(h))


def hooked(cell, p, h):
    h = plain(cell, p, h)
    h.register_hook(lambda grad: grad * 2)
    return h


REASONS = {
    "item": (lambda c, p, h: plain(c, p, h) * (h.sum().item() + 1), "step() reads the values of a tensor"),
    "branch": (lambda c, p, h: plain(c, p, h) if p.sum() > 0 else h, "step() reads the values of a tensor"),
    "nonzero": (lambda c, p, h: h[:, c.scale.nonzero()[:, 0]], "has a shape that depends on values"),
    "random": (lambda c, p, h: plain(c, p, h) + torch.rand_like(h), "step() draws random numbers"),
    "dropout": (lambda c, p, h: nn.functional.dropout(plain(c, p, h), 0.5), "step() draws random numbers"),
    "rows mixed": (lambda c, p, h: torch.tanh(h - h.mean(0)), "step() mixes the rows of the batch"),
    "the least of the rows": (lambda c, p, h: torch.tanh(h.amin(0) + 0 * h), "step() mixes the rows of the batch"),
    "the sum so far": (lambda c, p, h: torch.tanh(h.cumsum(0)), "step() mixes the rows of the batch"),
    "rows moved": (lambda c, p, h: h.roll(1, 0) + p, "step() mixes the rows of the batch"),
    "in place on what others see": (in_place_on_the_state, "step() calls mul_ on a tensor that others see"),
    "in a view": (lambda c, p, h: (plain(c, p, h) * 2)[:, :4].detach().add_(1), "on a tensor that others see"),
    "autograd.Function": (lambda c, p, h: plain(c, p, Double.apply(h)), "step() applies Double, an autograd.Function"),
    "a tensor that is no parameter": (
        lambda c, p, h: plain(c, p, h) * c.loose,
        "step() reads a tensor that is neither parameter, buffer, projection nor state",
    ),
    "a hook": (hooked, "step() puts hooks on tensors"),
    "out=": (out_of_an_argument, "step() calls add, which overwrites a tensor"),
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


def test_a_complex_state_is_refused():
    parts = torch.zeros(1, 2, 4, dtype=torch.float64)
    with pytest.raises(NotRecordable, match=r"a state or input of torch\.complex128"):
        record(Noted(plain), [parts], [parts[0].to(torch.complex128)], nesting(parts))


def test_sizes_that_leave_no_number_of_rows_are_refused():
    cell = Noted(plain)
    for prime in PRIMES:
        cell.register_buffer(f"of_{prime}", torch.zeros(prime))
    with pytest.raises(NotRecordable, match="leave no number of rows"):
        recorded(cell)


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
    assert list(recording.weights) == ["weight", "scale"]
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


@pytest.mark.parametrize("pieces", [3, 5, 7, 15, 35])
def test_rows_can_be_told_from_sizes_that_the_step_makes(pieces):
    cell = Noted(lambda c, p, h: plain(c, p, torch.cat([h] * pieces, 1)[:, :4]))
    recording = recorded(cell)
    assert 4 * pieces % recording.rows
    assert not recording.is_ambiguous


def test_a_size_that_is_always_a_multiple_of_the_rows_is_recorded_all_the_same():
    seen = []

    def flat(cell, p, h):
        seen.append(len(h))
        return plain(cell, p, h.flatten().view(-1, 4))

    recording = recorded(Noted(flat))
    assert recording.is_ambiguous
    assert [rows for rows in seen if rows != 1] == [3, 5, 7][:ATTEMPTS]


def test_tied_weights_have_one_number():
    cell = Noted(lambda c, p, h: plain(c, p, h) @ c.other)
    cell.other = cell.weight
    recording = recorded(cell)
    assert list(recording.weights) == ["weight", "scale"]
    cell.inner = nn.Linear(4, 4, bias=False)
    cell.inner.weight = cell.weight
    assert recorded(cell).weights["weight"] in recorded(cell).calls[0].reads


def test_no_grad_inside_a_step_cuts_the_gradient():
    def step(cell, p, h):
        with torch.no_grad():
            gate = torch.sigmoid(h @ cell.weight)
        return torch.tanh(p + gate * h)

    cell = Noted(step)
    assert Compiled.backend(cell) == "cpp"
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
    assert Compiled.backend(cell) == "cpp"
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
