"""Rows of a stepper begin anew: by flags, or by their numbers; what may be either is refused."""

import numpy as np
import pytest
import torch

from rnnkit.errors import KindError, ShapeError

from .test_stepper import ROWS, layer_of, stream


def test_rows_begin_anew():
    for rows in (torch.tensor([False, True, False]), [1], torch.tensor([1])):
        stepper, xs = layer_of("learnt_state(lstm)").stepper(ROWS), stream()
        fresh = stepper(xs[0]), stepper(xs[1])
        stepper.reset(rows)
        again = stepper(xs[0])
        assert torch.equal(again[1], fresh[0][1])
        assert not torch.equal(again[0], fresh[0][0])
    before = stepper.state
    stepper.reset([])
    assert all(map(torch.equal, before, stepper.state))


@pytest.mark.parametrize("rows", [[3], [-1], torch.tensor([True]), torch.tensor([0.5]), torch.tensor([[1]])])
def test_rows_that_there_are_not_are_refused(rows):
    with pytest.raises(ShapeError, match=r"^rows "):
        layer_of("lstm").stepper(ROWS).reset(rows)


TWO_WAYS = r"^rows is of torch.uint8, which may be flags or numbers; give .bool\(\) of flags, .long\(\) of numbers$"
TWICE = r"^rows has {} more than once; give each number once, or flags as booleans, by .bool\(\)$"
UNCLEAR = {
    "flags": (torch.tensor([0, 1, 0], dtype=torch.uint8), TWO_WAYS),
    "flags of numpy": (np.array([0, 1, 0], dtype=np.uint8), TWO_WAYS),
    "integer flags": (torch.tensor([0, 1, 0]), TWICE.format(0)),
    "a list of flags": ([1, 1, 0], TWICE.format(1)),
    "too large": ([0, 7, 1], r"^rows has 7; there are rows 0 to 2$"),
    "far too large": ([10**30], r"^rows is a list of which torch makes no tensor: .+$"),
    "no flags": (torch.zeros(0, dtype=torch.bool), r"^rows is \(0,\) of torch.bool; give 3 booleans, or integers"),
    "one number": (1, r"^rows is \(\) of torch.int64; give 3 booleans, or integers \(N,\), the numbers of rows$"),
    "no values": (torch.zeros(3, dtype=torch.bool, device="meta"), r"^rows is on meta"),
}


@pytest.mark.parametrize("kind", UNCLEAR)
def test_rows_that_may_be_read_in_two_ways_are_refused_and_the_state_stays(kind):
    rows, sentence = UNCLEAR[kind]
    stepper = layer_of("lstm", unroller="loop").stepper(ROWS)
    stepper(stream()[0])
    before = stepper.state
    with pytest.raises((ShapeError, KindError), match=sentence):
        stepper.reset(rows)
    assert all(map(torch.equal, before, stepper.state))
