"""What a step draws is drawn again where steps are replayed: the gradients are those of what was drawn."""

import pytest
import torch

from rnnkit_unrollers.checkpoint import Checkpoint

from .drawing_cells import AddsNoise, DropsOut, DropsOutByModule
from .test_compiled_law import Loop
from .test_drawing import build, problem, unrolled
from .test_odd_cells import assert_same

UNROLLERS = (Checkpoint(), Checkpoint(segment=3), Checkpoint(segment=1), Checkpoint(budget=2000))


@pytest.mark.parametrize("unroller", UNROLLERS, ids=str)
@pytest.mark.parametrize("kind", [DropsOut, DropsOutByModule, AddsNoise], ids=lambda kind: kind.__name__)
def test_a_replay_draws_what_was_drawn(kind, unroller):
    cell = build(kind)
    xs, state = problem(cell, steps=11)
    for order in (1, 2):
        expected, states = unrolled(Loop(), cell, xs, state, order)
        found, after = unrolled(unroller, cell, xs, state, order)
        assert_same(found, expected)
        assert all(map(torch.equal, after, states))


@pytest.mark.parametrize("unroller", UNROLLERS, ids=str)
def test_a_second_backward_pass_draws_the_same(unroller):
    cell = build(DropsOut)
    xs, state = problem(cell, steps=11)
    ys = unroller(cell, xs, state)[0]
    once, again = (torch.autograd.grad(ys.square().sum(), xs, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(once, again)
