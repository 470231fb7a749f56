"""Odd cells: what a recorded step could get wrong, or cannot be recorded at all. Each changes one thing about one cell.

Beside them stand the peculiar cells that the other unrollers are held to.
"""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

import rnnkit

from ..unrollers.test_peculiar_cells import PECULIAR, Elman


class BranchesOnAValue(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        if h.sum().item() > 0:
            h = h * 0.5
        return h, (h,)


class BranchesOnTheWeight(Elman):
    def step(self, p, state):
        factor = 0.5 if self.across.sum() > 0 else 2.0
        h = torch.tanh(p + factor * state[0] @ self.across)
        return h, (h,)


class WritesInPlace(Elman):
    def step(self, p, state):
        h = p + state[0] @ self.across
        h += 0.3
        h.mul_(0.7).tanh_()
        return h, (h,)


class WritesInAView(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across) + 0.0
        h[:, :1].mul_(0.5)
        h[:, -1] = 0.25
        return h, (h,)


class FillsABuffer(Elman):
    def step(self, p, state):
        h = torch.empty_like(state[0])
        h[:, :1] = torch.sigmoid(p[:, :1])
        h[:, 1:] = torch.tanh(p + state[0] @ self.across)[:, 1:]
        return h, (h,)


class PlainTensor(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scale = torch.rand(hidden_size)  # neither parameter nor buffer

    def step(self, p, state):
        h = torch.tanh(p + self.scale * (state[0] @ self.across))
        return h, (h,)


class TensorsInAList(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.scales = [torch.rand(hidden_size), torch.rand(hidden_size)]

    def step(self, p, state):
        h = torch.tanh(self.scales[0] * p + self.scales[1] * (state[0] @ self.across))
        return h, (h,)


class Closure(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        scale = torch.rand(hidden_size)
        self.squash = lambda z: torch.tanh(scale * z)

    def step(self, p, state):
        h = self.squash(p + state[0] @ self.across)
        return h, (h,)


class MixesTheBatch(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        h = h - h.mean(0)
        return h, (h,)


class MixesTheBatchBySorting(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across).flip(0)
        return h, (h,)


class AttendsToTheBatch(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        h = torch.softmax(h @ h.t(), 1) @ h
        return h, (h,)


class UsesTheBatchSize(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across / p.shape[0])
        return h, (h,)


class BatchNorm(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.norm = nn.BatchNorm1d(hidden_size, affine=False, track_running_stats=False)

    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        return (self.norm(h) if len(h) > 1 else h), (h,)


class MatrixMemory(Elman):
    state_names = ("memory", "h")

    def initial_state(self, batch_size):
        h = self.across.new_zeros(batch_size, self.hidden_size)
        return h.unsqueeze(2).repeat(1, 1, self.hidden_size), h

    def step(self, p, state):
        memory, h = state
        key, gate = torch.tanh(p), torch.sigmoid(h @ self.across)
        memory = gate.unsqueeze(2) * memory + key.unsqueeze(2) * h.unsqueeze(1)
        h = torch.tanh((memory @ key.unsqueeze(2)).squeeze(2) + p)
        return h, (memory, h)


class OutputOfThreeDimensions(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        return torch.stack([h, -h, h * h], dim=1), (h,)


class OutputOfOneDimension(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        return h.sum(1), (h,)


class OutputIsTheInput(Elman):
    def step(self, p, state):
        return p[:, 1:], (torch.tanh(p + state[0] @ self.across),)


class OutputIsAConstant(Elman):
    def step(self, p, state):
        return torch.full_like(p, 0.5), (torch.tanh(p + state[0] @ self.across),)


class OutputIsNotOfTheWeights(Elman):
    def step(self, p, state):
        return 0.5 * state[1], (torch.tanh(p + state[0] @ self.across), torch.sin(state[1]))

    state_names = ("h", "free")


class IgnoresTheInput(Elman):
    def step(self, p, state):
        h = torch.tanh(state[0] @ self.across + 0.1)
        return h, (h,)


class IgnoresTheState(Elman):
    def step(self, p, state):
        h = torch.tanh(p @ self.across)
        return h, (h,)


class StateBecomesAConstant(Elman):
    state_names = ("h", "ones")

    def step(self, p, state):
        h = torch.tanh(p + (state[0] + state[1]) @ self.across)
        return h, (h, torch.ones_like(h))


class SwapsTheStates(Elman):
    state_names = ("h", "c")

    def step(self, p, state):
        h, c = state
        return torch.tanh(p + h @ self.across), (c, h)


class SwapsAndMixes(Elman):
    state_names = ("h", "c", "d")

    def step(self, p, state):
        h, c, d = state
        return torch.tanh(h @ self.across + d), (torch.tanh(c + p), d, h)


class SameTensorForAll(Elman):
    state_names = ("h", "c", "d")

    def step(self, p, state):
        h = torch.tanh(p + (state[0] - 0.2 * state[1] + 0.1 * state[2]) @ self.across)
        return h, (h, h, h)


class ViewsOfOneTensor(Elman):
    state_names = ("h", "c")

    def step(self, p, state):
        both = torch.tanh(torch.cat([p + state[0] @ self.across, state[1] - p], dim=1))
        h, c = both.chunk(2, dim=1)
        return both[:, 1:-1], (h, c)


class ExpandedState(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        return h, (h.mean(1, keepdim=True).expand_as(h),)


class ExactTies(Elman):
    """From a state of zeros: every kink is met exactly, and which share of the gradient passes is torch's choice."""

    def step(self, p, state):
        (h,) = state
        kinks = torch.relu(h) + h.abs() + F.leaky_relu(h, 0.2) + F.hardtanh(h + 1) + h.clamp(0, 1) + torch.sign(h)
        kinks = kinks + torch.maximum(h, 0.5 * h) + torch.minimum(h, -h) + F.elu(h, 1.5) + F.relu6(h) + F.hardswish(h)
        kinks = kinks + h.amax(1, keepdim=True) + h.amin(1, keepdim=True) + h.norm(dim=1, keepdim=True)
        h = torch.tanh(0.1 * kinks + p.detach() * h + h @ self.across)
        return h, (h,)


class TiesOfSaturatedUnits(Elman):
    def step(self, p, state):
        h = (3 * p + state[0] @ self.across).clamp(-1, 1)
        y = torch.amax(h, 1, keepdim=True) * torch.softmax(h, 1)
        return y, (h,)


class ExtremeValues(Elman):
    """Large arguments: functions must neither overflow nor lose their gradients."""

    def step(self, p, state):
        wide = 300 * p + state[0] @ self.across
        h = torch.sigmoid(wide) + F.softplus(wide) / 300 + F.silu(-wide) / 300 + torch.softmax(wide, 1)
        h = h + torch.tanh(wide) + F.logsigmoid(wide) / 300 + torch.logsumexp(wide, 1, keepdim=True) / 300 + F.elu(wide)
        return h, (torch.tanh(h),)


class RandomInTheStep(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        return h, (h * torch.bernoulli(torch.full_like(h, 0.5)),)


class DropoutModule(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.drop = nn.Dropout(0.4)

    def step(self, p, state):
        h = torch.tanh(p + self.drop(state[0]) @ self.across)
        return h, (h,)


class OwnFunction(Elman):
    """Its backward is not the derivative of its forward."""

    class Straight(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.sign()

        @staticmethod
        def backward(ctx, grad):
            return 2 * grad

    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        return self.Straight.apply(h), (h,)


class GradientHook(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        if h.requires_grad:
            h.register_hook(lambda grad: grad.clamp(-0.1, 0.1))
        return h, (h,)


class HooksItsState(Elman):
    """A hook on what the step is given, which bites only where gradients are large."""

    def step(self, p, state):
        (h,) = state
        if h.requires_grad:
            h.register_hook(lambda grad: grad.clamp(-100, 100))
        h = torch.tanh(p + h @ self.across)
        return h, (h,)


class CountsTheRows(Elman):
    """A number of the rows, in Python, that is the same for three and seven of them."""

    def step(self, p, state):
        h = torch.tanh(p + (state[0].shape[0] % 4) * state[0] @ self.across)
        return h, (h,)


class PartOfAProductLater(Elman):
    """A part of a product that waits for a sum of another, as does the whole of it in other units."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, 3 * hidden_size)
        self.gathering = nn.Parameter(torch.randn(3 * hidden_size, hidden_size) / hidden_size)
        self.mixing = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size)
        self.spreading = nn.Parameter(torch.randn(hidden_size - 2, 3 * hidden_size) / hidden_size)

    state_names = ("h", "c")

    @property
    def state_sizes(self):
        return self.hidden_size, self.hidden_size // 3

    def step(self, p, state):
        h, c = state
        gathered = h @ self.gathering
        shift = (torch.tanh(c @ self.mixing) @ self.mixing).sum(-1, keepdim=True)
        h = torch.tanh(p + torch.tanh(gathered[:, 2:] - shift) @ self.spreading)
        return h, (h, torch.sigmoid((gathered - shift) @ self.mixing))


class NoGradInTheStep(Elman):
    def step(self, p, state):
        with torch.no_grad():
            gate = torch.sigmoid(state[0] @ self.across)
        h = torch.tanh(p + gate * state[0])
        return h, (h,)


class Submodules(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.mlp = nn.Sequential(nn.Linear(hidden_size, 3), nn.GELU(), nn.Linear(3, hidden_size, bias=False))
        self.norm = nn.LayerNorm(hidden_size)

    def step(self, p, state):
        h = torch.tanh(p + self.norm(self.mlp(state[0]) + state[0] @ self.across))
        return h, (h,)


class Parametrized(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.turn = parametrizations.weight_norm(nn.Linear(hidden_size, hidden_size))

    def step(self, p, state):
        h = torch.tanh(p + self.turn(state[0]))
        return h, (h,)


class Tied(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.again = nn.Linear(hidden_size, hidden_size)
        self.again.weight = self.across

    def step(self, p, state):
        h = torch.tanh(p + self.again(state[0]) + state[0] @ self.across)
        return h, (h,)


class TrainsOtherwise(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across * (0.5 if self.training else 1.5))
        return h, (h,)


class WeightOfThreeDimensions(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.cube = nn.Parameter(torch.randn(2, hidden_size, hidden_size) / hidden_size)

    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.cube[0] + torch.einsum("bi,oi->bo", state[0], self.cube[1]))
        return h, (h,)


class ConcatenatedWeights(Elman):
    """The textbook cell of four weights."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.four = nn.ParameterList(torch.randn(hidden_size, 2 * hidden_size) / hidden_size for _ in range(4))

    def step(self, p, state):
        i, f, g, o = (torch.cat([state[0], p], 1) @ weight.t() for weight in self.four)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), (torch.sigmoid(o) * torch.tanh(c), c)

    state_names = ("h", "c")


class ProductOfTheInputElsewhere(Elman):
    """What is made of the input alone has the batch in the middle before a view puts it first."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.further = nn.Parameter(torch.randn(hidden_size, hidden_size))

    def step(self, p, state):
        h = torch.tanh(state[0] @ self.across + torch.einsum("bi,io->bo", torch.tanh(p), self.further))
        return h, (h,)


class JoinsTheProjection(Elman):
    """A joined operand with pieces of the projection, over which what is saved would go at the same stage."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.wide = nn.Linear(input_size, 3 * hidden_size)
        self.inner = nn.Parameter(torch.randn(hidden_size, 2 * hidden_size))
        self.joint = nn.Parameter(torch.randn(5 * hidden_size, hidden_size) / hidden_size)

    def project(self, xs):
        return self.wide(xs)

    def step(self, p, state):
        a, b, c = p.chunk(3, -1)
        u, v = (state[0] @ self.inner).chunk(2, -1)
        z, r = torch.sigmoid(a + u), torch.sigmoid(b + v)
        h = torch.tanh(torch.cat([z, r, a, b, state[0]], 1) @ self.joint + c)
        return h, (h,)


class JoinsMuch(Elman):
    """So many pieces that they are put together, of which the projection is read after the gates are saved over it."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.joint = nn.Parameter(torch.randn(5 * hidden_size, hidden_size) / hidden_size)

    def step(self, p, state):
        (h,) = state
        a = torch.tanh(h @ self.across)
        h = torch.tanh(torch.cat([a * a, a.exp(), h * a, h, p], 1) @ self.joint)
        return h, (h,)


class MixesRowsByAGate(Elman):
    """Breaks the contract in the projection, but not while the gate is zero."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.gate = nn.Parameter(torch.zeros(()))

    def project(self, xs):
        p = self.inward(xs)
        return p + self.gate * p.mean(1, keepdim=True)


class ScalesByTheLength(Elman):
    def project(self, xs):
        return self.inward(xs) * (len(xs) if len(xs) > 4 else 1)


class ChecksItsInput(Elman):
    def project(self, xs):
        if xs.shape[0] == 3 or (xs == 0).all():
            raise ValueError("not with this cell")
        return self.inward(xs)


class ReadsTheProjectionLater(Elman):
    """A later stage reads the projection that what is saved could be written over."""

    def step(self, p, state):
        z = torch.sigmoid(p + state[0] @ self.across)
        h = torch.tanh((z * state[0]) @ self.across + p)
        return h, (h,)


class StepsOnTheInput(Elman):
    """What is saved has the form of the input, which is not to be written over."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, input_size)

    def project(self, xs):
        return xs

    def step(self, p, state):
        z = torch.sigmoid(p + state[0] @ self.across)
        h = torch.tanh(z * state[0] + (z * state[0]) @ self.across)
        return h, (h,)


class JoinsStates(Elman):
    """One product of both states, joined."""

    state_names = ("h", "c")
    times = 1

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.both = nn.Parameter(torch.randn(2 * hidden_size * self.times, hidden_size) / hidden_size)

    def step(self, p, state):
        h = torch.tanh(p + torch.cat(state * self.times, 1) @ self.both)
        return h, (h, 0.5 * (h + state[1]))


class JoinsStatesOften(JoinsStates):
    """A joined operand of so many pieces that it is put together."""

    times = 3


class AddsPositions(Elman):
    """Breaks the contract: what is projected depends on the step's number, which a recording of one step cannot see."""

    def project(self, xs):
        return self.inward(xs) + torch.arange(len(xs), dtype=xs.dtype).view(-1, 1, 1)


class TakesSequencesOnly(Elman):
    def project(self, xs):
        return self.inward(xs) * xs.new_ones(1, xs.shape[1], 1)


class ProjectsTwice(Elman):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.further = nn.Linear(hidden_size, hidden_size)

    def project(self, xs):
        return self.further(self.inward(xs))


class ProjectsASquare(Elman):
    def project(self, xs):
        return self.inward(xs * xs)


class NormsEqualNumbers(Elman):
    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across)
        same = torch.where(h > 2, h, 3.8913913)  # a sum of 33 of these rounds
        return h + F.layer_norm(same, h.shape[1:]) + same.mean(1, keepdim=True), (h,)


class NormsTheInput(Elman):
    def project(self, xs):
        return self.inward(F.layer_norm(xs, xs.shape[-1:]))


class NormsTheProjection(Elman):
    def project(self, xs):
        return F.layer_norm(self.inward(xs), (self.hidden_size,))


class ProjectsPieces(Elman):
    """Products of pieces of the input, which the step reads as well, with one bias for all that it adds elsewhere."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.bias = nn.Parameter(torch.randn(hidden_size))
        self.pieces = nn.Parameter(torch.randn(2, 2, hidden_size))

    def project(self, xs):
        return (xs, F.linear(xs[..., :2], self.pieces[0].t(), self.bias), xs[..., -2:] @ self.pieces[1] + self.bias)

    def step(self, p, state):
        xs, one, other = p
        h = torch.tanh(one * xs[:, :1] + other + self.bias + state[0] @ self.across)
        return h, (h,)


class ProjectsForNothing(Elman):
    def project(self, xs):
        return xs, self.inward(xs), self.inward(xs) - xs.sum(-1, keepdim=True)

    def step(self, p, state):
        h = torch.tanh(p[0][:, :1] + state[0] @ self.across)
        return h, (h,)


class StackedWeights(ConcatenatedWeights):
    def step(self, p, state):
        weights = torch.cat(list(self.four))
        i, f, g, o = F.linear(torch.cat([state[0], p], 1), weights).chunk(4, 1)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class Attention(Elman):
    """Heads over views of the units."""

    def step(self, p, state):
        queries, keys = p.unflatten(1, (2, -1)), (state[0] @ self.across).unflatten(1, (2, -1))
        weights = torch.softmax(queries @ keys.transpose(1, 2), -1)
        h = torch.tanh((weights @ keys).flatten(1) + p)
        return h, (h,)


class MixedWidths(Elman):
    state_names = ("h", "one", "wide")

    @property
    def state_sizes(self):
        return self.hidden_size, 1, 3 * self.hidden_size

    def step(self, p, state):
        h, one, wide = state
        wide = torch.tanh(torch.cat([h, p, one * h], dim=1) + 0.5 * wide)
        one = torch.sigmoid(wide.sum(1, keepdim=True) + one)
        h = torch.tanh(wide[:, : self.hidden_size] @ self.across + one)
        return wide, (h, one, wide)


def is_of_this_file(kind):
    return isinstance(kind, type) and issubclass(kind, rnnkit.Cell) and kind.__module__ == __name__


ODD = [*filter(is_of_this_file, list(globals().values()))]
EVERY_ODD_CELL = [*ODD, *PECULIAR]

MIX_THE_BATCH = {MixesTheBatch, MixesTheBatchBySorting, AttendsToTheBatch, UsesTheBatchSize, CountsTheRows, BatchNorm}
"""Cells that break the contract: their rows see each other."""

NEVER_RECORDED = {
    *MIX_THE_BATCH,
    BranchesOnAValue,
    GradientHook,
    HooksItsState,
}
"""Cells of which a recording would tell only half: they are for the loop."""

FOR_THE_LOOP = {
    *NEVER_RECORDED,
    BranchesOnTheWeight,
    ChecksItsInput,
}
"""Those, and cells that read values."""
