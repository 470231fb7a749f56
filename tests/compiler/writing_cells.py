"""Cells whose steps write attributes: some that no step reads before it has written them, and some that do."""

import inspect

import torch
from torch import nn

from .holding_cells import H, Holding, numbers


class KeepsGates(Holding):
    """For whoever looks, or has a penalty on it."""

    def mixed(self, h):
        self.gates = torch.sigmoid(self.recurrent(h))
        return self.gates * h


class KeepsDetached(Holding):
    def hold(self):
        self.last = None

    def mixed(self, h):
        self.last = h.detach()
        return self.recurrent(h)


class WritesThenReads(Holding):
    """As spiking cells do: the attribute is a variable by another name."""

    def hold(self):
        self.membrane = torch.zeros(H, dtype=torch.float64)

    def mixed(self, h):
        self.membrane = self.recurrent(h)
        self.membrane = 0.9 * self.membrane + 0.1 * h
        return torch.where(self.membrane > 0.1, self.membrane, torch.zeros_like(self.membrane))


class KeepsSeveral(Holding):
    def mixed(self, h):
        self.parts = (self.recurrent(h), {"h": h})
        self.rows = h.shape[0]
        return self.parts[0] + self.parts[1]["h"]


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Linear(H, H)
        self.weights = None

    def forward(self, h):
        self.weights = torch.softmax(self.score(h), 1)
        return self.weights * h


class KeepsInSubmodule(Holding):
    def hold(self):
        self.attention = Attention()

    def mixed(self, h):
        return self.attention(h)


class KeepsWhatItReads(Holding):
    """One attribute is read, another written."""

    def hold(self):
        self.scale = numbers()

    def mixed(self, h):
        self.scaled = self.recurrent(h) * self.scale
        return self.scaled


class KeepsByIndex(Holding):
    """A kernel of its own for each order of units."""

    def hold(self):
        self.register_buffer("order", torch.arange(H).flip(0))

    def mixed(self, h):
        self.turned = self.recurrent(h)[:, self.order]
        return self.turned


class DrawsAsWell(Holding):
    """The kernel draws for all steps but the last, which draws for itself."""

    def mixed(self, h):
        self.seen = nn.functional.dropout(h, 0.4)
        return self.recurrent(self.seen)


class KeepsWhatWaitsForNoState(Holding):
    """Of which there is one for all steps: the projection is not in the kernel."""

    def step(self, x, state):
        (h,) = state
        self.gate = torch.sigmoid(x)
        h = self.gate * torch.tanh(self.recurrent(h)) + (1 - self.gate) * h
        return h, (h,)


class ProjectsInParts(Holding):
    """By more than products, and in a form of its own."""

    def project(self, xs):
        return torch.tanh(self.inputs(xs)), (xs.sum(-1, keepdim=True),)

    def step(self, p, state):
        (h,), (x, (gate,)) = state, p
        self.gate = torch.sigmoid(gate + self.recurrent(h))
        h = torch.tanh(x + self.gate * h)
        return h, (h,)


class DrawsInItsProjection(Holding):
    def project(self, xs):
        return nn.functional.dropout(self.inputs(xs), 0.3)

    def mixed(self, h):
        self.seen = self.recurrent(h)
        return self.seen


class Spike(torch.autograd.Function):
    """With a gradient of its own, as spiking networks have."""

    @staticmethod
    def forward(ctx, x, slope):
        ctx.save_for_backward(x)
        ctx.slope = slope
        return (x > 0).to(x.dtype)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad / (1 + (ctx.slope * x).pow_(2)), None


class Neuron(nn.Module):
    """Keeps potential and reset in buffers, which take the form of the batch, and has its own method as attribute."""

    def __init__(self):
        super().__init__()
        self.register_buffer("potential", torch.zeros(0), persistent=False)
        self.decay = nn.Parameter(torch.tensor(0.9))
        self.advanced = self.subtracting

    def subtracting(self, x):
        return self.decay.clamp(0, 1) * self.potential + x - self.reset

    def forward(self, x, potential):
        self.potential = potential
        if self.potential.shape != x.shape:
            self.potential = torch.zeros_like(x)
        self.reset = Spike.apply(self.potential - 0.5, 2.0).clone().detach()
        self.potential = self.advanced(x)
        return Spike.apply(self.potential - 0.5, 2.0), self.potential


class Spiking(Holding):
    def hold(self):
        self.neuron = Neuron()

    def step(self, p, state):
        (h,) = state
        spikes, h = self.neuron(p + self.recurrent(torch.tanh(h)), h)
        return spikes + h, (h,)


class WritesItsBuffer(Holding):
    def hold(self):
        self.register_buffer("seen", torch.zeros(H))

    def mixed(self, h):
        self.seen = h.mean(0)
        return self.recurrent(h)


NATIVE = (
    *(KeepsGates, KeepsDetached, WritesThenReads, KeepsSeveral, KeepsInSubmodule, KeepsWhatItReads, KeepsByIndex),
    *(DrawsAsWell, KeepsWhatWaitsForNoState, ProjectsInParts, DrawsInItsProjection, Spiking, WritesItsBuffer),
)


