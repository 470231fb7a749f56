"""Cells that nobody has seen: the law holds in kernels of each kind."""

import pytest
import torch

from rnnkit_compiler.backends.triton import cost

from ....test_compiled_law import Call
from ..invented_cells import CELLS, NOT_IN_16_BITS, Sorted
from ..unseen_cells import Ordered
from .test_law import held

pytestmark = pytest.mark.usefixtures("trusted", "poisoned")

CALLS = (Call(4, 3), Call(5, 3, lengths=True, reset=True, state=True), Call(3, 18, reset=True, gradients=False))
NAN_IN_THE_LOOP = (Ordered, Sorted)
"""Their second derivatives are not finite by torch's own operations."""

FEW = {("DeltaRule", "sequence"), ("Ranked", "sequence")}
CASES = [
    pytest.param(cell, kind, marks=[] if (cell.__name__, kind) in FEW else pytest.mark.slow)
    for cell in CELLS
    for kind in cost.KINDS
]


@pytest.mark.parametrize(("cell", "kind"), CASES)
def test_the_law_holds(cell, kind):
    torch.manual_seed(0)
    assert held(cell().double(), kind, CALLS) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", cost.KINDS)
@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell not in NAN_IN_THE_LOOP])
def test_the_law_holds_of_second_derivatives(cell, kind):
    torch.manual_seed(0)
    assert held(cell().double(), kind, [Call(5, 3, lengths=True, reset=True, state=True, order=2)]) == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_the_law_holds_in_low_precision(cell, dtype):
    if cell in NOT_IN_16_BITS and dtype.itemsize == 2:
        pytest.skip("torch has it in higher precision alone")
    torch.manual_seed(0)
    assert held(cell().to(dtype), "sequence", CALLS) == []
