"""Cells of complex numbers as they are written: linear recurrent units, unitary ones, oscillators, memories."""

import math

import torch
from torch import nn
from torch.nn import functional as F

import rnnkit


def real(*shape):
    return nn.Parameter(torch.randn(*shape))


def complex_(*shape):
    return nn.Parameter(torch.view_as_complex(torch.randn(*shape, 2)) / 2)


class Complex(rnnkit.Cell):
    """Six complex units of six inputs."""

    state_names = ("h",)

    def __init__(self):
        super().__init__(6, 6)
        self.prepare()

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 6, dtype=torch.get_default_dtype().to_complex()),)

    @property
    def output_size(self):
        with torch.no_grad():
            return self.step(torch.ones(2, 6), self.initial_state(2))[0].shape[-1]


class LinearRecurrentUnit(Complex):
    def prepare(self):
        self.nu, self.theta, self.gain, self.skip = real(6), real(6), real(6), real(6)
        self.inward, self.outward = real(6, 6, 2), real(6, 6, 2)

    def step(self, x, state):
        turn = torch.exp(torch.complex(-torch.exp(self.nu), torch.exp(self.theta)))
        inward = torch.view_as_complex(self.inward) * torch.exp(self.gain).unsqueeze(-1)
        h = turn * state[0] + x.to(inward.dtype) @ inward.mT
        return (h @ torch.view_as_complex(self.outward).mT).real + self.skip * x, (h,)


class ByPolar(Complex):
    def prepare(self):
        self.nu, self.theta, self.re, self.im, self.out = real(6), real(6), real(6, 6), real(6, 6), complex_(6, 6)

    def step(self, x, state):
        turn = torch.polar(torch.exp(-torch.exp(self.nu)), self.theta)
        read = torch.complex(F.linear(x, self.re), F.linear(x, self.im))
        h = turn * state[0] + torch.sqrt(1 - turn.abs() ** 2) * read
        return F.linear(h, self.out).real, (h,)


class Diagonal(Complex):
    """As S5 discretises, by a zero-order hold."""

    def prepare(self):
        self.diagonal, self.inward, self.outward = complex_(6), complex_(6, 6), complex_(6, 6)
        self.step_size = real(6)

    def step(self, x, state):
        size, rate = torch.exp(self.step_size), torch.complex(-F.softplus(self.diagonal.real), self.diagonal.imag)
        turn = torch.exp(rate * size)
        inward = ((turn - 1) / rate).unsqueeze(1) * self.inward
        h = turn * state[0] + torch.einsum("ni,bi->bn", inward, x.to(inward.dtype))
        return F.gelu(2 * torch.einsum("on,bn->bo", self.outward, h).real), (h,)


class Blocks(Complex):
    """Has complex parameters alone."""

    def prepare(self):
        self.rate, self.weight = complex_(2, 3), complex_(2, 3)

    def step(self, x, state):
        h = torch.exp(self.rate) * state[0].view(-1, 2, 3) + x.view(-1, 2, 3)
        shown = torch.cat([(self.weight * h).sum(-1).real, h.flatten(1).imag], 1)
        return shown, ((h / (1 + h.abs())).flatten(1),)


class Unitary(Complex):
    def prepare(self):
        self.one, self.two, self.three, self.bias = real(6), real(6), real(6), real(6)
        self.first, self.second, self.inward = complex_(6), complex_(6), complex_(6, 6)
        self.register_buffer("order", torch.randperm(6))

    def step(self, x, state):
        def mirrored(v, z):
            return z - 2 * (z @ v.conj()).unsqueeze(-1) * v / (v.conj() * v).sum().real

        z = mirrored(self.first, torch.fft.fft(torch.exp(1j * self.one) * state[0], norm="ortho"))
        z = mirrored(self.second, torch.fft.ifft(torch.exp(1j * self.two) * z[:, self.order], norm="ortho"))
        z = torch.exp(1j * self.three) * z + F.linear(x.to(z.dtype), self.inward)
        size = z.abs()
        z = F.relu(size + self.bias) / (size + 1e-6) * z
        return torch.cat([z.real, z.imag], -1), (z,)


class Gated(Complex):
    def prepare(self):
        self.w, self.u, self.gate_w, self.gate_u = (complex_(6, 6) for _ in range(4))
        self.share, self.bias = real(1), real(6)

    def step(self, x, state):
        (h,), z = state, torch.complex(x, torch.zeros_like(x))
        gates, share = z @ self.gate_w + h @ self.gate_u, torch.sigmoid(self.share)
        gate = torch.sigmoid(share * gates.real + (1 - share) * gates.imag)
        new = z @ self.w + h @ self.u
        h = gate * h + (1 - gate) * F.relu(new.abs() + self.bias) * new.sgn()
        return h.abs(), (h,)


