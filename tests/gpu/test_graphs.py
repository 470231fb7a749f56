"""Calls long enough for graphs, and the ways in which rows that start again may run, on a device."""

import pytest
import torch

import rnnkit

from ..compiler.test_compiled_law import Call, Compiled, build, differences

CALLS = {
    "plain": Call(70, 3),
    "lengths and resets": Call(40, 3, lengths=True, reset=True, state=True),
    "inference": Call(64, 3, gradients=False),
}


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize("name", ["peephole", pytest.param("lmu", marks=pytest.mark.slow)])
def test_the_plan_runs_in_graphs(name, call, device):
    cell, unroller = build(name, {}, 4, 20, torch.float64), Compiled(backend="torch")
    assert differences(cell, call, unroller) == []
    if device.type == "cuda":
        assert "in CUDA graphs: chunks of 32 steps" in unroller.explain(cell)


@pytest.mark.gpu
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_kernels_step_by_step_run_in_graphs(call):
    if not torch.cuda.is_available():
        pytest.skip("no GPU: torch finds no CUDA or ROCm device here")
    with torch.device("cuda"):
        cell = build("peephole", {}, 4, 20, torch.float64)
        assert differences(cell, call, Compiled(backend="triton", kernel="steps")) == []


@pytest.mark.usefixtures("there")
@pytest.mark.parametrize("restarts", [None, "pieces", "compiled"])
@pytest.mark.parametrize("call", [CALLS["lengths and resets"], Call(40, 3, reset=True, gradients=False)])
def test_rows_start_again_in_each_way(call, restarts, device, tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)
    cell = build("lstm", {}, 4, 20, torch.float64)
    assert differences(cell, call, rnnkit.unrollers["vendor"](restarts=restarts)) == []
