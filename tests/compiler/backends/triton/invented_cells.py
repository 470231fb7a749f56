"""More cells that were written after the generator, of other kinds than those before them."""

from typing import ClassVar

import torch
from torch.nn import functional as F

from .fresh_cells import EVERY_FRESH_CELL, ComplexGated
from .later_cells import EVERY_LATER_CELL
from .unseen_cells import EVERY_UNSEEN_CELL, Rotor, Unseen
from .wide_cells import EVERY_WIDE_CELL, ComplexUnit, Solved


class Heads(Unseen):
    """Four heads, each with weights, a norm and a temperature of its own; a gate over heads by their largest unit."""

    shapes: ClassVar = {"recur": (4, 3, 3), "into": (4, 12), "heat": (4, 1)}

    def step(self, x, state):
        h = state[0].unflatten(1, (4, 3))
        new = torch.einsum("bhi,hij->bhj", h, self.recur) + (x @ self.into).unflatten(1, (4, 3))
        centred = new - new.mean(2, keepdim=True)
        new = torch.tanh(centred / (centred.var(2, keepdim=True, correction=0) + 0.1).sqrt() * self.heat.exp())
        gate = torch.softmax(new.amax(2), 1).unsqueeze(2)
        h = (h + gate * (new - h)).flatten(1)
        return h, (h,)


