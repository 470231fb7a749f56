"""The first use of a cell, ahead of time: whatever its unroller makes and keeps on disk is then there."""

import torch

from rnnkit.core.unroller import Unroller
from rnnkit.layers.rnn import RNN
from rnnkit.layers.unroller_report import running
from rnnkit.plugin.cell_spec import CellLike

SIZE = 8
"""Of the layer that is tried: what is kept serves all sizes."""


def use_first(
    cell: CellLike, unroller: str | type[Unroller] | Unroller = "auto", device: torch.device | str = "cpu"
) -> str:
    """Run a small layer on a device forward and back, and once without gradients; return what ran it.

    Raises:
        RnnkitError: as the layer does.
    """
    layer = RNN(cell, SIZE, SIZE, unroller=unroller, device=device)
    xs = torch.zeros(2, 2, SIZE, device=device)
    layer(xs)[0].sum().backward()
    with torch.no_grad():
        layer(xs)
    told = running([layer], "auto")
    return f"{told['unroller'][0]}, {told['runs'][0]}"
