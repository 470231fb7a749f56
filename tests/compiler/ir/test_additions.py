"""Literals that the lowering adds stand for those alone that are the same."""

from types import SimpleNamespace

import pytest
import torch

from rnnkit_compiler.ir.additions import Additions


@pytest.mark.parametrize(
    ("other", "is_one"), [([0.0, 1.0], True), ([-0.0, 1.0], False), ([0.0, 2.0], False), ([0.0, 1.0, 1.0], False)]
)
def test_equal_literals_are_one_and_zeros_have_a_sign(other, is_one):
    recording = SimpleNamespace(shapes=[], dtypes=[], constants={})
    added = Additions(recording, SimpleNamespace(once=[]), torch.float64)
    first, second = (added.constant(torch.tensor(listed)) for listed in ([0.0, 1.0], other))
    assert (first == second) is is_one
