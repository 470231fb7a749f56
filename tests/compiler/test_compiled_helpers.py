"""What a step calls that others have compiled is recorded as it was written: native, without a word of the recorder."""

import logging
import warnings

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler.compiled import Compiled
from rnnkit_compiler.trace import uncompiled

pytestmark = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning")  # dynamo asks for it

XS = torch.randn(5, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def gated(x):
    return torch.tanh(x) * torch.sigmoid(x)


by_dynamo = torch.compile(gated, backend="eager")

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)

    @torch.jit.script
    def by_script(x: torch.Tensor):
        for _ in range(2):
            x = torch.tanh(x) * torch.sigmoid(x)
        return x


class Gate(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.linear = nn.Linear(size, size)

    def forward(self, x):
        return torch.tanh(self.linear(x))


def wrapped_module(size):
    return torch.compile(Gate(size), backend="eager")


def module_in_place(size):
    gate = Gate(size)
    gate.compile(backend="eager")
    return gate


HELPERS = {
    "a function": lambda size: by_dynamo,
    "a module": wrapped_module,
    "a module in place": module_in_place,
    "a scripted function": lambda size: by_script,
}


class Helped(rnnkit.Cell):
    def __init__(self, input_size, hidden_size, helper):
        super().__init__(input_size, hidden_size)
        self.read = nn.Linear(input_size + hidden_size, hidden_size)
        self.helper = HELPERS[helper](hidden_size)

    def step(self, x, state):
        (h,) = state
        h = self.helper(self.read(torch.cat([x, h], 1)))
        return h, (h,)


def results(unroller, cell):
    xs = XS.clone().requires_grad_()
    ys, (last,) = unroller(cell, xs)
    return [ys, last, *torch.autograd.grad(ys.square().sum() + last.sum(), [xs, *cell.parameters()])]


@pytest.mark.parametrize("calls_before", [0, 3])
@pytest.mark.parametrize("helper", HELPERS)
def test_it_is_native_and_the_loops_numbers(helper, calls_before, caplog, recwarn):
    cell = Helped(4, 6, helper).double()
    for _ in range(calls_before):  # after which a script is one node of autograd's
        expected = results(rnnkit.unrollers["loop"](), cell)
    recwarn.clear()
    with caplog.at_level(logging.WARNING):
        assert Compiled().backend_of(cell) == "cpp"
        ours = results(Compiled(), cell)
    assert not caplog.records
    assert not [warning for warning in recwarn if "rnnkit" in str(warning.message) or "Dynamo" in str(warning.message)]
    expected = results(rnnkit.unrollers["loop"](), cell)
    for one, other in zip(ours, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("helper", ["a module", "a module in place"])
def test_a_copy_of_a_compiled_module_uses_its_own_tensors(helper):
    cell = Helped(4, 6, helper).double()
    zeros = {name: torch.zeros_like(tensor) for name, tensor in cell.named_parameters()}
    copied = rnnkit.copy_with_tensors(cell, zeros)
    y, _ = copied.step(XS[0], cell.double().initial_state(3))
    assert not y.any()
    assert cell.step(XS[0], cell.initial_state(3))[0].any()


@pytest.mark.parametrize("helper", HELPERS)
def test_checkpoint_gives_the_loops_gradients(helper):
    cell = Helped(4, 6, helper).double()
    ours = results(rnnkit.unrollers["checkpoint"](), cell)
    for one, other in zip(ours, results(rnnkit.unrollers["loop"](), cell), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_a_script_that_is_another_than_its_python_is_for_the_loop(monkeypatch):
    cell = Helped(4, 6, "a scripted function").double()
    monkeypatch.setattr(by_script, "_torchdynamo_inline", torch.tanh)
    cell.register_buffer("other", torch.zeros(1))  # so that it is looked at
    assert Compiled().backend_of(cell) == "loop"


def test_scripts_are_scripts_again():
    called = torch.jit.ScriptFunction.__call__
    with uncompiled.without_scripts():
        assert torch.jit.ScriptFunction.__call__ is not called
        torch.testing.assert_close(by_script(XS), gated(gated(XS)))
    assert torch.jit.ScriptFunction.__call__ is called
