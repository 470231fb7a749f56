"""Calls of layers whose cells draw, prepared once: they draw what the loop draws, and cost as little as others."""

import pytest
import torch

import rnnkit
from rnnkit_compiler.backends.base.runtime import Unfit
from rnnkit_compiler.backends.cpp.direct import DirectCall

from .drawing_cells import DropsOut, DropsOutByModule, SamplesBernoulli
from .test_compiled_law import Compiled
from .test_drawing import build
from .test_odd_cells import assert_same


def test_calls_are_prepared():
    cell, of_values = build(DropsOut), build(SamplesBernoulli)
    assert Compiled().bound(cell) is not None
    assert Compiled().advancer(cell, 1, 2) is not None
    assert Compiled().bound(of_values) is None  # where a check fails the loop is to say so
    assert Compiled().advancer(of_values, 1, 2) is None


@pytest.mark.parametrize("steps", [1, 6])
@pytest.mark.parametrize("grads", [True, False], ids=["gradients", "none"])
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"num_layers": 2, "bidirectional": True}], ids=str)
def test_prepared_calls_draw_as_with_the_loop(options, grads, steps):
    def layer(unroller):
        torch.manual_seed(0)
        return rnnkit.RNN(DropsOutByModule, 3, 6, unroller=unroller, **options).double()

    layers = [layer("loop"), layer("compiled")]
    torch.manual_seed(1)
    plain = torch.randn(steps, 4, 3, dtype=torch.float64)
    turned = plain.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    calls = [(plain, 0.3, True)] * 4 + [(turned, 0.3, True), (plain, 0.3, False)] + [(plain, 0.7, True)] * 4
    for seed, (xs, rate, trains) in enumerate(calls):
        found = []
        for one in layers:
            one.train(trains)
            for module in one.modules():
                if isinstance(module, torch.nn.Dropout):
                    module.p = rate
            torch.manual_seed(seed)
            with torch.set_grad_enabled(grads):
                ys, h = one(xs)
            own = torch.autograd.grad(ys.sum() + h.sum(), [*one.parameters()]) if grads else ()
            found.append([ys, h, *own, torch.get_rng_state().double()])
        assert_same(found[1], found[0])


@torch.no_grad()
def test_what_no_kernel_takes_is_not_drawn_twice(monkeypatch):
    found = []
    for unroller in ("loop", "compiled"):
        torch.manual_seed(0)
        layer, xs = rnnkit.RNN(DropsOut, 3, 6, unroller=unroller).double(), torch.ones(1, 2, 3, dtype=torch.float64)
        for _ in range(3):
            layer(xs)
        monkeypatch.setattr(DirectCall, "run", refuse)
        torch.manual_seed(1)
        found.append([*layer(xs), torch.get_rng_state().double()])
    assert_same(found[1], found[0])
    assert refused


refused = []


def refuse(*_):
    refused.append(True)
    raise Unfit("")
