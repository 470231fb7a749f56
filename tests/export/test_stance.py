"""What torch's compiler is told to do elsewhere in the process is nothing to an export."""

import pytest
import torch

import rnnkit
from rnnkit.export.scan import Scan


@pytest.mark.filterwarnings("ignore")  # torch's own, as it traces
def test_an_export_where_nothing_is_to_be_compiled():
    layer = rnnkit.RNN("gru", 3, 4, unroller="loop").eval()
    layer.unroller = Scan()
    xs, steps, rows = torch.randn(5, 3, 3), torch.export.Dim("T", min=2), torch.export.Dim("B", min=2)
    with torch.compiler.set_stance("force_eager"):
        program = torch.export.export(layer, (xs,), dynamic_shapes=({0: steps, 1: rows},), strict=False)
    layer.unroller = "loop"
    torch.testing.assert_close(program.module()(xs)[0], layer(xs)[0])