class Counts(Holding):
    def hold(self):
        self.count = 0

    def mixed(self, h):
        self.count += 1
        return self.recurrent(h)


class Remembers(Holding):
    """A state beside the state."""

    def hold(self):
        self.trace = torch.zeros(H, dtype=torch.float64)

    def mixed(self, h):
        mixed = self.recurrent(h) + self.trace
        self.trace = 0.1 + 0.5 * self.trace
        return mixed


class AsksWhether(Holding):
    def mixed(self, h):
        first = not hasattr(self, "seen")
        self.seen = h.detach()
        return h if first else self.recurrent(h)


class AsksForNone(Holding):
    def hold(self):
        self.seen = None

    def mixed(self, h):
        mixed = h if self.seen is None else self.recurrent(h)
        self.seen = h.detach()
        return mixed


class AsksByDefault(Holding):
    def mixed(self, h):
        factor = getattr(self, "factor", 1.0)
        self.factor = 0.5
        return self.recurrent(h) * factor


class AsksItsDictionary(Holding):
    def mixed(self, h):
        first = "seen" not in vars(self)
        self.seen = h.detach()
        return h if first else self.recurrent(h)


class ShadowsItsClass(Holding):
    factor = 1.0

    def mixed(self, h):
        factor = self.factor
        self.factor = 0.5
        return self.recurrent(h) * factor


class Appends(Holding):
    def hold(self):
        self.log = []

    def mixed(self, h):
        self.log.append(h.detach())
        return self.recurrent(h)


class ExchangesItsParameter(Holding):
    def hold(self):
        self.own = nn.Parameter(numbers())

    def mixed(self, h):
        self.own = nn.Parameter(self.own.detach() * 0.9)
        return self.recurrent(h) * self.own


class ReadsInBranches(Holding):
    """Which of two ways it goes is told by an attribute that a user sets."""

    def hold(self):
        self.reads, self.scale = False, 0.5

    def mixed(self, h):
        if self.reads:
            return self.recurrent(h) * self.scale
        self.scale = h.detach()
        return self.recurrent(h)


class Swallows(Holding):
    """An error of whoever asks it is told from no other."""

    def mixed(self, h):
        try:
            factor = self.seen
        except Exception:
            factor = 1.0
        self.seen = torch.full((H,), 0.5, dtype=h.dtype)
        return self.recurrent(h) * factor


class AsksPastItself(Holding):
    def mixed(self, h):
        try:
            factor = object.__getattribute__(self, "seen")
        except AttributeError:
            factor = torch.ones(H, dtype=h.dtype)
        self.seen = factor * 0.5
        return self.recurrent(h) * factor


class AsksItsParent(Holding):
    def mixed(self, h):
        try:
            factor = super().__getattribute__("seen")
        except AttributeError:
            factor = torch.ones(H, dtype=h.dtype)
        self.seen = factor * 0.5
        return self.recurrent(h) * factor


class AsksByTorchsMethod(Holding):
    def hold(self):
        self.register_buffer("seen", torch.ones(H, dtype=torch.float64))

    def mixed(self, h):
        try:
            factor = self.__getattr__("seen")
        except AttributeError:
            factor = torch.ones(H, dtype=h.dtype)
        self.seen = factor * 0.5
        return self.recurrent(h) * factor


class AsksByTheClass(AsksByTorchsMethod):
    def mixed(self, h):
        try:
            factor = nn.Module.__getattr__(self, "seen")
        except AttributeError:
            factor = torch.ones(H, dtype=h.dtype)
        self.seen = factor * 0.5
        return self.recurrent(h) * factor


class AsksItsTable(Holding):
    """Which a copy of it has too."""

    def hold(self):
        self.register_buffer("seen", torch.ones(H, dtype=torch.float64))
        self.table = [self._buffers]

    def mixed(self, h):
        mixed = self.recurrent(h) * self.table[0]["seen"]
        self.seen = torch.full((H,), 0.5, dtype=h.dtype)
        return mixed


class AsksStatically(Holding):
    def mixed(self, h):
        factor = inspect.getattr_static(self, "seen", None)
        factor = torch.ones(H, dtype=h.dtype) if factor is None else factor
        self.seen = factor * 0.5
        return self.recurrent(h) * factor


class ListsItsNames(Holding):
    def mixed(self, h):
        factor = 0.5 if "seen" in dir(self) else 1.0
        self.seen = h.detach()
        return self.recurrent(h) * factor


class ListsNamesOfModules(Holding):
    def mixed(self, h):
        factor = 0.5 if any("seen" in module.__dir__() for module in self.modules()) else 1.0
        self.seen = h.detach()
        return self.recurrent(h) * factor


class Deletes(Holding):
    def mixed(self, h):
        factor = 1.0
        try:
            del self.seen
            factor = 0.5
        except AttributeError:
            pass
        self.seen = h.detach()
        return self.recurrent(h) * factor


