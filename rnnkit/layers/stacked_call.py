"""A stack of layers in one call of its unroller, where that runs them so."""

from typing import TYPE_CHECKING

from torch import Tensor

from rnnkit.core.cell import State
from rnnkit.core.unroller import Unroller
from rnnkit.layers.sequence import Sequences

if TYPE_CHECKING:
    from rnnkit.layers.rnn import RNN


def is_plain_stack(layer: "RNN") -> bool:
    """Tell whether each of several layers is fed with the output of the one before, as it is, in training too."""
    return layer.num_layers > 1 and layer.directions == 1 and not (layer.residual or layer.dropout)


def in_one_call(
    layer: "RNN", xs: Tensor, states: list[State] | list[None], sequences: Sequences
) -> tuple[Tensor, list[State]] | None:
    """Return output and last states of all layers; None: each is run by itself."""
    unroller = layer.unroller
    if type(unroller).stacked is Unroller.stacked or not is_plain_stack(layer):
        return None
    if sequences.reset is not None or sequences.table is not None:
        return None
    cells = [layer.equipped(position) for position in range(layer.num_layers)]
    if any(layer.unroller_for(position, cell) is not unroller for position, cell in enumerate(cells)):
        return None
    return unroller.stacked(cells, xs, states, sequences.lengths)
