"""The card of a cell: its docstring, its sizes, and what its package has measured."""

import pytest
import torch

import rnnkit
from rnnkit.inspection.card import card_of
from rnnkit.inspection.parameter_formula import parameter_formula


@pytest.mark.parametrize(
    ("formula", "count"),
    [
        ("4DH + 4H^2 + 8H", lambda d, h: 4 * d * h + 4 * h * h + 8 * h),
        ("H^3 - D + 3", lambda d, h: h**3 - d + 3),
        ("1/2 H^2 + 3/2 H", lambda d, h: h * (h + 3) // 2),
        ("D^2", lambda d, h: d * d),
        ("0", lambda d, h: 0),
        ("", lambda d, h: d * d * h),
        ("", lambda d, h: 2**h),
    ],
    ids=["lstm", "negative", "halves", "one term", "none", "another term", "exponential"],
)
def test_parameters_are_counted_by_a_formula(formula, count):
    assert parameter_formula(count) == formula


def test_a_card_says_what_the_docstring_does():
    card = card_of(rnnkit.cells["lstm"])
    assert card.title == "Long short-term memory."
    assert card.equation.startswith("i = σ(")
    assert card.said["Paper"].startswith("Hochreiter & Schmidhuber")
    assert card.said["Initialisation"].startswith("Draw every parameter from U(-1/√H, 1/√H)")
    assert (card.gates, card.forget_gate, card.input_gate) == (("i", "f", "g", "o"), "f", "i")
    assert card.state == {"h": "H", "c": "H"}
    assert card.flops == 2 * 4 * 128 * (64 + 128)
    assert card.measured["structure"]["c from c"] == "diagonal"


def test_options_change_the_card_and_what_was_measured_is_not_told():
    card = card_of(rnnkit.cells["lstm"], lambda inputs, hidden: rnnkit.cells["lstm"](inputs, hidden, bias=False))
    assert card.formula == "4DH + 4H^2"
    assert card.parameters == 4 * 128 * (64 + 128)
    assert card.measured == {}


class Bare(rnnkit.Cell):
    name = "bare"

    def step(self, p, state):
        return torch.tanh(p + state[0]), (torch.tanh(p + state[0]),)


def test_a_cell_that_says_nothing_has_a_card_too():
    with pytest.raises(RuntimeError):  # D is not H
        card_of(Bare)
    card = card_of(Bare, lambda inputs, hidden: Bare(inputs, inputs))
    assert (card.equation, card.gates, card.formula, card.flops) == ("", (), "0", 0)
