"""Cells whose units are seen as a small tensor, heads, experts, memories, channels: native, and the loop's numbers."""

from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import rnnkit
from rnnkit.core.cell import building
from rnnkit_compiler import _programs, compiled
from rnnkit_compiler.backends.cpp import runtime
from rnnkit_compiler.ir.rules import products
from rnnkit_compiler.schedule.sharing import Shares
from rnnkit_compiler.trace import decomposition

from ..slow_cases import slow_but
from .test_compiled_law import Call, Compiled, backend_of, differences

WIDTH = 12


class Case(NamedTuple):
    """A step of the input x and the state h, both (B, 12): the output and the next state; its parameters by shape."""

    step: object
    parameters: dict = {}  # noqa: RUF012
    twice: bool = True
    """Whether torch has a second derivative of it."""


def heads(x):
    """See a row as three heads of four units."""
    return x.view(-1, 3, 4)


def carried(y, x, h):
    y = y.reshape(len(x), -1)[:, :WIDTH]
    return y, torch.tanh(0.5 * y + x - 0.1 * h)


def shown(function, twice=True, **parameters):
    """Make a case of a function of cell, input and state that gives twelve numbers of each row."""
    return Case(lambda cell, x, h: carried(function(cell, x, h), x, h), parameters, twice)


def slstm_of_heads(cell, x, h):
    gates = torch.bmm(heads(h).transpose(0, 1), cell.w).transpose(0, 1) + heads(x).repeat(1, 1, 4)
    i, f, z, o = gates.chunk(4, -1)
    top = torch.maximum(F.logsigmoid(f), i)
    c = torch.exp(F.logsigmoid(f) - top) * heads(h) + torch.exp(i - top) * torch.tanh(z)
    return torch.sigmoid(o) * c


def attention_over_the_last(cell, x, h):
    memory, query = heads(h), x[:, :4]
    shares = torch.softmax((cell.w(memory) * query.unsqueeze(1)).sum(2), 1)
    found = (shares.unsqueeze(1) @ memory).squeeze(1)
    newest = torch.tanh(found + x[:, 4:8]).unsqueeze(1)
    return found, torch.cat([memory[:, 1:], newest], 1).flatten(1)


def matrix_memory(cell, x, h):
    key, value, query = x[:, :4], x[:, 4:7], x[:, 8:]
    memory = 0.9 * heads(h) + value.unsqueeze(2) * key.unsqueeze(1)
    return torch.bmm(memory, query.unsqueeze(2)).squeeze(2), memory.flatten(1)


def mass_moved(cell, x, h):
    shares = torch.softmax((h @ cell.w).view(-1, WIDTH, WIDTH), 2)
    return torch.bmm(h.abs().unsqueeze(1), shares).squeeze(1)


def mixed_experts(cell, x, h):
    outputs = torch.tanh(torch.einsum("bi,eij->bej", h, cell.w) + x.unsqueeze(1))
    return torch.einsum("be,bej->bj", torch.softmax(x @ cell.gate, 1), outputs)


def listed_experts(cell, x, h):
    outputs = torch.stack([torch.tanh(h @ cell.w[k]) for k in range(3)], 1)
    return (outputs * torch.softmax(x @ cell.gate, 1).unsqueeze(2)).sum(1)


def quaternions(cell, x, h):
    weight = torch.einsum("abc,cij->baij", cell.algebra, cell.w)
    return torch.einsum("bki,kaij->baj", h.view(-1, 4, 3), weight) + x.view(-1, 4, 3)


def rms_norm_of_heads(cell, x, h):
    z = heads(h + x)
    return z * torch.rsqrt(z.square().mean(-1, keepdim=True) + 0.1) * cell.gain


def conv_lstm(cell, x, h):
    i, g = F.conv1d(heads(h), cell.w, cell.b, padding=1).chunk(2, 1)
    return torch.sigmoid(i) * heads(h) + torch.tanh(g + heads(x))


def attends(cell, x, h):
    return cell.attention(heads(x), heads(h), heads(h))[0]


def scaled_attention(cell, x, h):
    query, key = h.view(-1, 2, 3, 2), x.view(-1, 2, 3, 2)
    return F.scaled_dot_product_attention(query, key, key * query, scale=0.7)


def same_for_all_rows(cell, x, h):
    """Factors of products that no row decides: a parameter, a piece of one, numbers, what a gradient begins with."""
    context, rows = cell.c.expand_as(h), h.shape[0]
    joined = torch.cat([h, context, x], 1) @ cell.w
    pieces = cell.c[:3].expand(rows, 3) @ cell.w[:3] + torch.full((), 0.5).to(h).expand(rows, 1) @ cell.w[:1]
    by_heads = torch.einsum("bkd,kde->bke", heads(context), cell.v).flatten(1)
    slope = torch.func.grad(lambda z: (torch.sin(z) @ cell.w[:, :1].view(3, WIDTH).sum(0).unsqueeze(1)).sum())(h)
    return torch.tanh(joined + pieces + by_heads + slope)


