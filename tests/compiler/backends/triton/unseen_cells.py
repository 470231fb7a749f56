"""Cells that were written after the generator, to see what it makes of what it was not written for."""

from typing import ClassVar

import torch
from torch import nn
from torch.nn import functional as F

import rnnkit


class Unseen(rnnkit.Cell):
    """Has the parameters that its `shapes` say, by name."""

    shapes: ClassVar[dict[str, tuple[int, ...]]]

    def __init__(self, input_size=4, hidden_size=12):
        super().__init__(input_size, hidden_size)
        for name, shape in self.shapes.items():
            fan = shape[-2] if len(shape) > 1 else 4
            self.register_parameter(name, nn.Parameter(torch.randn(shape) / fan**0.5))


class Experts(Unseen):
    """Three experts of its own weights each, mixed by a softmax of input and state."""

    shapes: ClassVar = {"route": (16, 3), "expert": (3, 16, 12), "scale": (3,)}

    def step(self, x, state):
        (h,) = state
        both = torch.cat([x, h], 1)
        weight = torch.softmax((both @ self.route) * F.softplus(self.scale), 1)
        answers = torch.einsum("bi,eio->beo", both, self.expert)
        new = torch.tanh((weight.unsqueeze(2) * answers).sum(1))
        return new * weight.amax(1, keepdim=True), (new,)


