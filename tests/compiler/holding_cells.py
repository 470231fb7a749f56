"""Cells whose steps read tensors that are neither parameters nor buffers, or parameters by another way."""

import functools
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional

import rnnkit

H = 6
Pair = namedtuple("Pair", "left right")

a_global = torch.linspace(0.2, 1, H, dtype=torch.float64)
a_table = {"scale": torch.linspace(0.2, 1, H, dtype=torch.float64)}


def numbers(*shape):
    return torch.rand(*shape or (H,), dtype=torch.float64)


@dataclass
class Box:
    inside: torch.Tensor


class Weighing:
    """No module, and of no interest to `parameters()`."""

    def __init__(self, weight):
        self.weight = weight

    def times(self, h):
        return h @ self.weight


class Holding(rnnkit.Cell):
    """h' = tanh(W x + mixed(h)), where what is mixed in tells the cells apart."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inputs = nn.Linear(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size, bias=False)
        self.hold()

    def hold(self):
        pass

    def project(self, xs):
        return self.inputs(xs)

    def step(self, p, state):
        (h,) = state
        h = torch.tanh(p + self.mixed(h))
        return h, (h,)


class OfAttribute(Holding):
    def hold(self):
        self.scale = numbers()

    def mixed(self, h):
        return self.recurrent(h) * self.scale


class OfAttributeOfSubmodule(Holding):
    def hold(self):
        self.recurrent.mask = numbers(H, H).round()

    def mixed(self, h):
        return functional.linear(h, self.recurrent.weight * self.recurrent.mask)


class OfMatrix(Holding):
    def hold(self):
        self.matrix = 0.3 * torch.randn(H, H, dtype=torch.float64)

    def mixed(self, h):
        return h @ self.matrix


class OfList(Holding):
    def hold(self):
        self.held = [numbers(), numbers()]

    def mixed(self, h):
        return self.recurrent(h) * self.held[0] + self.held[1]


class OfDict(Holding):
    def hold(self):
        self.held = {"scale": numbers()}

    def mixed(self, h):
        return self.recurrent(h) * self.held["scale"]


class OfNamedTuple(Holding):
    def hold(self):
        self.held = Pair(numbers(), numbers())

    def mixed(self, h):
        return self.recurrent(h) * self.held.left + self.held.right


class OfDataclass(Holding):
    def hold(self):
        self.held = Box(numbers())

    def mixed(self, h):
        return self.recurrent(h) * self.held.inside


class OfNamespace(Holding):
    def hold(self):
        self.held = SimpleNamespace(inside=numbers())

    def mixed(self, h):
        return self.recurrent(h) * self.held.inside


class OfObject(Holding):
    def hold(self):
        self.held = Weighing(0.3 * torch.randn(H, H, dtype=torch.float64))

    def mixed(self, h):
        return self.held.times(h)


class OfGlobal(Holding):
    def mixed(self, h):
        return self.recurrent(h) * a_global


class OfGlobalTable(Holding):
    def mixed(self, h):
        return self.recurrent(h) * a_table["scale"]


class OfClass(Holding):
    scale = torch.linspace(0.2, 1, H, dtype=torch.float64)

    def mixed(self, h):
        return self.recurrent(h) * self.scale


class OfDefault(Holding):
    def mixed(self, h, scale=torch.linspace(0.2, 1, H, dtype=torch.float64)):  # noqa: B008 - as people write it
        return self.recurrent(h) * scale


class OfClosure(Holding):
    def hold(self):
        scale = numbers()
        self.scaled = lambda h: h * scale

    def mixed(self, h):
        return self.scaled(self.recurrent(h))


class OfListAndAttribute(Holding):
    """One tensor by two ways."""

    def hold(self):
        self.scale = numbers()
        self.held = [self.scale]

    def mixed(self, h):
        return self.recurrent(h) * self.scale + self.held[0]


class Learned(Holding):
    """A leaf that no optimizer is given."""

    def hold(self):
        self.scale = numbers().requires_grad_()

    def mixed(self, h):
        return self.recurrent(h) * self.scale


class LearnedInList(Holding):
    def hold(self):
        self.held = [numbers().requires_grad_()]

    def mixed(self, h):
        return self.recurrent(h) * self.held[0]


class Computed(Holding):
    """A weight that is made of a parameter outside of the step, as by a hypernetwork."""

    def hold(self):
        self.own = nn.Parameter(numbers())
        self.scale = self.own.sigmoid()

    def mixed(self, h):
        return self.recurrent(h) * self.scale


class ParametersInList(Holding):
    def hold(self):
        self.own = nn.Parameter(numbers())
        self.held = [self.own, self.recurrent.weight]

    def mixed(self, h):
        return functional.linear(h, self.held[1]) * self.held[0] + self.own


class ParametersInObject(Holding):
    def hold(self):
        self.own = nn.Parameter(0.3 * torch.randn(H, H))
        self.held = Weighing(self.own)

    def mixed(self, h):
        return self.held.times(h)


class ModulesInDict(Holding):
    def hold(self):
        self.held = {"recurrent": self.recurrent}

    def mixed(self, h):
        return self.held["recurrent"](h)


class ReadsItselfInClosure(Holding):
    def hold(self):
        self.scaled = lambda h: self.recurrent(h) * self.scale
        self.scale = numbers()

    def mixed(self, h):
        return self.scaled(h)


class ForeignModules(Holding):
    """In a list, where `parameters()` finds none of theirs."""

    def hold(self):
        self.held = [nn.Linear(H, H).double(), nn.LayerNorm(H).double()]

    def mixed(self, h):
        return self.held[1](self.held[0](h))


class OfIndices(Holding):
    def hold(self):
        self.order = torch.randperm(H)

    def mixed(self, h):
        return self.recurrent(h)[:, self.order]


class OfIndicesInList(Holding):
    def hold(self):
        self.held = [torch.randperm(H)]

    def mixed(self, h):
        return self.recurrent(h)[:, self.held[0]]


class OfExpanded(Holding):
    """One number, seen as many, and a matrix that lies on its side."""

    def hold(self):
        self.scale = torch.full((1,), 0.7, dtype=torch.float64).expand(H)
        self.turned = torch.randn(H, H, dtype=torch.float64).t()
        self.held = [torch.randn(H, 2 * H, dtype=torch.float64)[:, ::2]]

    def mixed(self, h):
        return 0.2 * (h @ self.turned) * self.scale + 0.1 * (h @ self.held[0])


class OfNumber(Holding):
    def hold(self):
        self.scale = torch.tensor(0.7)

    def mixed(self, h):
        return self.recurrent(h) * self.scale


class OfBooleans(Holding):
    def hold(self):
        self.keeps = numbers() > 0.5

    def mixed(self, h):
        return torch.where(self.keeps, self.recurrent(h), h)


class Branches(Holding):
    """There is a program for what is in it."""

    def hold(self):
        self.held = [numbers()]

    def mixed(self, h):
        return self.recurrent(h) if self.held[0].sum() > 3 else h


class TakesByNumber(Holding):
    def hold(self):
        self.held = [torch.tensor(1)]

    def mixed(self, h):
        return self.recurrent(h) * h[:, self.held[0]].unsqueeze(1)


class ClampsByNumber(Holding):
    def hold(self):
        self.held = [torch.tensor(0.3)]

    def mixed(self, h):
        return functional.hardtanh(self.recurrent(h), -1.0, self.held[0])


NATIVE = (
    *(OfAttribute, OfAttributeOfSubmodule, OfMatrix, OfList, OfDict, OfNamedTuple, OfDataclass, OfNamespace, OfObject),
    *(OfGlobal, OfGlobalTable, OfClass, OfDefault, OfClosure, OfListAndAttribute, Learned, LearnedInList, Computed),
    *(ParametersInList, ParametersInObject, ModulesInDict, ForeignModules, OfIndices, OfIndicesInList, OfBooleans),
    *(OfExpanded, OfNumber, ReadsItselfInClosure, Branches, TakesByNumber, ClampsByNumber),
)


class CallsFirst(Holding):
    """Has a module in a list."""

    def mixed(self, h):
        return self.held[0](h)


class CountsInModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(0.3 * torch.randn(H, H))
        self.count = 0

    def forward(self, h):
        self.count += 1
        return h @ self.weight / self.count


class KeepsLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(0.3 * torch.randn(H, H))
        self.last = torch.zeros(7, H, dtype=torch.float64)

    def forward(self, h):
        if self.last.shape == h.shape:
            self.last = h.detach()
        return h @ self.weight


class ReplacesOnOwnModuleInList(CallsFirst):
    """What it replaces is of the same form at the first rows that it is tried on."""

    def hold(self):
        self.keeping = KeepsLast()
        self.held = [self.keeping]


class WritesOnOwnModuleInList(CallsFirst):
    def hold(self):
        self.counting = CountsInModule()
        self.held = [self.counting]


class WritesOnForeignModule(CallsFirst):
    def hold(self):
        self.held = [CountsInModule().double()]


class ReadsNumbers(Holding):
    def hold(self):
        self.held = [numbers()]

    def mixed(self, h):
        return self.recurrent(h) * self.held[0].tolist()[1]


class Remembers(Holding):
    """The loop draws once, and so is to be whatever runs it."""

    @functools.cache  # noqa: B019 - as people write it
    def scale(self):
        return numbers()

    def mixed(self, h):
        return self.recurrent(h) * self.scale()


class RemembersWeights(Holding):
    @functools.cache  # noqa: B019
    def scale(self):
        return self.recurrent.weight.detach().mean(0)

    def mixed(self, h):
        return self.recurrent(h) * self.scale()


class SetsAGradient(Holding):
    def mixed(self, h):
        self.recurrent.weight.grad = torch.ones_like(self.recurrent.weight)
        return self.recurrent(h)


class OfSparse(Holding):
    def hold(self):
        self.held = [numbers(H, H).to_sparse()]

    def mixed(self, h):
        return torch.sparse.mm(self.held[0], h.t()).t()


class KeepsMean(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.zeros(H, dtype=torch.float64))

    def forward(self, h):
        self.mean = self.mean + 0.1
        return h + self.mean


class WritesBufferOfForeignModule(CallsFirst):
    def hold(self):
        self.held = [KeepsMean()]


class ExchangesData(Holding):
    def hold(self):
        self.scale = numbers()

    def mixed(self, h):
        self.scale.data = 0.9 * self.scale.data
        return self.recurrent(h) * self.scale


class ExchangesDataInList(Holding):
    def hold(self):
        self.held = [numbers()]

    def mixed(self, h):
        self.held[0].data = 0.9 * self.held[0].data
        return self.recurrent(h) * self.held[0]


class ExchangesDataOfParameter(Holding):
    def mixed(self, h):
        self.recurrent.weight.data = 0.9 * self.recurrent.weight.data
        return self.recurrent(h)


class BeginsToLearn(Holding):
    def hold(self):
        self.held = [numbers()]

    def mixed(self, h):
        return self.recurrent(h) * self.held[0].requires_grad_()


class OfInference(Holding):
    def hold(self):
        with torch.inference_mode():
            self.scale = numbers()

    def mixed(self, h):
        return self.recurrent(h) + self.scale


class KeepsItsGradient(Holding):
    def hold(self):
        self.own = nn.Parameter(numbers())
        self.held = [self.own.sigmoid()]
        self.held[0].retain_grad()

    def mixed(self, h):
        return self.recurrent(h) * self.held[0]


class Overwrites(Holding):
    def hold(self):
        self.held = [torch.zeros(H, dtype=torch.float64)]

    def mixed(self, h):
        self.held[0].add_(0.1)
        return self.recurrent(h) + self.held[0]


class OverwritesAttribute(Holding):
    def hold(self):
        self.total = torch.zeros(H, dtype=torch.float64)

    def mixed(self, h):
        self.total += 0.1
        return self.recurrent(h) + self.total


class Replaces(Holding):
    def hold(self):
        self.trace = torch.zeros(H, dtype=torch.float64)

    def mixed(self, h):
        self.trace = 0.9 * self.trace + 0.1
        return self.recurrent(h) + self.trace


class OfRows(Holding):
    """A tensor with a row for each of the batch, as what an encoder gave."""

    def hold(self):
        self.context = numbers(3, H)

    def mixed(self, h):
        return self.recurrent(h) + self.context


LEFT = (
    *(ReplacesOnOwnModuleInList, WritesOnOwnModuleInList, WritesOnForeignModule, ReadsNumbers),
    *(Overwrites, OverwritesAttribute, Replaces, OfRows, Remembers, RemembersWeights),
    *(ExchangesData, ExchangesDataInList, ExchangesDataOfParameter, BeginsToLearn, OfInference, KeepsItsGradient),
    *(SetsAGradient, OfSparse, WritesBufferOfForeignModule),
)
"""For the loop, which says why."""
