"""Rows of which some elements are equal, in interpreted kernels, where all elements are compared with each."""

import pytest
import torch

from rnnkit.core.cell import building

from ....test_orders import Loop, Ordered, found_by, rows
from .test_law import triton

pytestmark = pytest.mark.usefixtures("trusted", "poisoned")

SLOW = pytest.mark.slow
CASES = [
    ("stable sort", True, 1),
    pytest.param("stable sort", False, 3, marks=SLOW),
    pytest.param("median", True, 1, marks=SLOW),
    pytest.param("median", True, 3, marks=SLOW),
]


@pytest.mark.parametrize(("operation", "falls", "beside"), CASES)
def test_of_equal_elements_the_first_is_taken_where_torch_takes_it(operation, falls, beside):
    with building(None, torch.float64):
        cell = Ordered(5 * beside, 1, operation, 1, falls, beside)
    assert triton("sequence").applies(cell), triton("sequence").refusal(cell)
    xs = rows(3, 20, 5 * beside, torch.float64)
    results = [found_by(unroller, cell, xs) for unroller in (triton("sequence"), Loop())]
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.slow
@pytest.mark.parametrize("operation", ["topk", "topk in any order", "kthvalue", "sort"])
def test_of_elements_that_are_all_equal_those_that_torch_takes_are_taken(operation):
    with building(None, torch.float64):
        cell = Ordered(20, 1, operation, 3, True, 1)
    xs = torch.zeros(2, 3, 20, dtype=torch.float64)
    results = [found_by(unroller, cell, xs) for unroller in (triton("sequence"), Loop())]
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
