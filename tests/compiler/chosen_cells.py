"""Cells in which numbers choose units: by the largest, by a counter, by rank, by bits."""

import torch
from torch import nn
from torch.nn import functional

import rnnkit


class Chooses(rnnkit.Cell):
    """What they have in common: z, of which each makes something."""

    state_names = ("h",)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size, hidden_size)
        self.recur = nn.Linear(hidden_size, hidden_size, bias=False)

    def project(self, xs):
        return self.read(xs)

    def step(self, p, state):
        h = torch.tanh(self.choose(p + self.recur(state[0])))
        return h, (h,)


class HardAttention(Chooses):
    def choose(self, z):
        return z * functional.one_hot(z.argmax(1), z.shape[1]) + z.gather(1, z.argmin(1, keepdim=True))


class StraightThrough(Chooses):
    def choose(self, z):
        soft = z.softmax(1)
        hard = torch.zeros_like(soft).scatter_(1, soft.argmax(1, keepdim=True), 1.0)
        return z * (hard - soft.detach() + soft)


class PlaceOfTheLargest(Chooses):
    def choose(self, z):
        largest, place = z.view(-1, 2, z.shape[1] // 2).max(2)
        return z + largest.sum(1, keepdim=True) + 0.1 * place.to(z.dtype).sum(1, keepdim=True)


class Codebook(Chooses):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.book = nn.Embedding(5, hidden_size)

    def choose(self, z):
        nearest = torch.cdist(z, self.book.weight).argmin(1)
        return z - (z - self.book(nearest)).square() + self.book.weight[nearest - 5]


class Routed(Chooses):
    """The best two of four experts."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.gate = nn.Linear(hidden_size, 4)
        self.experts = nn.Parameter(torch.randn(4, hidden_size, hidden_size) / hidden_size)

    def choose(self, z):
        best, which = self.gate(z).topk(2, 1)
        share = torch.zeros(len(z), 4, dtype=z.dtype).scatter(1, which, best.softmax(1))
        return torch.einsum("bh,ehk,be->bk", z, self.experts, share)


class InOrder(Chooses):
    def choose(self, z):
        place = z.argsort(1, descending=True)[:, :2]
        middle = z.median(1, keepdim=True).values + z.quantile(0.3, 1, keepdim=True)
        return z.sort(1).values + middle + torch.take_along_dim(z, place, 1).prod(1, keepdim=True)


class Binned(Chooses):
    def choose(self, z):
        bins = torch.bucketize(z.detach().contiguous(), torch.tensor([-0.5, 0.0, 0.5], dtype=z.dtype))
        count = torch.zeros(len(z), 4, dtype=z.dtype).scatter_add(1, bins, torch.ones_like(z))
        some = (z > 0.4).any(1, keepdim=True) & ~(z > 0).all(1, keepdim=True)
        return torch.where(some, z, -z) + count[:, :1]


class Overwrites(Chooses):
    """Puts several units into one, of which the last stays."""

    def choose(self, z):
        place = (z.detach() > 0).long() + 1
        return z + torch.zeros_like(z).scatter(1, place, z.square()) + z.gather(1, place.sum(1, keepdim=True) % 6)


class Spline(Chooses):
    """Interpolates between values of its own."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.knots = nn.Parameter(torch.randn(5))

    def choose(self, z):
        u = 2 * torch.tanh(z) + 2
        left = u.floor().long().clamp(0, 3)
        order = z.topk(3, 1).indices.sort(1).values
        positive = (z > 0).sum(1, keepdim=True).clamp(min=1, max=6) - 1
        ends = z.gather(1, positive) + z.gather(1, order).cumsum(1).sum(1, keepdim=True)
        return torch.lerp(self.knots[left], self.knots[left + 1], u - left) + ends


class Counts(Chooses):
    """Has a counter in its state too."""

    state_names = ("h", "k")
    dtype = torch.long

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.hidden_size), torch.zeros(batch_size, dtype=self.dtype)

    def step(self, p, state):
        h, k = state
        h = torch.tanh(self.at(p + self.recur(h), k))
        return h, (h, (k + 1) % 3)