class Attends(Complex):
    """To four complex states."""

    def prepare(self):
        self.query, self.key, self.value = complex_(6, 6), complex_(6, 6), complex_(6, 6)

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 4, 6, dtype=torch.get_default_dtype().to_complex()),)

    def step(self, x, state):
        (memory,), query = state, x.to(state[0].dtype) @ self.query
        scores = (memory @ self.key @ query.conj().unsqueeze(-1)).squeeze(-1).abs() / 3
        found = torch.einsum("bk,bkd->bd", torch.softmax(scores, -1).to(memory.dtype), memory @ self.value)
        newest = found / (1 + found.abs()) + 0.5 * x
        return torch.view_as_real(found).flatten(1), (torch.cat([memory[:, 1:], newest.unsqueeze(1)], 1),)


class PairsOfReals(Complex):
    """Writes into the parts of what it sees as complex."""

    def prepare(self):
        self.theta, self.weight = real(6), real(6, 6)

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 6, 2),)

    def step(self, x, state):
        z = torch.view_as_complex(state[0])
        z = z * torch.polar(torch.full_like(self.theta, 0.9), self.theta) + x @ self.weight
        z[:, 0] = 0
        z.imag[:, 1:3] *= 0.5
        z = torch.where(z.abs() > 1, z / z.abs(), z)
        return z.angle().sin(), (torch.view_as_real(z),)


class Matrix(Complex):
    def prepare(self):
        self.turn = complex_(3, 3)

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, 3, 3, dtype=torch.get_default_dtype().to_complex()),)

    def step(self, x, state):
        u, turn = x[:, :3], torch.eye(3) + 0.1 * (self.turn - self.turn.mH)
        m = 0.7 * torch.bmm(state[0], turn.expand(len(x), 3, 3))
        m = m + torch.einsum("bi,bj->bij", u.to(m.dtype), (u * 1j).conj())
        m = 0.5 * (m + m.mH)
        m.diagonal(0, 1, 2).mul_(1 - 0.3j)
        trace = m.diagonal(0, 1, 2).sum(-1)
        return torch.stack([trace.real, trace.imag, m.norm(dim=(1, 2))], 1), (m,)


class Holographic(Complex):
    state_names = ("m", "h")

    def prepare(self):
        self.value, self.key = real(6, 12), real(6, 6)

    def initial_state(self, batch_size):
        return *super().initial_state(batch_size), torch.zeros(batch_size, 6)

    def step(self, x, state):
        memory, h = state
        key = torch.polar(torch.ones_like(h), math.pi * torch.tanh(F.linear(h, self.key)))
        memory = 0.9 * memory + key.conj() * torch.view_as_complex((x @ self.value).view(-1, 6, 2))
        read = (key * memory).real
        memory = memory.clone()
        memory[read > 0.5] = 0.1j
        return read, (memory, torch.tanh(read + x))


class Rotating(Complex):
    state_names = ("h", "t")

    def prepare(self):
        self.rate, self.weight = real(6), complex_(6, 6)

    def initial_state(self, batch_size):
        return *super().initial_state(batch_size), torch.zeros(batch_size, 1)

    def step(self, x, state):
        h, t = state
        h = h * torch.exp(0.1j * self.rate) + (x + 0j) @ self.weight * torch.exp(-1j * self.rate * t)
        h[:, 3:] = h[:, 3:].conj()
        h = torch.tanh(0.3 * h)
        return torch.complex(h.real.clamp(-1, 1), h.imag), (h, t + 1)


class Oscillator(Complex):
    def prepare(self):
        self.rate, self.weight = complex_(6), real(6, 6)

    def step(self, x, state):
        (z,) = state
        z = z + 0.05 * ((0.3 + 1j * self.rate.real) * z - z.abs().square() * z + x @ self.weight)
        return (z**2).real + z.sum(1, keepdim=True).angle(), (z,)


class Shifts(Complex):
    """Fills in what is empty."""

    def prepare(self):
        self.weight = complex_(6, 6)
        self.register_buffer("mask", torch.tensor([1.0, 0, 1, 0, 1, 1]))

    def step(self, x, state):
        z = torch.roll(state[0], 1, 1) * self.mask + F.linear(x.type_as(state[0]), self.weight)
        z = z / z.norm(dim=-1, keepdim=True).clamp(min=1)
        shown = torch.empty_like(x)
        shown[:, :3], shown[:, 3:] = z[:, :3].real, z[:, 3:].imag
        return shown, (z * -1j,)


EVERY_COMPLEX_CELL = [
    *(LinearRecurrentUnit, ByPolar, Diagonal, Blocks, Unitary, Gated, Attends, PairsOfReals),
    *(Matrix, Holographic, Rotating, Oscillator, Shifts),
]
