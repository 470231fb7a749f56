"""What is proven of a step's Jacobian holds on numbers, and is as much as there is to prove of simple steps."""

import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.core.state_domains import random_like
from rnnkit_compiler.structure.jacobian import Unproven, jacobian_of

from . import shaped_cells
from .shaped_cells import (
    Counter,
    CoupledAffine,
    DenseAffine,
    Descends,
    Detached,
    Heads,
    NonlinearInOnePart,
    Shifted,
    Sorted,
    Squared,
)

D, H = 3, 6

FORMS = {
    DenseAffine: (["dense"], ""),
    CoupledAffine: (["block-diagonal, blocks of 2"], ""),
    NonlinearInOnePart: (["diagonal"], "h enters sin"),
    Heads: (["block-diagonal, blocks of 3"], "h enters tanh"),
    Shifted: (["diagonal", "diagonal"], "h enters tanh"),
    Detached: (["diagonal"], "h is cut off from the gradient by detach"),
    Sorted: (["dense"], "h enters sort"),
    Squared: (["diagonal"], "what depends on h is multiplied by what does too, by mul"),
    Descends: (["diagonal"], "h enters mse_loss_backward"),
    Counter: (["diagonal", "diagonal"], ""),
}

ZEROS_OF = {"gru": "dense", "indrnn": "diagonal", "lru": "block-diagonal, blocks of 2", "irnn": "dense"}
LINEAR = {"lru", "mingru", "minlstm", "qrnn", "tgru", "tlstm", "trnn"}


def build(kind):
    with building(None, torch.float64):
        return kind(D, H)


def jacobians(cell, seed):
    """Return the new states by the old ones, and the same at other states, on random weights: (new, old) -> matrix."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in cell.parameters():  # none that is special at the start, as an identity
            parameter.add_(0.1 * torch.randn_like(parameter))
    p = rnnkit.time_slices(cell.project(torch.randn(1, 1, D, dtype=torch.float64)))[0]
    state = cell.initial_state(1)
    for _ in range(2):
        drawn = random_like(cell, state)
        yield torch.autograd.functional.jacobian(lambda *s: cell.step(p, s)[1], drawn)


def block_of(matrix, new, old):
    return matrix.reshape(new.numel(), old.numel())


def check_on_numbers(cell):
    """Hold every zero and every claim of linearity to the Jacobian itself."""
    found = jacobian_of(cell)
    assert not isinstance(found, Unproven), found
    state = cell.initial_state(1)
    one, other = jacobians(cell, 1)
    for k, new in enumerate(found.names):
        for j, old in enumerate(found.names):
            block = block_of(one[k][j], state[k], state[j])
            word = found.blocks[new, old]
            if word == "not":
                assert not block.any(), (new, old)
            if word == "diagonal":
                assert not (block - block.diag().diag()).any(), (new, old)
    for stage in found.stages:
        rows = [torch.cat([block_of(one[k][j], state[k], state[j]) for j in stage.states], 1) for k in stage.states]
        coupled = torch.zeros(len(torch.cat(rows)), len(torch.cat(rows)), dtype=torch.bool)
        for block in stage.blocks:
            coupled[block.unsqueeze(1), block] = True
        assert not torch.cat(rows)[~coupled].any()
        assert stage.recurs or not torch.cat(rows).any()
    if not found.nonlinearity and len(found.stages) == 1:
        for first, second in zip(one, other, strict=True):
            torch.testing.assert_close(first, second)


@pytest.mark.one_in(6)
@pytest.mark.parametrize("name", rnnkit.cells)
def test_what_is_proven_of_a_cell_holds_on_numbers(name):
    check_on_numbers(build(rnnkit.cells[name]))


@pytest.mark.parametrize("kind", [kind for kind in FORMS if kind is not Counter], ids=lambda kind: kind.__name__)
def test_what_is_proven_of_a_third_party_s_cell_holds_on_numbers(kind):
    check_on_numbers(build(kind))


@pytest.mark.parametrize("kind", FORMS, ids=lambda kind: kind.__name__)
def test_the_form_and_what_is_not_linear_are_named(kind):
    found = jacobian_of(build(kind))
    assert ([stage.form for stage in found.stages], found.nonlinearity) == FORMS[kind]


def test_every_shaped_cell_is_looked_at():
    kinds = [kind for kind in vars(shaped_cells).values() if isinstance(kind, type) and issubclass(kind, rnnkit.Cell)]
    assert set(kinds) - {shaped_cells.Base} == set(FORMS)


@pytest.mark.parametrize("name", ZEROS_OF)
def test_forms_of_the_catalogue(name):
    (stage,) = jacobian_of(build(rnnkit.cells[name])).stages
    assert stage.form == ZEROS_OF[name]


@pytest.mark.slow
def test_the_linear_ones_of_the_catalogue():
    cells = {name: build(kind) for name, kind in rnnkit.cells.items()}
    assert {name for name, cell in cells.items() if not jacobian_of(cell).nonlinearity} == LINEAR


def test_a_state_that_others_are_made_of_comes_first():
    found = jacobian_of(build(Shifted))
    assert [stage.states for stage in found.stages] == [(0,), (1,)]
    assert [bool(stage.reason) for stage in found.stages] == [True, False]
    assert list(found.lines()) == [
        "state's Jacobian, h: diagonal, not linear: h enters tanh",
        "state's Jacobian, slow: diagonal, linear, given h",
    ]


def test_a_state_of_the_input_alone_does_not_recur():
    found = jacobian_of(build(rnnkit.cells["qrnn"]))
    assert [(stage.form, stage.recurs) for stage in found.stages] == [("zero", False), ("diagonal", True)]


def test_whole_numbers_are_named():
    assert jacobian_of(build(Counter)).counts == ("t",)


def test_what_cannot_be_recorded_is_said():
    class Reading(shaped_cells.Base):
        def step(self, p, state):
            (h,) = state
            h = h + p if h.sum() > 0 else p
            return h, (h,)

    found = jacobian_of(build(Reading))
    assert isinstance(found, Unproven)
    assert "reads the values of a tensor" in found.reason
    assert not found.of_the_call
