"""The law over the product of every registered cell and unroller: a new one is tested by being registered.

Their gradients are held to differences in tests/matrix.
"""

from importlib.metadata import entry_points
from itertools import product

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.testing import differences

from .core_cells import CORE_CELLS

PAIRS = [(cell, unroller) for cell in rnnkit.cells for unroller in rnnkit.unrollers]

# Of the catalogue `make test` tries some, each through one unroller; a kernel takes a second or two to compile.
CATALOGUE = [cell for cell in rnnkit.cells if cell not in CORE_CELLS]
LINEAR = {"lru", "mingru", "minlstm", "qrnn", "tgru", "tlstm", "trnn"}
"""What `scan` runs: cells whose new state is linear in the old one; others it refuses."""

FEW = {
    *((cell, "checkpoint") for cell in CATALOGUE[::8]),
    *((cell, "compiled") for cell in CATALOGUE[1::15]),
    *((cell, "newton") for cell in ("unicornn", "mlstm")),
    *((cell, "rtrl") for cell in ("br", "lru")),
    *((cell, "scan") for cell in ("lru", "qrnn")),
}


def is_for_every_day(cell, unroller):
    return cell in (CORE_CELLS[:3] if unroller in ("newton", "rtrl", "scan") else CORE_CELLS)


every_pair = pytest.mark.parametrize(
    ("cell", "unroller"),
    [pair if pair in FEW or is_for_every_day(*pair) else pytest.param(*pair, marks=pytest.mark.slow) for pair in PAIRS],
)

# Unrollers that only run the loop's own operations again owe its bits; others are allowed rounding.
SAME_BITS = {"loop", "checkpoint"}
ROUNDING = {torch.float64: 1e-10, torch.float32: 1e-4}

# Pairs that an unroller declines by `applies`: each has to be declared here.
NO_KERNEL = {
    "convgru": "a convolution is no product of a row and a matrix",
    "convlstm": "likewise",
    "mclstm": "its matrix is another in each row, a softmax over each column",
    "mlstm": "its state is a matrix, to which an outer product is added",
}

REFUSED = {(cell, "scan") for cell in rnnkit.cells if cell not in LINEAR}
DECLINED = {(cell, "compiled") for cell in NO_KERNEL} | REFUSED

STEPS = (1, 2, 5, 16, 23)
MASKS = ("all steps", "lengths", "reset", "lengths and reset")


def declared(noun):
    """Return the names that the installed entry points offer, read without the registry."""
    modules = [entry.load() for entry in entry_points(group="rnnkit")]
    return {kind.name for module in modules for kind in getattr(module, f"rnnkit_{noun}s", list)()}


def masks_for(kind, steps, batch):
    lengths = torch.randint(1, steps + 1, (batch,)) if "lengths" in kind else None
    reset = torch.rand(steps, batch) < 0.3 if "reset" in kind else None
    return {"lengths": lengths, "reset": reset}


def refuses(cell, unroller):
    """Tell whether a pair is refused, and hold it to saying so."""
    if (cell, unroller) not in REFUSED:
        return False
    with pytest.raises(UsageError, match=f"unroller '{unroller}': cell '.*' is not linear in its state"):
        rnnkit.unrollers[unroller]()(build(cell, torch.float64), torch.randn(2, 1, 3, dtype=torch.float64))
    return True


def build(name, dtype):
    with building(None, dtype):
        return rnnkit.cells[name](3, 4)


def test_nothing_is_missing_from_the_product():
    tested = {
        tuple(getattr(argument, "values", argument))
        for mark in test_the_law.pytestmark
        if mark.args[0] == ("cell", "unroller")
        for argument in mark.args[1]
    }
    assert tested == set(product(declared("cell"), declared("unroller")))
    assert len(tested) >= 5 * 2


@every_pair
def test_unrollers_apply_unless_declared(cell, unroller):
    applies = rnnkit.unrollers[unroller]().applies(build(cell, torch.float64))
    assert applies == ((cell, unroller) not in DECLINED)


@pytest.mark.covering(2)
@pytest.mark.parametrize(
    ("dtype", "masks"),
    [
        *product([torch.float64], MASKS),
        *(pytest.param(torch.float32, masks, marks=pytest.mark.slow) for masks in MASKS),
    ],
    ids=str,
)
@every_pair
def test_the_law(cell, unroller, dtype, masks):
    if refuses(cell, unroller):
        return
    torch.manual_seed(0)
    subject = build(cell, dtype)
    through = rnnkit.unrollers[unroller]()
    tolerance = 0.0 if unroller in SAME_BITS else ROUNDING[dtype]
    for steps, batch in product(STEPS, (1, 3)):
        wrong = differences(through, subject, steps, batch, tolerance, **masks_for(masks, steps, batch))
        assert list(wrong) == []
