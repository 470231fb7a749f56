"""Where integers lie, as far as a step says: never outside of what is said."""

import math

import pytest
import torch

import rnnkit
from rnnkit_compiler.ir.intervals import ANY, Interval, Intervals
from rnnkit_compiler.ir.kept_states import kept
from rnnkit_compiler.trace.projection import nesting
from rnnkit_compiler.trace.record import record
from rnnkit_compiler.trace.recording import Ref

LEAST, MOST = -3, 6
"""Of the state."""

CASES = {
    "sum": (lambda k, h: k + 4, Interval(1, 10)),
    "sum with a factor": (lambda k, h: torch.add(k, k, alpha=-2), Interval(-15, 12)),
    "difference": (lambda k, h: 2 - k, Interval(-4, 5)),
    "product": (lambda k, h: k * (k - 1), Interval(-24, 30)),
    "remainder": (lambda k, h: k % 4, Interval(0, 3)),
    "remainder that changes nothing": (lambda k, h: k.clamp(min=0) % 9, Interval(0, 6)),
    "remainder with a sign": (lambda k, h: torch.fmod(k, 4), Interval(-3, 3)),
    "quotient": (lambda k, h: k // 2, Interval(-2, 3)),
    "quotient towards zero": (lambda k, h: torch.div(k, 2, rounding_mode="trunc"), Interval(-2, 3)),
    "quotient of what is negative": (lambda k, h: torch.div(k - 8, 4, rounding_mode="trunc"), Interval(-3, 0)),
    "choice": (lambda k, h: torch.where(h[:, :1] > 0, k, 9), Interval(-3, 9)),
    "mask": (lambda k, h: k.masked_fill(h[:, :1] > 0, -7), Interval(-7, 6)),
    "joined": (lambda k, h: torch.cat([k, k + 2], 1), Interval(-3, 8)),
    "maximum": (lambda k, h: torch.maximum(k, k - k + 2), Interval(-3, 11)),
    "maximum by its other name": (lambda k, h: torch.max(k, torch.full_like(k, 2)), Interval(2, 6)),
    "minimum": (lambda k, h: torch.minimum(k, torch.full_like(k, 2)), Interval(-3, 2)),
    "clamp": (lambda k, h: k.clamp(0, 4), Interval(0, 4)),
    "negative": (lambda k, h: -k, Interval(-6, 3)),
    "size": (lambda k, h: k.abs(), Interval(0, 6)),
    "bits": (lambda k, h: (k & 5) + (k >> 1), Interval(-2, 8)),
    "truth": (lambda k, h: (h > 0).long(), Interval(0, 1)),
    "count": (lambda k, h: (h > 0).sum(1, keepdim=True), Interval(0, 4)),
    "place of the largest": (lambda k, h: h.argmax(1, keepdim=True), Interval(0, 3)),
    "place of the median": (lambda k, h: h.median(1, keepdim=True).indices, Interval(0, 3)),
    "places in order": (lambda k, h: h.sort(1).indices[:, 1:], Interval(0, 3)),
    "the largest integer": (lambda k, h: torch.cat([k, k + 1], 1).max(1, keepdim=True).values, Interval(-3, 7)),
    "number of an interval": (lambda k, h: torch.bucketize(h, torch.tensor([0.0, 1.0])), Interval(0, 2)),
    "rolled and padded": (lambda k, h: torch.nn.functional.pad(k.clamp(2, 4).roll(1, 1), (1, 1)), Interval(0, 4)),
    "padded with a number": (lambda k, h: torch.nn.functional.pad(k.clamp(2, 4), (0, 1), value=8), Interval(0, 8)),
    "what was a real number": (lambda k, h: (3 * h).long(), ANY),
    "powers": (lambda k, h: k**2, ANY),
    "filled where it is below a number": (lambda k, h: k.masked_fill(k < 2, 4), Interval(2, 6)),
    "filled where another is": (lambda k, h: k.masked_fill(k + 1 < 2, 4), Interval(-3, 6)),
    "rounded down": (lambda k, h: (torch.tensor(0.3) * k.clamp(0, 5)).floor().long(), Interval(0, 2)),
    "rounded": (lambda k, h: torch.where(h > 0, torch.tensor(1.7), torch.tensor(-0.2)).round().long(), Interval(-1, 2)),
    "times a literal, which is rounded": (lambda k, h: (k * 0.3).ceil().long(), ANY),
    "times a whole literal": (lambda k, h: (torch.tensor(0.5) * k * 2.0).long(), Interval(-4, 6)),
    "filled with no number": (
        lambda k, h: k.clamp(0, 4).double().masked_fill(h[:, :1] > 0, torch.nan).long(),
        ANY,
    ),
    "no number": (lambda k, h: torch.where(h > 0, torch.tensor(torch.nan), torch.tensor(1.0)).long(), ANY),
    "too large for some dtypes": (lambda k, h: (torch.tensor(300.0) * (k > 0)).long(), ANY),
}


class Makes(rnnkit.Cell):
    """Makes integers of its state."""

    state_names = ("h", "k")

    def __init__(self, apply):
        super().__init__(4, 4)
        self.scale = torch.nn.Parameter(torch.ones(4))
        self.apply_ = apply

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, 4), torch.zeros(batch_size, 1, dtype=torch.long)

    def step(self, p, state):
        h, k = state
        made = self.apply_(k, h * self.scale)
        return torch.tanh(h + p), (torch.tanh(h + p), made[:, :1])


