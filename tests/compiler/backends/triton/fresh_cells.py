"""Cells of kinds that others before them have not: solvers, filters, stacks, windows, codes; of any width."""

import torch
from torch import nn
from torch.nn import functional as F

from .wide_cells import Wide


class Peeped(Wide):
    """An LSTM whose gates look at the cell through matrices of heads, each gate normed; with a projection."""

    state_names = ("h", "c")

    def build(self, n, h):
        self.into, self.recur = nn.Linear(n, 4 * h), self.matrix(h // 2, 4 * h)
        self.peep, self.peep_out = nn.Parameter(torch.randn(2, h) * 0.3), nn.Parameter(torch.randn(h) * 0.3)
        self.norms = nn.ModuleList(nn.LayerNorm(h, eps=0.1) for _ in range(4))
        self.down = self.matrix(h, h // 2)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size // 2, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)

    def step(self, x, state):
        h, c = state
        i, f, g, o = (self.into(x) + h @ self.recur).chunk(4, 1)
        i, f = self.norms[0](i + self.peep[0] * c), self.norms[1](f + self.peep[1] * c)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(self.norms[2](g))
        o = self.norms[3](o + self.peep_out * c)
        h = (torch.sigmoid(o) * torch.tanh(c)) @ self.down
        return h, (h, c)


class Periods(Wide):
    """Four groups of units, which wake every 1, 2, 4 and 8 steps; a group hears slower ones alone."""

    state_names = ("h", "count")

    def build(self, n, h):
        group = torch.arange(h) // (h // 4)
        self.register_buffer("period", 2**group)
        self.register_buffer("hears", (group[:, None] >= group[None, :]).float())
        self.into, self.recur = nn.Linear(n, h), self.matrix(h, h)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, 1, device=device, dtype=torch.int64)

    def step(self, x, state):
        h, count = state
        new = torch.tanh(self.into(x) + h @ (self.recur * self.hears.to(h.dtype)))
        h = torch.where(count % self.period == 0, new, h)
        return h, (h, count + 1)


class ComplexGated(Wide):
    """A gated unit of complex numbers, by complex matrices; a rectifier of sizes that leaves phases."""

    state_names = ("z",)

    def build(self, n, h):
        self.real, self.imag = self.matrix(h // 2, h // 2), self.matrix(h // 2, h // 2)
        self.into, self.gate = nn.Linear(n, h), nn.Linear(n + h, h // 2)
        self.bias = nn.Parameter(torch.full((h // 2,), 0.1))

    def step(self, x, state):
        (h,) = state
        z = torch.complex(*h.chunk(2, 1))
        driven = torch.complex(*self.into(x).chunk(2, 1)) + z @ torch.complex(self.real, self.imag)
        size = torch.sqrt(driven.real**2 + driven.imag**2 + 1e-2)
        driven = driven * (F.relu(size + self.bias) / (size + 1))
        gate = torch.sigmoid(self.gate(torch.cat([x, h], 1)))
        z = gate * z + (1 - gate) * driven
        h = torch.cat([z.real, z.imag], 1)
        return (z * z.conj()).real, (h,)


class Convolved(Wide):
    """A gated unit over a line of places, by convolutions of the state and of the input; normed over its channels."""

    state_names = ("h",)

    def build(self, n, h):
        self.places = h // 4
        self.into, self.conv = nn.Linear(n, h), nn.Conv1d(4, 8, 3, padding=1)
        self.new, self.norm = nn.Conv1d(4, 4, 3, padding=2, dilation=2, bias=False), nn.GroupNorm(2, 4, eps=0.1)

    def step(self, x, state):
        h = state[0].unflatten(1, (4, self.places))
        driven = self.into(x).unflatten(1, (4, self.places))
        r, z = torch.sigmoid(self.conv(h + driven)).chunk(2, 1)
        new = torch.tanh(self.norm(self.new(r * h) + driven))
        h = (z * h + (1 - z) * new).flatten(1)
        return F.avg_pool1d(h.unsqueeze(1), 2).squeeze(1), (h,)


class TwoMatrices(Wide):
    """Two matrices in its state, of which one is written through the other; read by both in turn."""

    state_names = ("a", "b")

    def build(self, n, h):
        self.size = 4 if h < 64 else 8
        self.into, self.out = nn.Linear(n, 4 * self.size + 2), nn.Linear(self.size, h)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        a = torch.zeros(batch_size, self.size, self.size, device=device, dtype=dtype)
        return a, a + 0.1 * torch.eye(self.size, device=device, dtype=dtype)

    def step(self, x, state):
        a, b = state
        k, v, q, e, rates = self.into(x).split([self.size] * 4 + [2], 1)
        first, second = torch.sigmoid(rates).unsqueeze(2).chunk(2, 1)
        a = first * a + torch.bmm(v.unsqueeze(2), torch.tanh(k).unsqueeze(1))
        b = second * b + (1 - second) * torch.tanh(a @ b.transpose(1, 2) / self.size)
        b = b - torch.baddbmm(
            torch.zeros_like(b), b, (e.unsqueeze(2) * e.unsqueeze(1)) / (1 + (e * e).sum(1)[:, None, None])
        )
        y = torch.einsum("bij,bjk,bk->bi", a, b, q)
        return torch.tanh(self.out(y)), (a, b)


class Coded(Wide):
    """Counts of what its units have said, as whole numbers; codes of the counts' last bits are looked up in a table."""

    state_names = ("h", "counts", "last")

    def build(self, n, h):
        self.into, self.recur = nn.Linear(n, h), self.matrix(h, h)
        self.codes = nn.Embedding(8, h)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        counts = torch.zeros(batch_size, self.hidden_size, device=device, dtype=torch.int32)
        return h, counts, torch.zeros(batch_size, dtype=torch.int64, device=device)

    def step(self, x, state):
        h, counts, last = state
        said = h > 0.2
        counts = torch.where(said, counts + 1, counts >> 1)
        code = (3 * counts.sum(1) + last) & 7
        h = torch.tanh(self.into(x) + h @ self.recur + self.codes(code))
        h = torch.where((counts & 1).bool(), h, 0.5 * h)
        return h, (h, counts, code)


class Committee(Wide):
    """Three gated units of torch's, mixed by a softmax that a temperature sharpens; the mixture is their state."""

    def build(self, n, h):
        self.members = nn.ModuleList(nn.GRUCell(n, h) for _ in range(3))
        self.judge, self.heat = nn.Bilinear(n, h, 3), nn.Parameter(torch.zeros(()))

    def step(self, x, state):
        (h,) = state
        weight = torch.softmax(self.judge(x, h) * self.heat.exp(), 1)
        said = torch.stack([member(x, h) for member in self.members], 1)
        h = (weight.unsqueeze(2) * said).sum(1)
        return torch.cat([h, weight], 1), (h,)


class Stacked(Wide):
    """A stack of four rows, pushed, popped and left as it is, in part each, by a controller that reads its top."""

    state_names = ("h", "stack")

    def build(self, n, h):
        self.size = max(4, h // 8)
        self.controller, self.action = nn.RNNCell(n + self.size, h), nn.Linear(h, 3)
        self.push = nn.Linear(h, self.size)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, 4, self.size, device=device, dtype=dtype)

    def step(self, x, state):
        h, stack = state
        h = self.controller(torch.cat([x, stack[:, 0]], 1), h)
        push, pop, same = self.action(h).softmax(1)[:, :, None, None].unbind(1)
        pushed = torch.cat([torch.sigmoid(self.push(h)).unsqueeze(1), stack[:, :-1]], 1)
        popped = F.pad(stack[:, 1:], (0, 0, 0, 1))
        stack = push * pushed + pop * popped + same * stack
        return h, (h, stack)


class Filtered(Wide):
    """A Kalman filter of independent units: means and variances, a gain for each, and the surprise as output."""

    state_names = ("mean", "variance")

    def build(self, n, h):
        self.observe, self.noise = nn.Linear(n, h), nn.Linear(n, h)
        self.drift, self.fade = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.randn(h))

    def initial_state(self, batch_size, *, device=None, dtype=None):
        mean = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return mean, torch.ones_like(mean)

    def step(self, x, state):
        mean, variance = state
        fade = torch.sigmoid(self.fade)
        mean, variance = fade * mean, fade.square() * variance.abs() + F.softplus(self.drift)
        noise = F.softplus(self.noise(x)) + 0.1
        gain = variance / (variance + noise)
        surprise = self.observe(x) - mean
        mean = mean + gain * surprise
        y = -0.5 * (surprise.square() / (variance + noise) + torch.log(variance + noise))
        return y, (mean, (1 - gain) * variance)


class Recalled(Wide):
    """Recalls one of its patterns, by two rounds of attention to all of them, and moves towards it."""

    def build(self, n, h):
        self.into, self.patterns = nn.Linear(n, h), self.matrix(h, 8)
        self.norm = nn.RMSNorm(h, eps=0.1)

    def step(self, x, state):
        h = self.norm(state[0] + self.into(x))
        for _ in range(2):
            h = 0.5 * h + torch.softmax(2 * (h @ self.patterns), 1) @ self.patterns.T
        confidence = (h @ self.patterns).log_softmax(1).amax(1, keepdim=True).exp()
        return confidence * h, (torch.tanh(h),)


class Solver(Wide):
    """A differential equation that is gated, advanced by Heun's rule in two steps, whose size is the input's."""

    def build(self, n, h):
        self.into, self.recur, self.size = nn.Linear(n, 2 * h), self.matrix(h, 2 * h), nn.Linear(n, 1)

    def slope(self, driven, h):
        gate, new = (driven + h @ self.recur).chunk(2, 1)
        return (1 - torch.sigmoid(gate)) * (torch.tanh(new) - h)

    def step(self, x, state):
        (h,) = state
        driven, size = self.into(x), 0.5 * torch.sigmoid(self.size(x))
        for _ in range(2):
            before = self.slope(driven, h)
            h = h + 0.5 * size * (before + self.slope(driven, h + size * before))
        return h, (h,)


class Windowed(Wide):
    """Attends to the last three keys and values, turned by their positions; no place counts before its time."""

    state_names = ("keys", "values", "count")

    def build(self, n, h):
        self.qkv, self.out = nn.Linear(n, 3 * h), nn.Linear(h, h)
        self.register_buffer("rate", 0.5 ** torch.arange(h // 4))

    def initial_state(self, batch_size, *, device=None, dtype=None):
        keys = torch.zeros(batch_size, 3, 2, self.hidden_size // 2, device=device, dtype=dtype)
        return keys, keys.clone(), torch.zeros(batch_size, 1, device=device, dtype=torch.int64)

    def turned(self, a, count):
        """Return heads whose pairs of units are turned by the position."""
        angle = (count.to(a.dtype) * self.rate.to(a.dtype)).unsqueeze(1)
        one, other = a.chunk(2, 2)
        return torch.cat([one * angle.cos() - other * angle.sin(), one * angle.sin() + other * angle.cos()], 2)

    def step(self, x, state):
        keys, values, count = state
        q, k, v = (part.unflatten(1, (2, -1)) for part in self.qkv(x).chunk(3, 1))
        keys = torch.cat([keys[:, 1:], self.turned(k, count).unsqueeze(1)], 1)
        values = torch.cat([values[:, 1:], v.unsqueeze(1)], 1)
        scores = torch.einsum("bhd,bnhd->bhn", self.turned(q, count), keys) / q.shape[2] ** 0.5
        filled = torch.arange(2, -1, -1, device=x.device) <= count
        scores = scores.masked_fill(~filled.unsqueeze(1), float("-inf"))
        read = torch.einsum("bhn,bnhd->bhd", scores.softmax(2), values).flatten(1)
        return torch.tanh(self.out(read)), (keys, values, count + 1)


class Coupled(Wide):
    """Oscillators that are coupled by a matrix of low rank, damped, driven through a gated product."""

    state_names = ("y", "v")

    def build(self, n, h):
        self.down, self.up = self.matrix(h, h // 4), self.matrix(h // 4, h)
        self.drive, self.stiff = nn.Linear(n, 2 * h), nn.Parameter(torch.randn(2, h))

    def step(self, x, state):
        y, v = state
        stiff, damp = F.softplus(self.stiff)
        value, gate = self.drive(x).chunk(2, 1)
        force = torch.tanh((y @ self.down) @ self.up + value * F.silu(gate))
        v = v + 0.1 * (force - stiff * y - damp * v)
        y = y + 0.1 * v
        return torch.atan2(v, y.abs() + 0.5), (y, v)


class Remembered(Wide):
    """A memory of polynomials whose matrices are constants, written by a number a head, beside a nonlinear state."""

    state_names = ("h", "m")

    def build(self, n, h):
        k = torch.arange(4, dtype=torch.float64)
        turn = torch.where(k[:, None] < k, -1.0, (-1.0) ** (k[:, None] - k + 1)) * (2 * k[:, None] + 1) / 8
        self.register_buffer("turn", torch.matrix_exp(turn).float())
        self.write, self.mix = nn.Linear(n + h, h // 4), nn.Linear(n + 2 * h, h)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, self.hidden_size // 4, 4, device=device, dtype=dtype)

    def step(self, x, state):
        h, m = state
        u = self.write(torch.cat([x, h], 1)).unsqueeze(2)
        m = m @ self.turn.to(m.dtype).T + u * torch.tensor([0.4, -0.3, 0.2, -0.1], device=x.device, dtype=m.dtype)
        h = torch.tanh(self.mix(torch.cat([x, h, m.flatten(1)], 1)))
        return h, (h, m)


class Routed(Wide):
    """Capsules: four that vote for two, by two rounds of agreement, their lengths squashed."""

    def build(self, n, h):
        self.into, self.votes = nn.Linear(n + h, h), nn.Parameter(torch.randn(4, 2, h // 4, h // 2) / (h // 4) ** 0.5)

    @staticmethod
    def squashed(s):
        size = s.square().sum(-1, keepdim=True)
        return s * (size / (1 + size)) / torch.sqrt(size + 1e-2)

    def step(self, x, state):
        (h,) = state
        below = self.squashed(self.into(torch.cat([x, h], 1)).unflatten(1, (4, -1)))
        votes = torch.einsum("bid,ijde->bije", below, self.votes)
        agreed = torch.zeros_like(votes[..., 0])
        for _ in range(2):
            above = self.squashed((agreed.softmax(2).unsqueeze(3) * votes).sum(1))
            agreed = agreed + (votes * above.unsqueeze(1)).sum(3)
        return above.norm(dim=2), (above.flatten(1),)


class Splined(Wide):
    """Activations that are learnt: lines between five knots, for each unit its own; normalised by a running maximum."""

    state_names = ("h", "top")

    def build(self, n, h):
        self.into, self.recur = nn.Linear(n, h), self.matrix(h, h)
        self.register_buffer("knots", torch.linspace(-1, 1, 5))
        self.bend = nn.Parameter(torch.randn(h, 5) * 0.3)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, self.hidden_size, device=device, dtype=dtype)
        return h, torch.ones(batch_size, 1, device=device, dtype=dtype)

    def step(self, x, state):
        h, top = state
        a = self.into(x) + h @ self.recur
        new = (F.relu(a.unsqueeze(2) - self.knots.to(a.dtype)) * self.bend).sum(2)
        top = torch.maximum(0.9 * top, torch.linalg.vector_norm(new, ord=float("inf"), dim=1, keepdim=True))
        h = new / (1 + top)
        return h, (h, top)


EVERY_FRESH_CELL = (
    Peeped,
    Periods,
    ComplexGated,
    Convolved,
    TwoMatrices,
    Coded,
    Committee,
    Stacked,
    Filtered,
    Recalled,
    Solver,
    Windowed,
    Coupled,
    Remembered,
    Routed,
    Splined,
)