CASES = {
    "the same for all rows": shown(same_for_all_rows, c=(WIDTH,), w=(3 * WIDTH, WIDTH), v=(3, 4, 4)),
    "sLSTM of heads": shown(slstm_of_heads, w=(3, 4, 16)),
    "attention over the last states": Case(attention_over_the_last, {"w": lambda: nn.Linear(4, 4)}),
    "matrix memory": Case(matrix_memory),
    "mass moved": shown(mass_moved, w=(WIDTH, WIDTH * WIDTH)),
    "experts as a batch of weights": shown(mixed_experts, w=(3, WIDTH, WIDTH), gate=(WIDTH, 3)),
    "experts as a list": shown(listed_experts, w=(3, WIDTH, WIDTH), gate=(WIDTH, 3)),
    "quaternions": shown(quaternions, w=(4, 3, 3), algebra=(4, 4, 4)),
    "RMS norm of heads": shown(rms_norm_of_heads, gain=(3, 1)),
    "group norm": shown(lambda cell, x, h: F.group_norm(heads(h + x), 3, cell.g, cell.b, eps=0.1), g=(3,), b=(3,)),
    "ConvLSTM": shown(conv_lstm, w=(6, 3, 3), b=(6,)),
    "convolution in two dimensions": shown(
        lambda cell, x, h: F.conv2d(h.view(-1, 2, 2, 3), cell.w, padding=1).sin() + x.view(-1, 2, 2, 3), w=(2, 2, 3, 3)
    ),
    "depthwise convolution": shown(
        lambda cell, x, h: F.conv1d(h.view(-1, 4, 3), cell.w, cell.b, padding=1, groups=4), w=(4, 1, 3), b=(4,)
    ),
    "convolution in groups with a stride": shown(
        lambda cell, x, h: F.conv1d((h * x).view(-1, 4, 3), cell.w, stride=2, padding=1, groups=2), w=(6, 2, 3)
    ),
    "transposed convolution": shown(
        lambda cell, x, h: F.conv_transpose1d(heads(h)[..., :2], cell.w, cell.b, stride=2) + heads(x),
        w=(3, 3, 2),
        b=(3,),
    ),
    "transposed convolution in groups": shown(
        lambda cell, x, h: F.conv_transpose2d(
            h.view(-1, 2, 2, 3), cell.w, stride=(2, 1), padding=1, output_padding=(1, 0), groups=2
        ),
        w=(2, 2, 3, 2),
    ),
    "instance norm": shown(
        lambda cell, x, h: F.instance_norm(heads(h + x), None, None, cell.g, cell.b), g=(3,), b=(3,)
    ),
    "a weight repeated for each row": shown(
        lambda cell, x, h: h.reshape(-1, 4) * cell.w.repeat(3 * len(h), 1) + cell.w[:1].repeat(3 * len(h))[:, None],
        w=(4,),
    ),
    "causal attention": shown(
        lambda cell, x, h: F.scaled_dot_product_attention(
            h.view(-1, 2, 3, 2), x.view(-1, 2, 3, 2), (h * x).view(-1, 2, 3, 2), is_causal=True
        ),
        twice=False,
    ),
    "attention with a bias that is computed": shown(
        lambda cell, x, h: F.scaled_dot_product_attention(
            h.view(-1, 2, 3, 2), x.view(-1, 2, 3, 2), h.view(-1, 2, 3, 2), (h @ cell.w).view(-1, 2, 3, 3), scale=0.7
        ),
        w=(WIDTH, 18),
    ),
    "attention to nothing": shown(
        lambda cell, x, h: F.scaled_dot_product_attention(
            heads(h), heads(x), heads(h * x), cell.w.masked_fill(torch.ones(3, 3).triu() > 0, -float("inf"))
        ),
        w=(3, 3),
    ),
    "bilinear form": shown(lambda cell, x, h: F.bilinear(h, x, cell.w), w=(WIDTH, WIDTH, WIDTH)),
    "multi-head attention": shown(
        attends, twice=False, attention=lambda: nn.MultiheadAttention(4, 2, batch_first=True)
    ),
    "scaled attention": shown(scaled_attention, twice=False),
    "more blocks than are computed with what follows": shown(
        lambda cell, x, h: torch.einsum("bhd,hde->bhe", torch.cat([h, x, x], 1).view(-1, 18, 2), cell.w), w=(18, 2, 2)
    ),
    "blocks of several rows": shown(lambda cell, x, h: torch.cat([h, x], 1).view(-1, 4, 3, 2) @ cell.w, w=(4, 2, 2)),
    "more blocks of several rows": shown(
        lambda cell, x, h: torch.cat([h, x, h, x], 1).view(-1, 12, 2, 2) @ cell.w, w=(12, 2, 2)
    ),
    "a product of every head": shown(
        lambda cell, x, h: F.linear(heads(h), cell.w, cell.b) * heads(x), w=(4, 4), b=(4,)
    ),
    "products of some units and of all": shown(
        lambda cell, x, h: h[:, :5] @ cell.w[:5] + torch.tanh(h @ cell.w) + h[:, :6] @ cell.w[:6] + x,
        w=(WIDTH, WIDTH),
    ),
    "blocks beside a product of all": shown(
        lambda cell, x, h: torch.einsum("bhd,hde->bhe", heads(h), cell.w).flatten(1) + h @ cell.u + x,
        w=(3, 4, 4),
        u=(WIDTH, WIDTH),
    ),
    "a product of what was transposed": shown(
        lambda cell, x, h: (heads(h).transpose(1, 2).reshape(-1, WIDTH) + x) @ cell.w, w=(WIDTH, WIDTH)
    ),
}
CALLS = Call(1, 1), Call(5, 4, lengths=True, reset=True, state=True), Call(4, 3, gradients=False)