class AnswersItself(Holding):
    def __getattribute__(self, name):
        try:
            return super().__getattribute__(name)
        except AttributeError:
            if name == "seen":
                return torch.ones(H, dtype=torch.float64)
            raise

    def mixed(self, h):
        factor = self.seen
        self.seen = factor * 0.5
        return self.recurrent(h) * factor


class IsTakenApart(Holding):
    def mixed(self, h):
        factor = self.__reduce_ex__(2)[2].get("seen", torch.ones(H, dtype=h.dtype))
        self.seen = factor * 0.5
        return self.recurrent(h) * factor


class AsksWhatItIs(Holding):
    def mixed(self, h):
        factor = 0.5 if self.__class__.__mro__[1] is Holding and hasattr(self, "seen") else 1.0
        self.seen = h.detach()
        return self.recurrent(h) * factor


class ReadsOnTheWayBack(Holding):
    def hold(self):
        self.seen = torch.ones(H)

    def mixed(self, h):
        class Scaled(torch.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                return x * 1.0

            @staticmethod
            def backward(ctx, grad):
                return grad * self.seen

        mixed = Scaled.apply(self.recurrent(h))
        self.seen = h.detach()
        return mixed


class Logging(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, cell):
        ctx.cell = cell
        return x * 1.0

    @staticmethod
    def backward(ctx, grad):
        ctx.cell.seen = grad.detach()
        return grad, None


class WritesOnTheWayBack(Holding):
    """What is there in the end is of the first step."""

    def mixed(self, h):
        self.seen = h.detach()
        return Logging.apply(self.recurrent(h), self)


class ReadsWhatProjectWrites(Holding):
    def project(self, xs):
        self.projected = self.inputs(xs)
        return self.projected

    def mixed(self, h):
        self.seen = h.detach()
        return self.recurrent(h) + self.projected.mean((0, 1) if self.projected.dim() == 3 else 0)


beside: dict[str, float] = {}


class WritesBeside(Holding):
    def mixed(self, h):
        factor = beside.get("factor", 1.0)
        self.seen = h.detach()
        beside["factor"] = 0.5
        return self.recurrent(h) * factor


class WritesBesideOnce(Holding):
    def mixed(self, h):
        factor = beside.get("factor", 1.0)
        beside["factor"] = 0.5
        return self.recurrent(h) * factor


class CountsBeside(Holding):
    def mixed(self, h):
        self.seen = h.detach()
        beside["calls"] = beside.get("calls", 0) + 1
        return self.recurrent(h)


class CountsInABuffer(Holding):
    def hold(self):
        self.register_buffer("steps", torch.zeros((), dtype=torch.float64))

    def mixed(self, h):
        self.steps = self.steps + 0.1
        return self.recurrent(h) + self.steps


class SolvesAsWell(Holding):
    def mixed(self, h):
        self.seen = torch.linalg.solve(self.recurrent.weight + 3 * torch.eye(H, dtype=h.dtype), h.t()).t()
        return self.seen


class ProjectWrites(Holding):
    def project(self, xs):
        self.projected = self.inputs(xs)
        return self.projected

    def mixed(self, h):
        self.seen = h.detach()
        return self.recurrent(h)


class ReadsWithoutGradients(Holding):
    def mixed(self, h):
        ones = torch.ones(H, dtype=h.dtype)
        factor = ones if torch.is_grad_enabled() else getattr(self, "seen", ones)
        self.seen = torch.full((H,), 0.5, dtype=h.dtype)
        return self.recurrent(h) * factor


class WritesTheFirst(Holding):
    """What a call gives is a leaf; what a step has made is none, where there are gradients."""

    def mixed(self, h):
        if h.is_leaf:
            self.seen = h.detach() + 1
        return self.recurrent(h)


class WritesWithoutGradients(Holding):
    def mixed(self, h):
        if not torch.is_grad_enabled():
            self.seen = h.detach()
        return self.recurrent(h)


class WritesForOneRow(Holding):
    def mixed(self, h):
        if h.shape[0] == 1:
            self.seen = h.detach()
        return self.recurrent(h)


LEFT = (
    *(Counts, Remembers, AsksWhether, AsksForNone, AsksByDefault, AsksItsDictionary, ShadowsItsClass),
    *(Appends, ExchangesItsParameter, Swallows, AsksPastItself, AsksItsParent, AsksStatically, ListsItsNames),
    *(ListsNamesOfModules, Deletes, AnswersItself, IsTakenApart, AsksWhatItIs, ReadsOnTheWayBack, WritesOnTheWayBack),
    *(
        AsksByTorchsMethod,
        AsksByTheClass,
        CountsBeside,
        CountsInABuffer,
        SolvesAsWell,
        ProjectWrites,
        ReadsWithoutGradients,
        WritesTheFirst,
    ),
    *(ReadsWhatProjectWrites, WritesBeside, WritesBesideOnce, WritesWithoutGradients, WritesForOneRow),
)
"""Whose steps are the loop's, or those of them that write."""