class Tabled(Counts):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.table = nn.Embedding(3, hidden_size)
        self.scales = nn.Parameter(torch.randn(4, 2, 2))

    def at(self, z, k):
        return z + self.table(k) + self.scales[k].sum((1, 2)).unsqueeze(1) + self.recur.weight.index_select(0, k)


class TabledTwice(Counts):
    """Looks up by two indices at once."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.table = nn.Parameter(torch.randn(3, hidden_size, hidden_size))
        self.numbers = nn.Parameter(torch.randn(3, hidden_size))

    def at(self, z, k):
        place = z.argmax(1)
        return z + self.table[k, place - 1] + self.numbers[k, place].unsqueeze(1)


class Turned(Counts):
    def at(self, z, k):
        return z.gather(1, (torch.arange(z.shape[1]) - k.unsqueeze(1)) % z.shape[1])


class Bitwise(Counts):
    def at(self, z, k):
        bits = ((k << 2) & 12) + ((k | 4) ^ 5) + ((k >> 1) & 1)
        return z * (1 + 0.1 * bits.to(z.dtype)).unsqueeze(1)


class AddsOnes(Counts):
    """Counts by adding a tensor."""

    def step(self, p, state):
        h, k = state
        h = torch.tanh(p + self.recur(h)) * (k % 3 == 0).unsqueeze(1)
        return h, (h, k + torch.ones_like(k))


class Small(Counts):
    dtype = torch.int8

    def at(self, z, k):
        return z * (k > 1).unsqueeze(1) + 0.1 * k.to(z.dtype).unsqueeze(1)


class Unsigned(Small):
    dtype = torch.uint8


class Ring(Counts):
    """Keeps the last three in a ring, written in place or not."""

    state_names = ("h", "k", "ring")

    def initial_state(self, batch_size):
        return *super().initial_state(batch_size), torch.zeros(batch_size, 3, self.hidden_size)

    def step(self, p, state):
        h, k, ring = state
        rows = torch.arange(len(k))
        h = torch.tanh(p + self.recur(h) + 0.5 * ring[rows, k])
        ring = ring.clone()
        ring[rows, k] = h
        after = (k + 1) % 3
        ring = ring.scatter(1, after.view(-1, 1, 1).expand(-1, 1, ring.shape[2]), 0.5 * h.unsqueeze(1))
        return h, (h, after, ring)


class Buckets(Counts):
    """Counts in how many steps each unit was the largest, and reads a table by one of the counts."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.table = nn.Embedding(8, hidden_size)

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.hidden_size), torch.zeros(batch_size, self.hidden_size, dtype=self.dtype)

    def step(self, p, state):
        h, k = state
        z = p + self.recur(h)
        k = (k + functional.one_hot(z.argmax(1), z.shape[1])).clamp(max=7)
        h = torch.tanh(z + k.to(h.dtype) / 7 + self.table(k[:, 0].clamp(0, 7)))
        return h, (h, k)


class Conjugate(rnnkit.Cell):
    """Hands its complex state on as a conjugate."""

    state_names = ("h",)

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size, hidden_size)
        self.angle = nn.Parameter(torch.randn(hidden_size))

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, self.hidden_size).to(torch.complex128),)

    def project(self, xs):
        return self.read(xs)

    def step(self, p, state):
        h = (0.9 * state[0] * torch.exp(1j * self.angle) + p).conj()
        return h.real, (h,)


EVERY_CHOOSING_CELL = [
    *(HardAttention, StraightThrough, PlaceOfTheLargest, Codebook, Routed, InOrder, Binned),
    *(Overwrites, Spline, Tabled, TabledTwice, Turned, Bitwise, AddsOnes, Small, Unsigned, Ring, Buckets, Conjugate),
]