def recorded(cell):
    xs, states = torch.zeros(1, 2, 4), cell.initial_state(2)
    return record(cell, [xs], states, nesting(xs))


@pytest.mark.parametrize("name", CASES)
def test_no_integer_lies_outside(name):
    apply, expected = CASES[name]
    recording = recorded(Makes(apply))
    (before,) = (number for number in recording.states if not recording.dtypes[number].is_floating_point)
    found = Intervals(recording, {before: Interval(LEAST, MOST)})
    assert found.of(Ref(recording.next_states[1])) == expected
    k = torch.arange(LEAST, MOST + 1).unsqueeze(1)
    for seed in range(20):
        h = torch.randn(len(k), 4, generator=torch.Generator().manual_seed(seed))
        values = apply(k, h)[:, :1]
        assert expected.least <= float(values.min())
        assert float(values.max()) <= expected.most


STATES = {
    "a counter taken modulo": (lambda k, h: (k + 1) % 5, Interval(0, 4)),
    "a counter that stops": (lambda k, h: (k + 1).clamp(max=5), Interval(0, 5)),
    "a counter": (lambda k, h: k + 1, None),
    "one that is multiplied": (lambda k, h: (2 * k).clamp(max=5), Interval(0, 5)),
    "one that falls": (lambda k, h: (k - 1).clamp(max=5), None),
    "a counter that begins again": (lambda k, h: torch.where(h[:, :1] > 0, 0, (k + 1) % 4), Interval(0, 3)),
    "a counter that may stay": (lambda k, h: torch.where(h[:, :1] > 0, (k + 1) % 4, k), Interval(0, 3)),
    "a counter that is exchanged or stays": (
        lambda k, h: torch.where(h[:, :1] > 0, h.argmax(1, keepdim=True), k),
        Interval(0, 3),
    ),
    "one that may fall or stay": (lambda k, h: torch.where(h[:, :1] > 0, k - 1, k), None),
    "a place": (lambda k, h: h.argmax(1, keepdim=True), Interval(0, 3)),
    "one that is read as a real number": (
        lambda k, h: torch.where(k.to(h) > h[:, :1], (k + 1).clamp(max=5), 0),
        Interval(0, 5),
    ),
}


@pytest.mark.parametrize("name", STATES)
def test_where_a_state_stays(name):
    apply, expected = STATES[name]
    recording = recorded(Makes(apply))
    found = kept(recording, [*zip(recording.states, recording.next_states, strict=True)])
    assert [*found.states.values()] == ([] if expected is None else [expected])
    if expected is not None:
        after = found.intervals.of(Ref(recording.next_states[1]))
        assert after.is_within(expected)
        assert math.isfinite(after.most)