class KeyValue(Unseen):
    """A matrix of values by keys, which fades row by row, with a normaliser; read by a softmax of keys."""

    state_names = ("c", "n")
    shapes: ClassVar = {"w": (4, 26)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        c = torch.zeros(batch_size, 5, 7, device=device, dtype=dtype)
        return c, torch.zeros(batch_size, 5, device=device, dtype=dtype)

    def step(self, x, state):
        c, n = state
        k, v, q, f, i = (x @ self.w).split((5, 7, 5, 5, 4), 1)
        f, k, i = torch.sigmoid(f), k.softmax(1), i.mean(1, keepdim=True).exp().clamp(max=4)
        c = f.unsqueeze(2) * c + i.unsqueeze(2) * torch.einsum("bk,bv->bkv", k, v)
        n = f * n + i * k
        y = torch.einsum("bk,bkv->bv", q, c) / torch.clamp((n * q).sum(1, keepdim=True).abs(), min=1)
        return y, (c, n)


class Phasors(Unseen):
    """Complex numbers in its state, mixed by a complex matrix, their sizes squashed and their phases kept."""

    state_names = ("z",)
    shapes: ClassVar = {"real": (6, 6), "imag": (6, 6), "into": (4, 6), "turn": (6,)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        return (torch.zeros(batch_size, 6, 2, device=device, dtype=dtype),)

    def step(self, x, state):
        z = torch.view_as_complex(state[0])
        z = z @ torch.complex(self.real, self.imag) + torch.exp(1j * self.turn) * (x @ self.into)
        z = z / (1 + z.abs())
        return torch.cat([z.real, z.imag], 1), (torch.view_as_real(z),)


class Clocks(Unseen):
    """Counters in whole numbers of two widths, with remainders and bits of them; a unit sleeps while its bit is set."""

    state_names = ("h", "age", "idle")
    shapes: ClassVar = {"w": (16, 12)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, 12, device=device, dtype=dtype)
        age = torch.zeros(batch_size, 1, device=device, dtype=torch.int64)
        return h, age, torch.zeros(batch_size, 12, device=device, dtype=torch.int32)

    def step(self, x, state):
        h, age, idle = state
        new = torch.tanh(torch.cat([x, h], 1) @ self.w)
        sleeps = ((age // 2) % 3 == 1) | (idle >= 2)
        idle = torch.where(new.detach() > 0.2, torch.zeros_like(idle), (idle + 1).clamp(max=5))
        h = torch.where(sleeps, h, new) * (1 + 0.1 * (idle % 2).to(h.dtype))
        return h / 2, (h, age + 1, idle)


class Tape(Unseen):
    """Writes to one of five places, told by a pointer that it moves itself, and attends to all of them."""

    state_names = ("h", "tape", "at")
    shapes: ClassVar = {"w": (16, 12), "query": (8, 8), "move": (8, 5)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, 8, device=device, dtype=dtype)
        tape = torch.zeros(batch_size, 5, 8, device=device, dtype=dtype)
        return h, tape, torch.zeros(batch_size, device=device, dtype=torch.int64)

    def step(self, x, state):
        h, tape, at = state
        there = F.one_hot(at, 5).to(h.dtype).unsqueeze(2)
        seen = torch.softmax(torch.einsum("bd,bnd->bn", h @ self.query, tape), 1)
        read = torch.einsum("bn,bnd->bd", seen, tape)
        given = torch.cat([x, h], 1) @ self.w[:12, :8]
        new = torch.tanh(given + read)
        tape = tape * (1 - there) + there * new.unsqueeze(1)
        at = (at + 1 + (new @ self.move).argmax(1)) % 5
        return torch.cat([new, seen], 1), (new, tape, at)


class Normed(Unseen):
    """Layer norms of the gates, of the cell's state and of the input apart, and a root mean square of the whole."""

    state_names = ("h", "c")
    shapes: ClassVar = {"w": (4, 36), "u": (12, 36), "gain": (36,), "bias": (36,), "scale": (12,)}

    def step(self, x, state):
        h, c = state
        gates = F.layer_norm(x @ self.w, (36,), self.gain, self.bias, 0.1) + F.layer_norm(h @ self.u, (36,), eps=0.1)
        f, g, o = gates.chunk(3, 1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(-f - 1) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(F.layer_norm(c, (12,), eps=0.1))
        return F.rms_norm(h, (12,), self.scale, 0.1), (h, c)


class Running(Unseen):
    """Running sums, maxima and differences along the row, onwards and back, and a norm of what is summed."""

    shapes: ClassVar = {"w": (16, 12), "slope": (12,)}

    def step(self, x, state):
        (h,) = state
        a = torch.cat([x, h], 1) @ self.w
        up = torch.cummax(a, 1).values
        back = torch.cumsum(a.flip(1), 1).flip(1) / 12
        slope = torch.diff(a, dim=1, prepend=a[:, :1])
        h = torch.tanh(up - back * self.slope + 0.5 * slope * torch.sigmoid(h))
        return h - h.mean(1, keepdim=True), (h,)


class Winners(Unseen):
    """The largest of each group wins, its place says what is added; what is left is the second largest of the row."""

    shapes: ClassVar = {"w": (16, 12), "table": (4, 12), "key": (12, 4)}

    def step(self, x, state):
        (h,) = state
        a = torch.cat([x, h], 1) @ self.w
        top, place = a.unflatten(1, (3, 4)).max(2)
        best = torch.topk(a, 2, 1).values
        row = self.table[(h @ self.key).argmax(1)]
        h = torch.tanh(a - best[:, 1:] + row) + 0.1 * (place.repeat_interleave(4, 1) == 2).to(h.dtype)
        return torch.cat([top, best], 1), (torch.clamp(h, -2, 2),)


class Sorted(Unseen):
    """Its units in order, the median of them taken off, and quantised by rounding with a straight gradient."""

    shapes: ClassVar = {"w": (16, 12), "weight": (12,)}

    def step(self, x, state):
        (h,) = state
        a = torch.tanh(torch.cat([x, h], 1) @ self.w)
        ordered = torch.sort(a, 1).values * self.weight
        left = a - a.median(1, keepdim=True).values
        rough = a + (torch.round(a * 4) / 4 - a).detach()
        h = 0.5 * rough + 0.3 * left + 0.2 * ordered
        return h.norm(dim=1, keepdim=True) * F.normalize(left + 0.1, dim=1), (h,)


class Spectrum(Unseen):
    """A row through its spectrum, low frequencies kept; with a bilinear form and a state of another width."""

    state_names = ("h", "small")
    shapes: ClassVar = {"filter": (7,), "bi": (5, 4, 12), "down": (12, 5), "up": (5, 12)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, 12, device=device, dtype=dtype)
        return h, torch.zeros(batch_size, 5, device=device, dtype=dtype)

    def step(self, x, state):
        h, small = state
        smooth = torch.fft.irfft(torch.fft.rfft(h, dim=1) * torch.sigmoid(self.filter), n=12, dim=1)
        driven = torch.einsum("bs,sxo,bx->bo", small, self.bi, x)
        small = F.elu(h @ self.down) * 0.5 + small.roll(1, 1) * 0.3
        h = torch.tanh(smooth + driven + F.softsign(small) @ self.up + x.sum(1, keepdim=True))
        return F.gelu(h), (h, small)


EVERY_INVENTED_CELL = (Heads, KeyValue, Phasors, Clocks, Tape, Normed, Running, Winners, Sorted, Spectrum)

NOT_IN_16_BITS = (Rotor, Phasors, Spectrum, ComplexUnit, ComplexGated, Solved)
"""What torch itself has in higher precision alone: complex numbers, spectra, inverses."""

NARROW = (*EVERY_UNSEEN_CELL, *EVERY_INVENTED_CELL, *EVERY_LATER_CELL, *EVERY_FRESH_CELL)
"""Of a dozen units, none of whose kernels spills."""

CELLS = (*NARROW, *EVERY_WIDE_CELL)
