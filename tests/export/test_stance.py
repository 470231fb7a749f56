"""An export under a stance of torch's compiler in which it takes no step apart."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.export.scan import Scan


def test_it_is_said_that_the_compiler_is_held_back():
    layer = rnnkit.RNN("gru", 3, 4, unroller="loop").eval()
    layer.unroller = Scan()
    dims = ({0: torch.export.Dim("T", min=2), 1: torch.export.Dim("B", min=2)},)
    said = r"cell 'gru' .* cannot be exported: torch's compiler is kept .* torch.compiler.set_stance\('force_eager'\)"
    with torch.compiler.set_stance("force_eager"), pytest.raises(UsageError, match=said):
        torch.export.export(layer, (torch.randn(5, 3, 3),), dynamic_shapes=dims, strict=False)
