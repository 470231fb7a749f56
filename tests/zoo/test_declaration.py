"""A class declares its parameters: their shapes in words, how they start, and by which option they are there."""

from typing import Annotated

import pytest
import torch
from torch import nn

from rnnkit_zoo._declaration import declarations, sizes
from rnnkit_zoo._declared import Declared


class Below(Declared):
    scale: Annotated[nn.Parameter, "1", 7]
    shift: Annotated[nn.Parameter | None, "H", "shifted", 2]

    def __init__(self, input_size, hidden_size, *, order=5, shifted=True):
        super().__init__(input_size, hidden_size)
        self.order, self.shifted = order, shifted
        self.make_parameters()

    def step(self, p, state):
        (h,) = state
        return h, (h * self.scale,)


class Above(Below):
    weight: Annotated[nn.Parameter, "2H + order, D - 1"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [("H", (8,)), ("3H, D", (24, 4)), ("D - 1", (3,)), ("H + order, 2", (13, 2)), ("1 + H", (9,))],
)
def test_sizes_are_read_from_words(words, expected):
    assert sizes(words, Above(4, 8)) == expected


def test_parameters_are_made_as_they_are_declared_those_of_the_class_itself_first():
    cell = Above(4, 8)
    assert list(declarations(Above)) == ["weight", "scale", "shift"]
    assert {name: tuple(tensor.shape) for name, tensor in cell.named_parameters()} == {
        "weight": (21, 3), "scale": (1,), "shift": (8,)
    }  # fmt: skip
    assert cell.scale.item() == 7
    assert torch.equal(cell.shift, torch.full((8,), 2.0))
    assert cell.notes()["Initialisation"] == "weight: uniform within ±1/√H; scale: 7; shift: 2"


def test_an_option_leaves_a_parameter_out():
    assert Above(4, 8, shifted=False).shift is None