some_cases = pytest.mark.parametrize(
    "name", slow_but(["attention over the last states", "ConvLSTM"], list(CASES)), ids=str
)


class InAxes(rnnkit.Cell):
    """Runs the step of a case."""

    def __init__(self, case):
        super().__init__(WIDTH, WIDTH)
        self.case = case
        for name, made in case.parameters.items():
            setattr(self, name, nn.Parameter(0.4 * torch.randn(made)) if isinstance(made, tuple) else made())

    @property
    def output_size(self):
        return self.case.step(self, torch.zeros(1, WIDTH, dtype=self.dtype), torch.zeros(1, WIDTH, dtype=self.dtype))[
            0
        ].shape[1]

    @property
    def dtype(self):
        return next((tensor.dtype for tensor in self.parameters()), torch.get_default_dtype())

    def step(self, x, state):
        y, h = self.case.step(self, x, *state)
        return y, (h,)


def build(name, dtype=torch.float64):
    torch.manual_seed(0)
    with building(None, dtype):
        return InAxes(CASES[name])


def ways():
    return [Compiled(backend="cpp"), Compiled(backend="torch")]


@some_cases
def test_it_runs_natively(name):
    cell = build(name)
    assert backend_of(cell) == "cpp", Compiled().explain(cell)


@pytest.mark.parametrize("dtype", [torch.float64, pytest.param(torch.float32, marks=pytest.mark.slow)], ids=str)
@some_cases
def test_the_law(name, dtype):
    cell = build(name, dtype)
    calls = [*CALLS, *([Call(3, 3, order=2)] if CASES[name].twice and dtype == torch.float64 else [])]
    assert [(str(way), differences(cell, call, way)) for way in ways() for call in calls] == [
        (str(way), []) for way in ways() for _ in calls
    ]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("shares", [Shares(2, 1), Shares(2, 2)], ids=["rows", "units"])
def test_two_threads_share_the_rows_or_the_units(name, shares, monkeypatch):
    monkeypatch.setattr(runtime, "best_shares", lambda *_: shares)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        cell = build(name)
        for batch in (1, 3, 8):
            for lengths in (False, True):
                assert differences(cell, Call(6, batch, state=True, lengths=lengths), Compiled(backend="cpp")) == []
    finally:
        torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ConvLSTM", "convolution in two dimensions"])
def test_a_convolution_gathers_or_has_one_matrix(name, monkeypatch):
    cell = build(name)
    explained = Compiled().explain(cell)
    assert "window" not in explained
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    monkeypatch.setattr(decomposition, "MOST_WASTE", 0)
    assert "windows" in Compiled().explain(cell)
    for call in (*CALLS, Call(3, 3, order=2)):
        assert differences(cell, call, Compiled(backend="cpp")) == []


def test_a_large_convolution_is_left_to_torch(monkeypatch):
    monkeypatch.setattr(decomposition, "MOST_ELEMENTS", 0)
    monkeypatch.setattr(decomposition, "MOST_MULTIPLICATIONS", 0)
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    explained = Compiled().explain(build("ConvLSTM"))
    assert "a convolution of 216 multiplications for each row is as fast by torch's own operation" in explained


def test_a_large_product_of_two_tensors_of_the_row_is_left_to_torch(monkeypatch):
    monkeypatch.setattr(products, "MOST_MULTIPLICATIONS", 11)
    monkeypatch.setattr(_programs, "_programs", type(_programs._programs)(_programs.CAPACITY))
    explained = Compiled().explain(build("matrix memory"))
    assert "a product of 12 multiplications for each row is as fast by torch's own operation" in explained


def test_the_source_does_not_depend_on_the_sizes():
    def source(k, d):
        torch.manual_seed(0)

        class Sized(rnnkit.Cell):
            def step(self, x, state):
                (h,) = state
                z = torch.softmax((h + x).view(-1, k, d), 2)
                y = torch.bmm(z, torch.tanh(h.view(-1, k, d)).transpose(1, 2)).sum(2).repeat(1, d)
                return y, (torch.tanh(h + y),)

        cell = Sized(k * d, k * d)
        program = compiled.program_for(cell, *compiled.example(cell))
        return program.backend._recurrence.runtime._kernels._libraries["Forward"].source.text

    assert source(3, 5) == source(7, 11)