class RingMemory(Unseen):
    """Remembers its last four states in a ring, and reads them by attention."""

    state_names = ("h", "ring")
    shapes: ClassVar = {"query": (12, 12), "key": (12, 12), "w": (28, 12)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        zeros = torch.zeros(batch_size, 12, device=device, dtype=dtype)
        return zeros, torch.zeros(batch_size, 4, 12, device=device, dtype=dtype)

    def step(self, x, state):
        h, ring = state
        scores = torch.einsum("bd,bnd->bn", h @ self.query, ring @ self.key) / 12**0.5
        read = torch.einsum("bn,bnd->bd", scores.softmax(-1), ring)
        h = torch.tanh(torch.cat([x, h, read], 1) @ self.w)
        return h + read, (h, torch.cat([ring[:, 1:], h.unsqueeze(1)], 1))


class Rotor(Unseen):
    """Turns a complex state, and shrinks it by its own size."""

    state_names = ("z",)
    shapes: ClassVar = {"angle": (12,), "bias": (12,), "into": (4, 24)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        return (torch.zeros(batch_size, 12, 2, device=device, dtype=dtype),)

    def step(self, x, state):
        z, driven = (torch.view_as_complex(t) for t in (state[0], (x @ self.into).unflatten(1, (12, 2))))
        z = z * torch.polar(torch.ones_like(self.angle), self.angle) + driven
        size = (z.real.square() + z.imag.square() + 1e-3).sqrt()
        z = z * (torch.relu(size + self.bias) / (size * size + 1))
        return z.real - z.imag, (torch.view_as_real(z),)


class Counter(Unseen):
    """Counts its steps in whole numbers; a unit moves when the count is a multiple of its period."""

    state_names = ("h", "n")
    shapes: ClassVar = {"w": (16, 12)}

    def __init__(self, input_size=4, hidden_size=12):
        super().__init__(input_size, hidden_size)
        self.register_buffer("period", 1 + torch.arange(12) % 4)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, 12, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, 1, device=device, dtype=torch.int64)

    def step(self, x, state):
        h, n = state
        moves = (n % self.period) == 0
        new = torch.tanh(torch.cat([x, h], 1) @ self.w)
        h = torch.where(moves, new, h * 0.9)
        return h, (h, n + 1)


class Ordered(Unseen):
    """Gates along the row by running sums and running products, one of them from the end."""

    state_names = ("h", "c")
    shapes: ClassVar = {"w": (16, 48)}

    def step(self, x, state):
        h, c = state
        a, b, g, o = (torch.cat([x, h], 1) @ self.w).chunk(4, 1)
        up = a.softmax(1).cumsum(1)
        down = b.sigmoid().flip(1).cumprod(1).flip(1)
        c = up * c + down * torch.sin(g)
        h = torch.tanh(c) * torch.logcumsumexp(o, 1).sigmoid()
        return h, (h, c)


class Waves(Unseen):
    """Three channels of four places each on a circle, convolved."""

    shapes: ClassVar = {"kernel": (6, 4, 3), "into": (4, 4)}

    def step(self, x, state):
        (h,) = state
        field = h.unflatten(1, (3, 4))
        seen = torch.cat([field, (x @ self.into).unsqueeze(1)], 1)
        around = torch.cat([seen[:, :, -1:], seen, seen[:, :, :1]], 2)
        move, gate = F.conv1d(around, self.kernel).chunk(2, 1)
        field = field + torch.sigmoid(gate) * (torch.tanh(move) - field)
        return field.flatten(1), (field.flatten(1),)


class Stabilised(Unseen):
    """Exponential gates with a running maximum, norms of groups, and a norm of the whole."""

    state_names = ("c", "n", "m")
    shapes: ClassVar = {"w": (16, 48), "gain": (12,), "bias": (12,)}

    def step(self, x, state):
        c, n, m = state
        i, f, z, o = (torch.cat([x, c / (n.abs() + 1)], 1) @ self.w).chunk(4, 1)
        top = torch.maximum(F.logsigmoid(f) + m, i)
        keep, take = torch.exp(F.logsigmoid(f) + m - top), torch.exp(i - top)
        c, n = keep * c + take * z.tanh(), keep * n + take
        normed = F.group_norm(c, 3, self.gain, self.bias, eps=0.1)
        y = o.sigmoid() * F.layer_norm(normed, (12,), eps=0.1)
        return y / (y.norm(dim=1, keepdim=True) + 1), (c, n, top)


class FastWeights(Unseen):
    """A matrix of its own for each row, which its state goes through twice in a step."""

    state_names = ("h", "a")
    shapes: ClassVar = {"w": (16, 12)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, 12, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, 12, 12, device=device, dtype=dtype)

    def step(self, x, state):
        h, a = state
        a = 0.9 * a + 0.5 * h.unsqueeze(2) * h.unsqueeze(1)
        given = torch.cat([x, h], 1) @ self.w
        for _ in range(2):
            h = torch.tanh(F.layer_norm(given + torch.bmm(a, h.unsqueeze(2)).squeeze(2), (12,), eps=0.1))
        return h, (h, a)


class Mirrors(Unseen):
    """Reflected at three planes one after the other, one of them the input's; with rarer functions."""

    shapes: ClassVar = {"plane": (2, 12), "into": (4, 12), "slope": (12,)}

    def step(self, x, state):
        (h,) = state
        towards = x @ self.into + 1.5
        for v in (self.plane[0], self.plane[1], towards):
            h = h - 2 * v * (h * v).sum(1, keepdim=True) / (v * v).sum(-1, keepdim=True)
        y = torch.erf(h) + torch.lgamma(towards.abs() + 1) * 0.1
        h = F.prelu(h + 0.1 * torch.atan2(towards, h.abs() + 1), self.slope)
        return y, (torch.clamp(h, -3, 3),)


class DeltaRule(Unseen):
    """Three heads with a matrix each, corrected towards what they should have answered; units in another order."""

    state_names = ("h", "s")
    shapes: ClassVar = {"w": (16, 39)}

    def __init__(self, input_size=4, hidden_size=12):
        super().__init__(input_size, hidden_size)
        self.register_buffer("order", torch.arange(12).roll(5).flip(0))

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, 12, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, 3, 4, 4, device=device, dtype=dtype)

    def step(self, x, state):
        h, s = state
        q, k, v, beta = (torch.cat([x, h[:, self.order]], 1) @ self.w).split((12, 12, 12, 3), 1)
        q, k, v = (part.unflatten(1, (3, 4)) for part in (q, F.silu(k), v))
        k = k / (k.square().sum(-1, keepdim=True) + 1).sqrt()
        wrong = v - torch.einsum("bhij,bhj->bhi", s, k)
        s = s + beta.sigmoid()[:, :, None, None] * wrong.unsqueeze(3) * k.unsqueeze(2)
        h = torch.tanh(torch.einsum("bhij,bhj->bhi", s, q).flatten(1))
        return h, (h, s)


EVERY_UNSEEN_CELL = (Experts, RingMemory, Rotor, Counter, Ordered, Waves, Stabilised, FastWeights, Mirrors, DeltaRule)
