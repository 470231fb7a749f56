"""Cells of any width, as others write theirs: modules within modules, heads, experts, memories."""

import torch
from torch import nn
from torch.nn import functional as F

import rnnkit


class Wide(rnnkit.Cell):
    """A cell whose sizes follow from its width; its numbers of units are multiples of 4."""

    def __init__(self, input_size=4, hidden_size=12):
        super().__init__(input_size, hidden_size)
        self.build(input_size, hidden_size)

    def matrix(self, *shape):
        """Return a parameter that keeps the size of what is multiplied by it."""
        return nn.Parameter(torch.randn(shape) / shape[-2] ** 0.5)


class Quaternion(Wide):
    """An LSTM of quaternions, whose products are written out: four by four, with signs, for input and state."""

    state_names = ("h", "c")

    def build(self, n, h):
        self.into = nn.ParameterList(self.matrix(n // 4, h) for _ in range(4))
        self.recur = nn.ParameterList(self.matrix(h // 4, h) for _ in range(4))
        self.bias = nn.Parameter(torch.zeros(4 * h))

    def product(self, q, weights):
        """Return the product of quaternions by quaternions, its four parts one behind the other."""
        r, i, j, k = weights
        a, b, c, d = q.chunk(4, 1)
        return torch.cat(
            [
                a @ r - b @ i - c @ j - d @ k,
                a @ i + b @ r + c @ k - d @ j,
                a @ j - b @ k + c @ r + d @ i,
                a @ k + b @ j - c @ i + d @ r,
            ],
            1,
        )

    def step(self, x, state):
        h, c = state
        gates = self.product(x, self.into) + self.product(h, self.recur) + self.bias
        i, f, g, o = (gate.flatten(1) for gate in gates.unflatten(1, (4, 4, -1)).unbind(2))
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class Turing(Wide):
    """Memory of eight places that is addressed by content, then shifted and sharpened; read and written."""

    state_names = ("h", "memory", "w")

    def build(self, n, h):
        self.size = max(4, h // 8)
        self.controller = nn.LSTMCell(n + self.size, h)
        self.head = nn.Linear(h, 3 * self.size + 6)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, 2 * self.hidden_size, device=device, dtype=dtype)
        memory = torch.full((batch_size, 8, self.size), 0.1, device=device, dtype=dtype)
        return h, memory, torch.full((batch_size, 8), 0.125, device=device, dtype=dtype)

    def step(self, x, state):
        both, memory, w = state
        h, c = both.chunk(2, 1)
        read = torch.einsum("bn,bnm->bm", w, memory)
        h, c = self.controller(torch.cat([x, read], 1), (h, c))
        key, erase, add, beta, gate, shift, gamma = self.head(h).split([self.size] * 3 + [1, 1, 3, 1], 1)
        alike = F.cosine_similarity(memory, key.unsqueeze(1) + 0.1, dim=2, eps=1e-2)
        content = torch.softmax(F.softplus(beta) * alike, 1)
        moved = torch.sigmoid(gate) * content + (1 - torch.sigmoid(gate)) * w
        s = torch.softmax(shift, 1)
        moved = s[:, :1] * moved.roll(1, 1) + s[:, 1:2] * moved + s[:, 2:] * moved.roll(-1, 1)
        sharp = (moved.abs() + 1e-2) ** (1 + F.softplus(gamma))
        w = sharp / sharp.sum(1, keepdim=True)
        memory = memory * (1 - w.unsqueeze(2) * torch.sigmoid(erase).unsqueeze(1)) + w.unsqueeze(2) * add.unsqueeze(1)
        return torch.cat([h, read], 1), (torch.cat([h, c], 1), memory, w)


class Attentive(Wide):
    """Heads that attend to the last three states, each with a layer norm of its own and a gate that is one number."""

    state_names = ("h", "past")

    def build(self, n, h):
        self.q, self.kv, self.out = nn.Linear(n, h), nn.Linear(h, 2 * h, bias=False), nn.Linear(h, h)
        self.norms = nn.ModuleList(nn.LayerNorm(h // 4, eps=0.1) for _ in range(4))
        self.gate = nn.Linear(n + h, 4)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, 3, self.hidden_size, device=device, dtype=dtype)

    def step(self, x, state):
        h, past = state
        q = self.q(x).unflatten(1, (4, -1))
        k, v = self.kv(past).chunk(2, 2)
        k, v = k.unflatten(2, (4, -1)), v.unflatten(2, (4, -1))
        scores = torch.einsum("bhd,bnhd->bhn", q, k) / q.shape[-1] ** 0.5
        read = torch.einsum("bhn,bnhd->bhd", scores.softmax(-1), v)
        gate = torch.sigmoid(self.gate(torch.cat([x, h], 1)))
        read = torch.stack([norm(read[:, k] + 1) for k, norm in enumerate(self.norms)], 1) * gate.unsqueeze(2)
        h = torch.tanh(h + self.out(read.flatten(1)))
        return h, (h, torch.cat([past[:, 1:], h.unsqueeze(1)], 1))


class GatedDelta(Wide):
    """Memories of four heads, which fade by a number a head and are corrected by what they answer; normed a head."""

    state_names = ("s",)

    def build(self, n, h):
        self.size = min(8, h // 4)
        self.heads = h // self.size
        self.into = nn.Linear(n, 3 * h + 2 * self.heads)
        self.rate = nn.Parameter(torch.randn(self.heads))
        self.norm = nn.LayerNorm(self.size, eps=0.1)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        return (torch.zeros(batch_size, self.heads, self.size, self.size, device=device, dtype=dtype),)

    def step(self, x, state):
        (s,) = state
        h = self.hidden_size
        q, k, v, beta, a = self.into(x).split((h, h, h, self.heads, self.heads), 1)
        q, k, v = (part.view(-1, self.heads, self.size) for part in (F.silu(q), F.silu(k), v))
        k = F.normalize(k + 0.1, dim=-1, eps=1e-2)
        s = s * torch.exp(-torch.exp(self.rate) * F.softplus(a))[:, :, None, None]
        delta = (v - torch.einsum("bhkv,bhk->bhv", s, k)) * torch.sigmoid(beta).unsqueeze(2)
        s = s + k.unsqueeze(3) * delta.unsqueeze(2)
        y = self.norm(torch.einsum("bhkv,bhk->bhv", s, q)).flatten(1)
        return y, (s,)


class TopExperts(Wide):
    """Four experts, of which the two best answer, mixed by a softmax over these two."""

    def build(self, n, h):
        self.router = nn.Linear(n + h, 4)
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(n + h, h), nn.GELU()) for _ in range(4))

    def step(self, x, state):
        (h,) = state
        both = torch.cat([x, h], 1)
        scores = self.router(both)
        best = torch.topk(scores, 2, dim=1).values
        weight = torch.softmax(scores.masked_fill(scores < best[:, 1:], float("-inf")), 1)
        answers = torch.stack([expert(both) for expert in self.experts], 2)
        h = torch.tanh((answers * weight.unsqueeze(1)).sum(2)) + 0.5 * h
        return h, (h * 0.9,)


class ComplexUnit(Wide):
    """A diagonal of complex numbers inside the unit circle; the output is a gated product of its real part."""

    state_names = ("z",)

    def build(self, n, h):
        self.nu, self.theta = nn.Parameter(torch.rand(h) - 2), nn.Parameter(torch.rand(h) * 3)
        self.b, self.c = self.matrix(n, 2 * h), self.matrix(2 * h, h)
        self.skip = nn.Linear(n, h)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        return (torch.zeros(batch_size, self.hidden_size, 2, device=device, dtype=dtype),)

    def step(self, x, state):
        size = torch.exp(-torch.exp(self.nu))
        turn = torch.polar(size, self.theta)
        gain = torch.sqrt(1 - size * size)
        z = torch.view_as_complex(state[0])
        driven = torch.complex(*(x @ self.b).chunk(2, 1))
        z = turn * z + gain * driven
        y = torch.cat([z.real, z.imag], 1) @ self.c
        return F.gelu(y, approximate="tanh") * torch.sigmoid(self.skip(x)), (torch.view_as_real(z),)


class OrderedChunks(Wide):
    """Master gates of four levels by running sums of a softmax, each level repeated over its units."""

    state_names = ("h", "c")

    def build(self, n, h):
        self.gates = nn.Linear(n + h, 4 * h + 8)

    def step(self, x, state):
        h, c = state
        size = self.hidden_size
        given = self.gates(torch.cat([x, h], 1))
        up, down = given[:, :4].softmax(1).cumsum(1), 1 - given[:, 4:8].softmax(1).cumsum(1)
        up, down = (level.repeat_interleave(size // 4, dim=1) for level in (up, down))
        i, f, g, o = given[:, 8:].chunk(4, 1)
        both = up * down
        f, i = torch.sigmoid(f) * both + (up - both), torch.sigmoid(i) * both + (down - both)
        c = f * c + i * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


class Calendar(Wide):
    """Whole numbers that count steps and silences; units wake by the bits of the count, and a day has seven steps."""

    state_names = ("h", "count", "silent")

    def build(self, n, h):
        self.register_buffer("mask", 1 << (torch.arange(h) % 3))
        self.inner, self.days = nn.GRUCell(n, h), nn.Parameter(torch.randn(7, h) * 0.3)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        count = torch.zeros(batch_size, 1, device=device, dtype=torch.int64)
        return h, count, torch.zeros(batch_size, self.hidden_size, device=device, dtype=torch.int32)

    def step(self, x, state):
        h, count, silent = state
        new = self.inner(x, h)
        awake = ((count // self.mask) % 2 == 1) | (silent > 3)
        day = F.one_hot(count.squeeze(1) % 7, 7).to(h.dtype) @ self.days
        silent = torch.where(awake, torch.zeros_like(silent), silent + 1)
        h = torch.where(awake, new, h) + 0.1 * torch.sin(day)
        return h / (1 + 0.1 * silent.to(h.dtype)), (h, count + 1, silent)


class Solved(Wide):
    """Pairs of units through the inverse of a matrix of two by two for each pair; recurrent weights by Cayley's map."""

    def build(self, n, h):
        self.skew, self.into, self.four = self.matrix(h, h), nn.Linear(n, h), nn.Linear(n, 2 * h)

    def step(self, x, state):
        (h,) = state
        skew = self.skew - self.skew.T
        eye = torch.eye(self.hidden_size, device=x.device, dtype=x.dtype)
        turned = h @ torch.linalg.solve(eye + 0.1 * skew, eye - 0.1 * skew)
        a = torch.tanh(self.four(x)).view(-1, self.hidden_size // 2, 2, 2) * 0.4
        a = a + torch.eye(2, device=x.device, dtype=x.dtype)
        pairs = turned.view(-1, self.hidden_size // 2, 2, 1)
        h = torch.tanh((torch.linalg.inv(a) @ pairs).reshape(-1, self.hidden_size) + self.into(x))
        return h, (h,)


class Nested(Wide):
    """An LSTM's cell that drives another's, with a layer norm, dropout that is off, and a residual around both."""

    state_names = ("h", "c", "slow", "slow_c")

    def build(self, n, h):
        self.below, self.above = nn.LSTMCell(n, h), nn.LSTMCell(h, h, bias=False)
        self.norm, self.drop = nn.LayerNorm(h, eps=0.1), nn.Dropout(0.0)
        self.skip = nn.Sequential(nn.Linear(n, h), nn.SiLU(), nn.Linear(h, h))

    def step(self, x, state):
        h, c, slow, slow_c = state
        h, c = self.below(x, (h, c))
        slow, slow_c = self.above(self.drop(self.norm(h)), (slow, slow_c))
        return slow + self.skip(x), (h, c, slow, slow_c)


class Grouped(Wide):
    """A gated feed-forward of block-diagonal weights and a root mean square a head; one gate for each head."""

    def build(self, n, h):
        self.recur, self.up = nn.Parameter(torch.randn(4, h // 4, h // 2) / h**0.5), nn.Linear(n, 2 * h)
        self.down, self.scale = self.matrix(h, h), nn.Parameter(torch.ones(4, 1))
        self.gate = nn.Linear(h, 4)

    def step(self, x, state):
        (h,) = state
        heads = h.unflatten(1, (4, -1))
        mixed = torch.bmm(heads.transpose(0, 1), self.recur).transpose(0, 1) + self.up(x).unflatten(1, (4, -1))
        value, gate = mixed.chunk(2, 2)
        heads = F.rms_norm(value * F.silu(gate), (value.shape[-1],), eps=0.1) * self.scale
        open_ = torch.sigmoid(self.gate(h)).unsqueeze(2)
        new = (open_ * heads + (1 - open_) * h.unflatten(1, (4, -1))).flatten(1)
        h = torch.tanh(new @ self.down)
        return new, (h,)


class Stable(Wide):
    """Exponential gates of heads with a maximum that is carried along, a matrix of keys and values a head."""

    state_names = ("c", "n", "m")

    def build(self, n, h):
        self.size = min(8, h // 4)
        self.heads = h // self.size
        self.qkv, self.if_ = nn.Linear(n, 3 * h), nn.Linear(n, 2 * self.heads)
        self.norm = nn.GroupNorm(self.heads, h, eps=0.1)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        c = torch.zeros(batch_size, self.heads, self.size, self.size, device=device, dtype=dtype)
        n = torch.zeros(batch_size, self.heads, self.size, device=device, dtype=dtype)
        return c, n, torch.zeros(batch_size, self.heads, device=device, dtype=dtype)

    def step(self, x, state):
        c, n, m = state
        q, k, v = (part.unflatten(1, (self.heads, self.size)) for part in self.qkv(x).chunk(3, 1))
        i, f = self.if_(x).chunk(2, 1)
        log_f = F.logsigmoid(f)
        top = torch.maximum(log_f + m, i)
        keep, take = torch.exp(log_f + m - top)[..., None], torch.exp(i - top)[..., None]
        k = k / self.size**0.5
        c = keep[..., None] * c + take[..., None] * v.unsqueeze(3) * k.unsqueeze(2)
        n = keep * n + take * k
        size = torch.maximum((n * q).sum(2).abs(), torch.exp(-top)).unsqueeze(2)
        h = (c @ q.unsqueeze(3)).squeeze(3) / size
        return self.norm(h.flatten(1)), (c, n, top)


EVERY_WIDE_CELL = (
    Quaternion,
    Turing,
    Attentive,
    GatedDelta,
    TopExperts,
    ComplexUnit,
    OrderedChunks,
    Calendar,
    Solved,
    Nested,
    Grouped,
    Stable,
)
