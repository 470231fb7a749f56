"""A cell without parameters has the dtype of its buffers."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_it_runs_natively(dtype):
    with building(None, dtype):
        cell = rnnkit.cells["echostate"](3, 4)
    assert list(cell.parameters()) == []
    unroller = rnnkit.unrollers["compiled"]()
    assert unroller.backend_of(cell) == "cpp", unroller.explain(cell)
    assert unroller.applies(cell)
