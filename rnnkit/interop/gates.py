"""The order of the gates in each format, and how to get from one to another."""

from collections.abc import Mapping

import torch
from torch import Tensor

from rnnkit.errors import ShapeError, UsageError

OWN = {"lstm": "ifgo", "peephole": "ifgo", "gru": "rzn", "rnn": "h"}
"""The cells that can be converted, with the gates in the rows of rnnkit's weights, which are torch's."""

ORDERS = {
    "torch": {"lstm": "ifgo", "gru": "rzn", "rnn": "h"},
    "keras": {"lstm": "ifgo", "gru": "zrn", "rnn": "h"},
    "flax": {"lstm": "ifgo", "gru": "rzn", "rnn": "h"},
    "nnx": {"lstm": "ifgo", "gru": "rzn", "rnn": "h"},
    "haiku": {"lstm": "igfo", "gru": "zrn", "rnn": "h"},
    "onnx": {"lstm": "iofg", "peephole": "iofg", "gru": "zrn", "rnn": "h"},
}
"""The gates in the order of each format, in torch's letters: the candidate, which others call c, h or a, is g or n."""


def gate_orders(format: str, cell: str) -> tuple[str, str]:
    """Return the gates of a cell in rnnkit's order and in the format's.

    Raises:
        UsageError: the format has no such cell.
    """
    orders = ORDERS[format]
    if cell not in orders:
        others = [name for name, order in ORDERS.items() if cell in order]
        elsewhere = f"only {', '.join(others)} can take it" if others else "nor has any other format"
        raise UsageError(
            f"format {format!r} has no counterpart of cell {cell!r}, only of {', '.join(orders)}; {elsewhere}"
        )
    return OWN[cell], orders[cell]


def split(tensor: Tensor, order: str, dim: int = 0) -> dict[str, Tensor]:
    """Take a tensor apart into equal blocks along `dim`, one for each gate: views, by letter."""
    size = tensor.shape[dim]
    if not size or size % len(order):
        raise ShapeError(
            f"a tensor of shape {tuple(tensor.shape)} holds no {len(order)} equal gates along dimension {dim}, "
            f"which has size {size}"
        )
    return dict(zip(order, tensor.chunk(len(order), dim), strict=True))


def join(gates: Mapping[str, Tensor], order: str, dim: int = 0) -> Tensor:
    """Put the blocks of the gates one after another along `dim`: a new tensor."""
    return torch.cat([gates[gate] for gate in order], dim)


def reorder(tensor: Tensor, source: str, target: str, dim: int = 0) -> Tensor:
    """Permute the gates along `dim` from one order to another, as a copy.

    Args:
        tensor: as many equal blocks along `dim` as there are gates.
        source: the gates in the order of `tensor`, a letter each: "ifgo".
        target: the same letters in the order wanted: "igfo".
        dim: along which the gates lie: 0 for rows.

    Raises:
        UsageError: the orders do not hold the same letters once each.
        ShapeError: the blocks would not be equal.
    """
    if sorted(source) != sorted(target) or len(set(source)) != len(source) or not source:
        raise UsageError(f"gates {source!r} cannot become {target!r}; give the same letters, each once")
    return join(split(tensor, source, dim), target, dim)
