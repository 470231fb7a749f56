"""Kernels: training's and inference's are compiled apart, each when it is first wanted."""

import pytest
import torch

import rnnkit
import rnnkit_compiler.compiled
from rnnkit_compiler._cache import Cache
from rnnkit_compiler.backends.cpp import kernels
from rnnkit_compiler.backends.cpp.building.compilation import CompileError


@pytest.fixture(autouse=True)
def nothing_made_before(monkeypatch):
    monkeypatch.setattr(rnnkit_compiler.compiled, "_programs", Cache(4))


@pytest.fixture
def compiled(monkeypatch):
    """Return the functions of each library, in the order in which they were asked for."""
    asked = []
    generate = kernels.generate
    monkeypatch.setattr(
        kernels, "generate", lambda plan, names, *args: (asked.append(names), generate(plan, names, *args))[1]
    )
    return asked


def make():
    return rnnkit.RNN("lstm", 4, 8, unroller="compiled"), torch.randn(3, 2, 4)


def test_training_compiles_no_inference(compiled):
    layer, xs = make()
    for _ in range(2):
        layer(xs)[0].sum().backward()
    assert compiled == [("Forward", "Backward")]


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_inference_compiles_nothing_of_training(without, compiled):
    layer, xs = make()
    for _ in range(2):
        with without():
            layer(xs)
    assert compiled == [("Inference",)]


def test_both_give_the_same_bits(compiled):
    layer, xs = make()
    with torch.no_grad():
        outputs = layer(xs)[0]
    trained = layer(xs)[0]
    trained.sum().backward()
    assert compiled == [("Inference",), ("Forward", "Backward")]
    assert torch.equal(outputs, trained)


def test_torch_runs_what_cannot_be_compiled_any_more(monkeypatch):
    """As where the compiler goes, or the disk is full, between a training and its first evaluation."""
    layer, xs = make()
    trained = layer(xs)[0]
    attempts = []  # one is enough

    def fail(source):
        attempts.append(source)
        raise CompileError("no room")

    monkeypatch.setattr(kernels, "build", fail)
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(layer(xs)[0], trained.detach())
    assert len(attempts) == 1
    trained.sum().backward()
    assert layer.weight_hh_l0.grad.isfinite().all()
