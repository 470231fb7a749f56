"""Cells whose truth is known in closed form, and odd ones that the contract allows."""

import torch
from torch import nn

import rnnkit


class Linear(rnnkit.Cell):
    """h = A h + sum of x: what a step does to a difference is A."""

    name = "linear"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.matrix = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size**0.5)

    def step(self, p, state):
        h = state[0] @ self.matrix.t() + p.sum(-1, keepdim=True)
        return h, (h,)


class DelayLine(rnnkit.Cell):
    """Holds exactly the last `hidden_size` inputs and gives out the oldest of them."""

    name = "delayline"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.unused = nn.Parameter(torch.zeros(1))

    @property
    def output_size(self):
        return self.input_size

    def initial_state(self, batch_size):
        return (self.unused.new_zeros(batch_size, self.hidden_size, self.input_size),)

    def step(self, p, state):
        (line,) = state
        return line[:, -1], (torch.cat([p.unsqueeze(1), line[:, :-1]], 1),)


class Mixed(rnnkit.Cell):
    """A state of three dimensions, a counter of integers, and complex numbers."""

    name = "mixed"
    state_names = ("outer", "count", "wave")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inward = nn.Linear(input_size, hidden_size)
        self.phase = nn.Parameter(torch.rand(hidden_size))

    def project(self, xs):
        return self.inward(xs), xs[..., 0]

    def initial_state(self, batch_size):
        zeros = self.phase.new_zeros(batch_size, self.hidden_size, 2)
        count = torch.zeros(batch_size, dtype=torch.int64, device=zeros.device)
        return zeros, count, torch.complex(zeros[..., 0], zeros[..., 1])

    def step(self, p, state):
        inward, first = p
        outer, count, wave = state
        wave = 0.9 * torch.polar(torch.ones_like(self.phase), self.phase) * wave + inward
        gate = torch.sigmoid(first / (1 + count)).view(-1, 1, 1)
        outer = gate * outer + torch.stack([wave.real, wave.imag], -1).tanh()
        return outer.sum(-1), (outer, count + 1, wave)


class Named(rnnkit.Cell):
    """No `gates`: activations are called after the variables that hold them."""

    name = "named"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inward = nn.Linear(input_size, hidden_size)
        self.across = nn.Linear(hidden_size, hidden_size)

    def project(self, xs):
        return self.inward(xs)

    def step(self, p, state):
        (h,) = state
        update = torch.nn.functional.hardsigmoid(p + h)
        h = update * h + (1 - update) * torch.nn.functional.softsign(self.across(h) + p)
        h = h + 0.1 * self.squashed(h)
        return h, (h,)

    def squashed(self, h):
        mixture = torch.softmax(h, -1)
        return mixture.tanh_()


class OfStates(Linear):
    """Activations that no variable holds: of the state before, of the new one, and of something else."""

    name = "ofstates"

    def step(self, p, state):
        return read_out(torch.sigmoid(state[0]) + p.sum(-1, keepdim=True))


def read_out(new):
    return new.tanh() + (2 * new).tanh(), (new,)


class NoActivation(Linear):
    name = "noactivation"


class Hidden(rnnkit.Cell):
    """A tanh that TorchScript runs, and a function with a derivative of its own."""

    name = "hidden"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.inward = nn.Linear(input_size, hidden_size)

    def project(self, xs):
        return self.inward(xs)

    def step(self, p, state):
        h = scripted(p + 0.5 * state[0]) + Double.apply(state[0])
        return h, (h,)


class Double(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        return 0.1 * x

    @staticmethod
    def backward(context, gradient):
        return 0.1 * gradient


def scripted(x):
    return torch.ops.aten.tanh.default(x)


class Lorenz(rnnkit.Cell):
    """One Runge-Kutta step of Lorenz' equations; the rows begin at different places."""

    name = "lorenz"
    dt = 0.01

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, 3)
        self.constants = nn.Parameter(torch.tensor([10.0, 28.0, 8 / 3]))

    def initial_state(self, batch_size):
        where = torch.arange(batch_size, dtype=self.constants.dtype)
        return (torch.stack([8 * torch.cos(where), 8 * torch.sin(1.7 * where), 25 + 5 * torch.sin(2.3 * where)], -1),)

    def flow(self, s):
        sigma, rho, beta = self.constants
        x, y, z = s.unbind(-1)
        return torch.stack([sigma * (y - x), x * (rho - z) - y, x * y - beta * z], -1)

    def step(self, p, state):
        (s,) = state
        k1 = self.flow(s)
        k2 = self.flow(s + self.dt / 2 * k1)
        k3 = self.flow(s + self.dt / 2 * k2)
        k4 = self.flow(s + self.dt * k3)
        s = s + self.dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return s, (s,)


class Numbers(rnnkit.Task):
    """Numbers in, a number a step out: the input three steps before."""

    name = "numbers"
    metric_name = "MSE"
    input_size = 2
    output_size = 2

    def __init__(self, *, lag=3, seq_len=12):
        self.lag, self.seq_len = lag, seq_len

    def batch(self, size, generator):
        xs = torch.randn(self.seq_len, size, 2, generator=generator)
        targets = torch.cat([torch.zeros(self.lag, size, 2), xs[: -self.lag]])
        return rnnkit.Batch(xs, targets)

    def loss(self, outputs, targets):
        return (outputs - targets).square().mean()

    def metric(self, outputs, targets):
        return self.loss(outputs, targets)


class Held(rnnkit.Cell):
    """Carries its state on unchanged, the input added to the output alone."""

    def step(self, p, state):
        return p.sum(-1, keepdim=True) + state[0], state


class NeverFinite(rnnkit.Cell):
    """The root of what is below zero."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(torch.randn(input_size, hidden_size))

    def step(self, p, state):
        h = torch.sqrt(state[0] - 1) + p @ self.weight
        return h, (h,)


class EverySecond(rnnkit.Cell):
    """Holds its state at every other step, by a counter of whole numbers."""

    state_names = ("h", "n")

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(torch.randn(hidden_size, hidden_size))

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.hidden_size), torch.zeros(batch_size, 1, dtype=torch.long)

    def step(self, p, state):
        h, n = state
        new = torch.tanh(p.sum(-1, keepdim=True) + h @ self.weight)
        h = torch.where(n % 2 == 1, new, h)
        return h, (h, n + 1)


class Forgetful(rnnkit.Cell):
    """Its state is of its input alone."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = nn.Parameter(torch.randn(input_size, hidden_size))

    def step(self, p, state):
        h = torch.tanh(p @ self.weight) + 0 * state[0]
        return h, (h,)
