"""Cells whose steps write attributes: some that no step reads before it has written them, and some that do."""

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


NATIVE = (KeepsGates, KeepsDetached, WritesThenReads, KeepsSeveral, KeepsInSubmodule, KeepsWhatItReads)


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


LEFT = (
    *(Counts, Remembers, AsksWhether, AsksForNone, AsksByDefault, AsksItsDictionary, ShadowsItsClass),
    *(Appends, ExchangesItsParameter),
)
