"""Parameters of one element stand wherever a row may: the law holds of what is made of both."""

import pytest
import torch

from ....test_compiled_law import Call
from ..one_element import OF_ONE_ELEMENT, OfOneElement
from .test_law import held

pytestmark = pytest.mark.usefixtures("trusted", "poisoned")

FEW = {"minimum", "fmod", "pow", "floor_divide", "atan2", "of both"}


@pytest.mark.parametrize("shape", [(1,), ()], ids=str)
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in FEW else pytest.mark.slow) for name in OF_ONE_ELEMENT]
)
def test_the_law_holds(name, shape):
    torch.manual_seed(0)
    cell = OfOneElement(OF_ONE_ELEMENT[name], shape).double()
    assert held(cell, "sequence", [Call(3, 5, lengths=True, reset=True)]) == []
