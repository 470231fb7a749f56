"""Kernels are compared with torch's operations before they are used; planted wrong ones are found and not used."""

import json
import logging

import pytest
import torch

import rnnkit
from rnnkit_compiler import compiled
from rnnkit_compiler.backends.triton import backend, kernels, trust

Compiled = rnnkit.unrollers["compiled"]


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """No program is known, and no verdict kept."""
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)

    def again():
        monkeypatch.setattr(compiled, "_programs", type(compiled._programs)(compiled.CAPACITY))

    again()
    return again


def run(cell="lstm"):
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, 3, 5, unroller=Compiled(backend="triton"), dtype=torch.float64)
    xs = torch.randn(6, 4, 3, dtype=torch.float64, requires_grad=True)
    ys = layer(xs)[0]
    return layer, [ys, *torch.autograd.grad(ys.sin().sum(), [xs, *layer.parameters()])]


def expected(layer):
    layer.unroller = "loop"
    torch.manual_seed(0)
    other = rnnkit.RNN("lstm", 3, 5, unroller="loop", dtype=torch.float64)
    xs = torch.randn(6, 4, 3, dtype=torch.float64, requires_grad=True)
    ys = other(xs)[0]
    return [ys, *torch.autograd.grad(ys.sin().sum(), [xs, *other.parameters()])]


def plant(monkeypatch, right, wrong):
    generate = kernels.generate

    def planted(*given):
        source = generate(*given)
        assert right in source.text
        source.text = source.text.replace(right, wrong)
        return source

    monkeypatch.setattr(kernels, "generate", planted)


WRONG = {
    "a gate": ("sigmoid(x20)", "tanh(x20)"),
    "what has ended": ("run = (r < batch) & (run == 0)", "run = r < 0"),
    "a mask": ("here = run & (j < 5)", "here = run & (j < 4)"),
    "does not compile": ("x28 = tanh(x26)", "x28 = tanh_of(x26)"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_kernel_costs_speed_and_no_numbers(kind, fresh, monkeypatch, caplog):
    plant(monkeypatch, *WRONG[kind])
    with caplog.at_level(logging.WARNING):
        layer, found = run()
        run()
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith("cell 'lstm' in float64 on the interpreter: the kernels")
    assert said.endswith("torch's operations run instead")
    for one, other in zip(found, expected(layer), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    told = backend.Triton.facts()["triton kernels"]
    assert told.startswith("1 programs compared with torch's operations, 1 of them not used; cell 'lstm'")


def test_a_right_one_is_used_and_the_verdict_kept(fresh, monkeypatch, caplog):
    trials = []
    strays = trust.Trust._strays
    monkeypatch.setattr(trust.Trust, "_strays", lambda *given: (trials.append(1), strays(*given))[1])
    layer, _ = run()
    assert len(trials) == 1
    assert "equal within rounding" in Compiled(backend="triton").explain(layer.cells[0])
    (kept,) = trust.folder().glob("*.json")
    assert json.loads(kept.read_text())["reason"] == ""
    fresh()
    run()
    assert len(trials) == 1
    monkeypatch.setattr(trust, "device_facts", lambda device: ["another driver"])
    fresh()
    run()
    assert len(trials) == 2
    assert not caplog.records


def test_a_trial_leaves_the_random_state_alone(fresh):
    layer = rnnkit.RNN("gru", 3, 5, unroller=Compiled(backend="triton"))
    xs = torch.randn(2, 2, 3)
    before = torch.get_rng_state()
    layer(xs)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inference_is_tried_too(dtype, fresh):
    layer = rnnkit.RNN("peephole", 3, 5, unroller=Compiled(backend="triton"), dtype=dtype)
    with torch.inference_mode():
        ys = layer(torch.randn(2, 2, 3, dtype=dtype))[0]
    assert ys.isfinite().all()
    assert "equal within rounding" in Compiled(backend="triton").explain(layer.cells[0])
