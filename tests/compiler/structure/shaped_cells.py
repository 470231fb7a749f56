"""Cells of a third party, each with a Jacobian of a known form."""

import torch
from torch import nn

import rnnkit


class Base(rnnkit.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inward = nn.Linear(input_size, hidden_size)
        self.across = nn.Linear(hidden_size, hidden_size)

    def project(self, xs):
        return self.inward(xs)


class DenseAffine(Base):
    """h = A(x) h + b(x), with a matrix for each row."""

    def step(self, p, state):
        (h,) = state
        matrix = torch.tanh(p.unsqueeze(2) * self.across.weight)
        h = 0.3 * torch.bmm(matrix, h.unsqueeze(2)).squeeze(2) + p
        return h, (h,)


class CoupledAffine(Base):
    """Two states, each of both, element by element."""

    state_names = ("u", "v")

    def step(self, p, state):
        u, v = state
        gate = torch.sigmoid(p)
        u, v = gate * u - (1 - gate) * v + p, (1 - gate) * u + gate * v
        return u + v * torch.tanh(v), (u, v)


class NonlinearInOnePart(Base):
    """The first half is linear, the second is not."""

    def step(self, p, state):
        (h,) = state
        one, other = torch.sigmoid(p * 0.5).chunk(2, 1)
        first, second = h.chunk(2, 1)
        h = torch.cat([one * first, torch.sin(other * second)], 1) + p
        return h, (h,)


class Heads(Base):
    """Heads of three units, mixed within each."""

    def step(self, p, state):
        (h,) = state
        heads = h.view(len(h), -1, 3)
        h = torch.tanh(p + (heads @ self.across.weight[:3, :3]).reshape(h.shape))
        return h, (h,)


class Shifted(Base):
    """Remembers the state and the one before it; only the second is linear in itself, given the first."""

    state_names = ("h", "slow")

    def step(self, p, state):
        h, slow = state
        slow = torch.sigmoid(self.across(h)) * slow + h
        h = torch.tanh(p + h)
        return h + slow, (h, slow)


class Detached(Base):
    def step(self, p, state):
        (h,) = state
        h = 0.5 * h.detach() + p
        return h, (h,)


class Sorted(Base):
    """Calls what has no rule."""

    def step(self, p, state):
        (h,) = state
        h = 0.5 * h.sort(1).values + p
        return h, (h,)


class Squared(Base):
    def step(self, p, state):
        (h,) = state
        h = 0.1 * h * h + p
        return h, (h,)


class Descends(Base):
    """By the gradient of a loss, which is one number for all rows."""

    def step(self, p, state):
        (h,) = state
        h = h - 0.1 * torch.func.grad(lambda z: torch.nn.functional.mse_loss(z, p, reduction="sum"))(h)
        return h, (h,)


class Counter(Base):
    """Counts its steps in whole numbers."""

    state_names = ("h", "t")

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.hidden_size), torch.zeros(batch_size, 1, dtype=torch.int64)

    def step(self, p, state):
        h, t = state
        h = 0.5 * h + p
        return h, (h, t + 1)
