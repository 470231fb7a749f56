"""Cells with states of which torch makes nothing where they are any numbers: a variance, shares, a product of many."""

import torch

import rnnkit


class Variance(rnnkit.Cell):
    """A state and the running variance of what drives it, of which there is a root, a logarithm or a power.

    Args:
        kind: "root", "log", "power" or "acosh".
    """

    state_names = ("h", "v")

    def __init__(self, kind):
        super().__init__(3, 5)
        self.kind = kind
        self.linear = torch.nn.Linear(8, 5)

    def initial_state(self, batch_size, *, device=None, dtype=None):
        h = torch.zeros(batch_size, 5, device=device, dtype=dtype)
        return h, torch.ones_like(h)

    def step(self, x, state):
        h, v = state
        a = self.linear(torch.cat([x, h], 1))
        h = {
            "root": lambda: torch.tanh(a / v.sqrt()),
            "log": lambda: torch.tanh(a * v.log()),
            "power": lambda: torch.tanh(a) / v**6,
            "acosh": lambda: torch.tanh(a) * torch.acosh(v + 0.5),
        }[self.kind]()
        return h, (h, 0.9 * v + 0.1 * a * a)


class Given(Variance):
    """What it reads of the input is positive, too."""

    def __init__(self):
        super().__init__("root")

    def project(self, xs):
        return xs.exp()

    def step(self, x, state):
        return super().step(x.log() / x.sqrt(), state)


class Nowhere(Variance):
    """Its output is NaN, whatever its state is."""

    def __init__(self):
        super().__init__("root")

    def step(self, x, state):
        h, v = state
        a = self.linear(torch.cat([x, h], 1))
        h = torch.tanh(a) * torch.log(v - v - 1)
        return h, (h, v)
