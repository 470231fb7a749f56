"""Reasons for which a step is the loop's: they name the file and the line of the author's code."""

from pathlib import Path

import pytest
import torch
from torch import nn

import rnnkit

Compiled = rnnkit.unrollers["compiled"]


class Helping(nn.Module):
    """Reads values in a method of its own."""

    def forward(self, h):
        return h / max(1.0, float(h.abs().max()))  # here


class Of(rnnkit.Cell):
    """What its step does tells the cells apart; the line is marked."""

    def __init__(self, input_size=4, hidden_size=4):
        super().__init__(input_size, hidden_size)
        self.inner = nn.Linear(hidden_size, hidden_size)
        self.helping = Helping()
        self.register_buffer("mask", torch.ones(4, 4))

    def step(self, x, state):
        h = torch.tanh(x + self.of(state[0]))
        return h, (h,)


class Branching(Of):
    def of(self, h):
        if h.max() > 1:  # here
            return h * 0
        return self.inner(h)


class Item(Of):
    def of(self, h):
        scale = h.abs().mean().item()  # here
        return self.inner(h) * scale


class ByNumpy(Of):
    def of(self, h):
        return self.inner(h) * float(h.detach().numpy().mean())  # here


class InAModule(Of):
    def of(self, h):
        return self.helping(self.inner(h))


class InTorch(Of):
    """The line in torch's own code, which reads, is nothing to the author."""

    def of(self, h):
        return self.inner(h) * torch.linalg.cond(self.inner.weight).item()  # here


class ByAMask(Of):
    def of(self, h):
        h = self.inner(h)
        return h + h[h > 0].sum()  # here


class OnTheBuffer(Of):
    def of(self, h):
        self.mask.mul_(0.5)  # here
        return h @ self.mask


class Failing(Of):
    def of(self, h):
        return h / [h][1]  # here


class MakingSparse(Of):
    def of(self, h):
        weight = (self.inner.weight * self.mask).to_sparse()  # here
        return torch.sparse.mm(weight, h.t()).t()


CASES = {
    Branching: "reads the values of a tensor",
    Item: "reads the values of a tensor",
    ByNumpy: "reads the values of a tensor, by numpy()",
    InAModule: "reads the values of a tensor",
    InTorch: "reads the values of a tensor",
    ByAMask: "takes elements by a mask",
    OnTheBuffer: "on a tensor that others see",
    Failing: "list index out of range",
    MakingSparse: "makes a sparse tensor; kernels read dense ones",
}


@pytest.mark.parametrize("kind", CASES)
def test_the_reason_names_the_line(kind):
    backend, reason, *_ = Compiled().explain(kind()).splitlines()
    assert backend == "backend: loop"
    assert CASES[kind] in reason
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    begin = lines.index("class Helping(nn.Module):" if kind is InAModule else f"class {kind.__name__}(Of):")
    marked = next(number for number, line in enumerate(lines, 1) if number > begin and line.endswith("# here"))
    assert reason.endswith(f"({Path(__file__).name}:{marked})")
