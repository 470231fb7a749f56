"""A cell whose step writes is run by the loop, which keeps that; it is told once, and recorded no second time."""

import logging

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler.compiled import Compiled

XS = torch.randn(4, 2, 3, generator=torch.Generator().manual_seed(1))


def writing(write):
    """Return a class of its own, of which nothing has been said, whose step writes so."""

    class Noting(rnnkit.Cell):
        name = "noting"

        def __init__(self, input_size, hidden_size):
            super().__init__(input_size, hidden_size)
            self.read = nn.Linear(input_size + hidden_size, hidden_size)
            self.calls, self.last, self.scale, self.log = 0, None, None, []
            self.register_buffer("mean", torch.zeros(hidden_size))

        def step(self, x, state):
            (h,) = state
            h = torch.tanh(self.read(torch.cat([x, h], 1)))
            write(self, h)
            return h, (h,)

    return Noting


SEEN = None


def write_global(cell, h):
    global SEEN
    SEEN = h.detach()


WRITES = {
    "Noting.calls": lambda cell, h: setattr(cell, "calls", cell.calls + 1),
    "Noting.last": lambda cell, h: setattr(cell, "last", h.detach() if cell.last is None else h.detach() + cell.last),
    "Noting.log": lambda cell, h: cell.log.append(h.detach()),
    "Noting.mean": lambda cell, h: setattr(cell, "mean", 0.9 * cell.mean + h.detach().mean(0)),
    "Noting.read.calls": lambda cell, h: setattr(cell.read, "calls", getattr(cell.read, "calls", 0) + 1),
    "beside the cell": write_global,
}


@pytest.mark.parametrize("said", WRITES)
def test_the_attribute_is_told_once_and_nothing_is_recorded_again(said, recorded, caplog):
    kind = writing(WRITES[said])
    with caplog.at_level(logging.WARNING, "rnnkit"):
        for cell in (kind(3, 4), kind(3, 4)):
            for _ in range(4):
                Compiled()(cell, XS)
    (record,) = caplog.records
    assert record.getMessage() == (
        f"cell 'noting' runs in the loop: each step writes {said}, which the loop keeps and a kernel would not; what "
        "is to be seen outside is given out with the output, what later steps read is kept in the state"
    )
    assert len(recorded) == 1
    explained = Compiled().explain(cell)
    named = said.removeprefix("Noting.").replace("beside the cell", "what is beside it")
    assert explained == f"backend: loop\nstep() changes the cell ({named}); the loop keeps that"


def test_another_cell_of_the_class_that_differs_otherwise_is_looked_at_for_itself():
    def write(cell, h):
        if cell.scale is None:
            cell.calls += 1

    kind = writing(write)
    one, other = kind(3, 4), kind(3, 4)
    other.scale = 1.0
    Compiled()(one, XS)
    assert Compiled().backend_of(one) == "loop"
    assert Compiled().backend_of(other) != "loop"


def test_what_is_set_once_is_neither_told_nor_in_the_way_of_a_kernel(caplog):
    kind = writing(lambda cell, h: setattr(cell, "scale", h.shape[1] ** -0.5))
    cell = kind(3, 4)
    assert "step() changes the cell (scale) the first time; the loop keeps that" in Compiled().explain(cell)
    with caplog.at_level(logging.WARNING, "rnnkit"):
        Compiled()(cell, XS)
    assert cell.scale == 0.5
    assert not caplog.records
    assert Compiled().backend_of(cell) != "loop"
