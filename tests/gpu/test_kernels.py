"""Kernels of Triton on a device: the law by each kind, low precision, and what the trial there says.

On the CPU they are interpreted, where TRITON_INTERPRET=1 is in the environment.
"""

import copy
import logging

import pytest
import torch

import rnnkit
from rnnkit_compiler.backends.triton import availability, trust
from rnnkit_compiler.backends.triton.backend import Triton

from ..compiler.test_compiled_law import Call, Compiled, Loop, build, differences, draw, errors, results, scales
from ..core_cells import CORE_CELLS
from .test_auto import INNER

KINDS = Triton.kernels
LOW = (torch.bfloat16, torch.float16)
CALLS = (Call(4, 3), Call(5, 18, lengths=True, reset=True, state=True), Call(3, 3, gradients=False))
ON_CPU = {("lstm", "sequence"), ("peephole", "steps"), ("rnn", "grid")}
"""Those that are interpreted: the others are in the suite of interpreted kernels."""


@pytest.fixture(autouse=True)
def kernels(there):
    """Skip where there are no kernels, saying why."""
    if reason := availability.obstacle_on(there):
        pytest.skip(reason)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(CORE_CELLS, key=lambda name: name != "lstm"))  # the first is tried on CPUs
def test_the_law(name, kind, dtype, device):
    if device.type == "cpu" and ((name, kind) not in ON_CPU or dtype == torch.float32):
        pytest.skip("interpreted elsewhere")
    cell, unroller = build(name, INNER.get(name, {}), 4, 20, dtype), Compiled(backend="triton", kernel=kind)
    assert unroller.applies(cell), unroller.refusal(cell)
    assert [line for call in CALLS for line in differences(cell, call, unroller)] == []


@pytest.mark.parametrize("dtype", LOW, ids=str)
@pytest.mark.parametrize("name", ["lstm", "peephole"])
def test_low_precision_errs_at_most_twice_as_the_loop_does(name, dtype, device):
    cell, call = build(name, {}, 4, 20, torch.float32).to(dtype), Call(4, 5, lengths=True, reset=True)
    problem = draw(cell, call, dtype)
    truth = results(Loop(), copy.deepcopy(cell).double(), problem.to(torch.float64), call)
    unrollers = (Loop(), Compiled(backend="triton"))
    own, found = (errors(results(one, cell, problem, call), truth) for one in unrollers)
    floor = {name: torch.finfo(dtype).eps * scale for name, scale in scales(truth, 0.1).items()}
    assert {name: error for name, error in found.items() if not error <= 2 * max(own[name], floor[name])} == {}


def test_the_trial_on_this_device_finds_no_fault(device, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path))
    tmp_path.chmod(0o700)
    layer = rnnkit.RNN("lstm", 4, 21, unroller=Compiled(backend="triton"))
    with caplog.at_level(logging.WARNING, "rnnkit"):
        layer(torch.randn(5, 3, 4))[0].sum().backward()
    assert [record.getMessage() for record in caplog.records] == []
    assert [verdict.reason for verdict in trust.VERDICTS.all()] == [""]
    told = layer.unroller.explain(layer.equipped(0))
    assert "compared with torch's operations on this device: equal within rounding" in told
