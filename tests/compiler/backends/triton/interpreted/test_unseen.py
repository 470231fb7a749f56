"""Cells that nobody has seen: the law holds in kernels of each kind."""

import pytest
import torch

from rnnkit_compiler.backends.triton import cost

from ....test_compiled_law import Call
from ..unseen_cells import EVERY_UNSEEN_CELL, Rotor
from .test_law import held

pytestmark = pytest.mark.usefixtures("trusted", "poisoned")

CALLS = (Call(4, 3), Call(5, 3, lengths=True, reset=True, state=True), Call(3, 18, reset=True, gradients=False))
FEW = {("DeltaRule", "sequence")}
CASES = [
    pytest.param(cell, kind, marks=[] if (cell.__name__, kind) in FEW else pytest.mark.slow)
    for cell in EVERY_UNSEEN_CELL
    for kind in cost.KINDS
]


@pytest.mark.parametrize(("cell", "kind"), CASES)
def test_the_law_holds(cell, kind):
    torch.manual_seed(0)
    assert held(cell().double(), kind, CALLS) == []


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("cell", EVERY_UNSEEN_CELL)
def test_the_law_holds_in_low_precision(cell, dtype):
    if cell is Rotor and dtype.itemsize == 2:
        pytest.skip("torch has no complex numbers of 16 bits")
    torch.manual_seed(0)
    assert held(cell().to(dtype), "sequence", CALLS) == []
