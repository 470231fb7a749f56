"""One step of few rows that is differentiated is the loop's; all others are the kernel's."""

import pytest
import torch

import rnnkit
from rnnkit_compiler import compiled


@pytest.fixture
def kernel_calls(monkeypatch):
    """List the calls that ask for a program."""
    asked = []
    program_for = compiled.program_for
    monkeypatch.setattr(compiled, "program_for", lambda *given: asked.append(given) or program_for(*given))
    return asked


def layer_of(**options):
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", 3, 4, **options)
    layer(torch.zeros(2, 2, 3))
    return layer


def test_one_step_with_gradients_is_the_loop_s_to_the_bit(kernel_calls):
    layer, loop = layer_of(), layer_of(unroller="loop")
    kernel_calls.clear()
    x = torch.randn(1, 16, 3)
    grads = []
    for each in (layer, loop):
        ys, _ = each(x)
        ys.sum().backward()
        grads.append([ys, *(parameter.grad for parameter in each.parameters())])
    assert all(map(torch.equal, *grads))
    assert kernel_calls == []


@pytest.mark.parametrize("case", ["two steps", "many rows", "no gradients", "nothing to learn", "asked for"])
def test_other_calls_are_the_kernel_s(case, kernel_calls):
    unroller = rnnkit.unrollers["compiled"](backend="cpp") if case == "asked for" else "auto"
    layer = layer_of(unroller=unroller).requires_grad_(case != "nothing to learn")
    kernel_calls.clear()
    with torch.set_grad_enabled(case != "no gradients"):
        layer(torch.randn(2 if case == "two steps" else 1, 17 if case == "many rows" else 1, 3))
    assert len(kernel_calls) == 1


@pytest.mark.parametrize("given", ["input", "state"])
def test_what_comes_from_outside_may_be_what_is_differentiated(given, kernel_calls):
    layer = layer_of().requires_grad_(False)
    kernel_calls.clear()
    x = torch.randn(1, 1, 3, requires_grad=given == "input")
    h = torch.zeros(1, 1, 4, requires_grad=given == "state")
    layer(x, (h, torch.zeros(1, 1, 4)))[0].sum().backward()
    assert (x if given == "input" else h).grad is not None
    assert kernel_calls == []
