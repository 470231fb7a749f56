"""Checkpointing gives the loop's bits for cells of every build that the contract allows."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.core.cell import building
from rnnkit.testing import differences

from ..slow_cases import slow_but


class Elman(rnnkit.Cell):
    """The smallest cell with weights; the others change one thing about it."""

    name = "elman"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inward = nn.Linear(input_size, hidden_size)
        self.across = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size)

    def project(self, xs):
        return self.inward(xs)

    def step(self, p, state):
        (h,) = state
        h = torch.tanh(p + h @ self.across)
        return h, (h,)


class OutputIsNoState(Elman):
    def step(self, p, state):
        y, state = super().step(p, state)
        return torch.sin(3 * y), state


class OutputIsPartOfTheState(Elman):
    @property
    def output_size(self):
        return self.hidden_size // 2

    def step(self, p, state):
        y, state = super().step(p, state)
        return y[:, : self.output_size], state


class OutputIsTheStateBefore(Elman):
    def step(self, p, state):
        return state[0], super().step(p, state)[1]


class OutputIsTheLastOfTheStates(Elman):
    state_names = ("memory", "h")

    def step(self, p, state):
        memory, h = state
        memory = torch.sigmoid(p) * memory + h
        h = torch.tanh(memory @ self.across)
        return h, (memory, h)


class OutputIsAStateTwice(Elman):
    state_names = ("h", "again")

    def step(self, p, state):
        h, again = state
        h = torch.tanh(p + (h - 0.3 * again) @ self.across)
        return h, (h, h)


class StatesTakeTurns(Elman):
    state_names = ("odd", "even")

    def step(self, p, state):
        odd, even = state
        h = torch.tanh(p + odd @ self.across)
        return h, (even, h)


class ThreeStates(Elman):
    state_names = ("h", "slow", "sum")

    def step(self, p, state):
        h, slow, total = state
        h = torch.tanh(p + (h + slow) @ self.across)
        return h * total, (h, 0.9 * slow + 0.1 * h, total + h)


class StatesOfDifferentShapes(Elman):
    state_names = ("h", "outer")

    def initial_state(self, batch_size):
        (h,) = Elman.initial_state(self, batch_size)[:1]
        return h, torch.zeros(batch_size, self.hidden_size, self.hidden_size, dtype=h.dtype)

    def step(self, p, state):
        h, outer = state
        outer = 0.5 * outer + torch.einsum("bi,bj->bij", h, p)
        h = torch.tanh(p + torch.einsum("bi,bij->bj", h, outer))
        return h, (h, outer)


class Counter(Elman):
    state_names = ("count", "h")

    def initial_state(self, batch_size):
        h = self.across.new_zeros(batch_size, self.hidden_size)
        return torch.zeros(batch_size, dtype=torch.int64), h

    def step(self, p, state):
        count, h = state
        h = torch.tanh(p / (1 + count.unsqueeze(1)) + h @ self.across)
        return h, (count + 1, h)


class StatePassedThrough(Elman):
    state_names = ("h", "context")

    def step(self, p, state):
        h, context = state
        h = torch.tanh(p + h @ self.across + context)
        return h, (h, context)


class OnlyPassesThrough(Elman):
    def step(self, p, state):
        return p * state[0], state


class TupleProjection(Elman):
    def project(self, xs):
        return self.inward(xs), xs, xs.sum(-1)

    def step(self, p, state):
        inward, x, total = p
        h = torch.tanh(inward + state[0] @ self.across * total.unsqueeze(1))
        return torch.cat([h, x], dim=1), (h,)

    @property
    def output_size(self):
        return self.hidden_size + self.input_size


class ProjectionInPieces(Elman):
    def project(self, xs):
        both = self.inward(xs)
        return both[..., :1], both[..., 1:], both.exp()

    def step(self, p, state):
        first, rest, scale = p
        h = torch.tanh(torch.cat([first, rest], dim=1) + scale * (state[0] @ self.across))
        return h, (h,)


class ProjectionUsedTwice(Elman):
    def project(self, xs):
        inward = self.inward(xs)
        return inward, inward

    def step(self, p, state):
        h = torch.tanh(p[0] + state[0] @ self.across) * p[1]
        return h, (h,)


class ProjectionOfAnActivation(Elman):
    def project(self, xs):
        return torch.sigmoid(self.inward(xs))  # autograd needs the result itself


class NoProjection(Elman):
    def project(self, xs):
        return xs

    def step(self, p, state):
        return super().step(self.inward(p), state)


class LearntInitialState(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.begin = nn.Parameter(torch.randn(hidden_size))

    def initial_state(self, batch_size):
        return (self.begin.expand(batch_size, -1),)


class InitialStateAlsoInTheStep(LearntInitialState):
    def step(self, p, state):
        return super().step(p + self.begin, state)


class DropoutMask(Elman):
    def project(self, xs):
        mask = torch.bernoulli(torch.full((*xs.shape[:2], self.hidden_size), 0.5, dtype=xs.dtype))
        return self.inward(xs), mask

    def step(self, p, state):
        return super().step(p[0], (p[1] * state[0],))


class NoParameters(rnnkit.Cell):
    name = "no-parameters"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, input_size)

    def step(self, p, state):
        h = torch.tanh(p + 0.5 * state[0])
        return h, (h,)


class WeightInBothPlaces(Elman):
    def project(self, xs):
        return self.inward(xs) @ self.across


class Buffered(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("decay", torch.rand(hidden_size))

    def step(self, p, state):
        return super().step(p, (self.decay * state[0],))


class UnusedParameter(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.idle = nn.Parameter(torch.randn(hidden_size))


class FrozenWeight(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.across.requires_grad_(False)


class OutputWithoutGradient(Elman):
    state_names = ("h",)

    def step(self, p, state):
        y, state = super().step(p, state)
        return y.detach().sign(), state


PECULIAR = [kind for kind in list(globals().values()) if isinstance(kind, type) and issubclass(kind, rnnkit.Cell)]


def masks_for(mask, steps, batch):
    lengths = torch.randint(1, steps + 1, (batch,)) if mask == "lengths and reset" else None
    return {"lengths": lengths, "reset": None if mask == "none" else torch.rand(steps, batch) < 0.3}


@pytest.mark.covering(1)
@pytest.mark.parametrize("mask", slow_but(["none", "lengths and reset"], ["none", "reset", "lengths and reset"]))
@pytest.mark.parametrize("kind", PECULIAR, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)], ids=str)
def test_the_loop_s_bits(kind, dtype, mask):
    torch.manual_seed(0)
    with building(None, dtype):
        cell = kind(3, 4)
    checkpoint = rnnkit.unrollers["checkpoint"]
    for steps, batch in ((1, 1), (2, 2), (5, 1), (17, 3)):
        for unroller in (checkpoint(), checkpoint(segment=3), checkpoint(budget=2000 * batch)):
            assert list(differences(unroller, cell, steps, batch, 0.0, **masks_for(mask, steps, batch))) == []


@pytest.mark.parametrize("kind", PECULIAR, ids=lambda kind: kind.__name__)
def test_the_loop_s_gradients_to_second_order(kind):
    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = kind(2, 2)
    if kind is OutputWithoutGradient:
        cell.step = super(OutputWithoutGradient, cell).step  # a step function has no differences to compare with
    for order in (1, 2):
        rnnkit.gradcheck(cell, "checkpoint", order, steps=4).raise_if_failed()


def test_a_complex_state():
    class Rotation(rnnkit.Cell):
        name = "rotation"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.turn = nn.Parameter(torch.randn(hidden_size, dtype=torch.complex128))
            self.inward = nn.Parameter(torch.randn(input_size, hidden_size, dtype=torch.complex128))

        def project(self, xs):
            return xs.to(torch.complex128) @ self.inward

        def step(self, p, state):
            h = self.turn * state[0] / self.turn.abs() + p
            return h.real, (h,)

    torch.manual_seed(0)
    cell, xs = Rotation(3, 4), torch.randn(20, 2, 3, dtype=torch.float64, requires_grad=True)
    found = []
    for name in ("loop", "checkpoint"):
        ys, (h,) = rnnkit.unrollers[name]()(cell, xs)
        found.append((ys, h, *torch.autograd.grad(ys.sin().sum() + h.abs().sum(), [xs, *cell.parameters()])))
    for expected, result in zip(*found, strict=True):
        assert torch.equal(expected, result)


class CountsInProject(Elman):
    """A normalisation in the projection, which counts what it sees."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.norm = nn.BatchNorm1d(hidden_size)

    def project(self, xs):
        return self.norm(super().project(xs).flatten(0, 1)).view(*xs.shape[:2], -1)


@pytest.mark.parametrize("hooked", [False, True])
def test_a_projection_that_counts_is_differentiated(hooked):
    cell = CountsInProject(3, 4)
    if hooked:
        cell.across.register_hook(lambda gradient: gradient.clamp(-1, 1))
    ys, _ = rnnkit.unrollers["checkpoint"]()(cell, torch.randn(9, 2, 3))
    ys.sum().backward()
    assert cell.norm.weight.grad is not None
