"""The unit that each number of a parameter acts on, against the gradient of each unit."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit_compiler.structure.jacobian import Unproven, acting_on
from rnnkit_compiler.structure.owners import NOBODY, SEVERAL
from rnnkit_compiler.trace.example import example

from .shaped_cells import CoupledAffine, DenseAffine, Heads, Sorted

D, H = 3, 6


def reached(cell, path):
    """Return (H, P): whether a number of a parameter acts on a unit of any state, on random numbers."""
    torch.manual_seed(0)
    xs = torch.randn(1, 2, D, dtype=torch.float64)
    p = rnnkit.time_slices(cell.project(xs))[0]
    state = tuple(torch.rand_like(tensor) + 0.1 for tensor in cell.initial_state(2))
    parameter = dict(cell.named_parameters())[path]
    total = torch.zeros(H, parameter.numel(), dtype=torch.bool)
    for new in cell.step(p, state)[1]:
        for unit in range(H):
            (found,) = torch.autograd.grad(
                new[:, unit].sum(), [parameter], retain_graph=True, allow_unused=True, materialize_grads=True
            )
            total[unit] |= found.flatten() != 0
    return total


@pytest.mark.parametrize(
    "kind",
    [
        *(rnnkit.cells[name] for name in ("br", "elstm", "gru", "lru", "minlstm", "sru", "unicornn")),
        CoupledAffine,
        DenseAffine,
        Heads,
        Sorted,
    ],
    ids=lambda kind: kind.__name__,
)
def test_a_parameter_acts_on_no_other_unit(kind):
    with building(None, torch.float64):
        cell = kind(D, H)
    found = acting_on(cell, *example(cell))
    assert not isinstance(found, Unproven), found
    for path, _ in cell.named_parameters():
        units, acts = found[path].flatten(), reached(cell, path)
        for number, unit in enumerate(units.tolist()):
            others = [other for other in range(H) if other != unit]
            assert unit == SEVERAL or not acts[others, number].any(), path
            assert unit != NOBODY or not acts[:, number].any(), path


def test_rows_of_gates_belong_to_their_units():
    cell = rnnkit.cells["minlstm"](D, H)
    found = acting_on(cell, *example(cell))
    assert found["linear.bias"].tolist() == [*range(H)] * 3
    assert found["linear.weight"][:, 0].tolist() == [*range(H)] * 3


def test_what_reads_the_state_out_acts_on_none():
    cell = rnnkit.cells["lru"](D, H)
    assert set(acting_on(cell, *example(cell))["weight_out"].flatten().tolist()) == {NOBODY}
