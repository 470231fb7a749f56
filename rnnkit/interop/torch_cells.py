"""Weights of torch.nn: a state dict of LSTMCell, GRUCell or RNNCell.

The names, shapes and order are rnnkit's own, so only what torch lacks is refused. A whole layer needs none of this:
`layer.load_state_dict(torch_layer.state_dict())` works, and so does the reverse.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from rnnkit.interop.arrays import check_kind, to_tensor
from rnnkit.interop.gates import gate_orders
from rnnkit.interop.weights import Weights, check_reset, check_weights


def to_torch(cell: str, weights: Weights, *, reset_after: bool = True) -> dict[str, Tensor]:
    """Return a cell's weights as a state dict of torch's cell, or, with weight_hr, of one of torch.nn.LSTM's layers.

    Args:
        cell: "lstm", "gru" or "rnn".
        weights: of one cell, under torch's names.
        reset_after: as the GRU is built; torch resets after the product.

    Raises:
        UsageError: torch has no such cell, or a weight has no place there.
    """
    gate_orders("torch", cell)
    check_reset("torch", cell, reset_after, reset_after=True)
    check_weights(cell, weights, projected=cell == "lstm")
    return {name: tensor.clone() for name, tensor in weights.items()}


def from_torch(cell: str, weights: Mapping[str, Any], *, reset_after: bool = True) -> dict[str, Tensor]:
    """Return a cell's weights from a state dict of torch's cell: the reverse of `to_torch`.

    Args:
        cell: "lstm", "gru" or "rnn".
        weights: of one cell, under torch's names.
        reset_after: as the GRU is built; torch resets after the product.

    Raises:
        UsageError: torch has no such cell, or these are not its weights.
    """
    check_kind("torch", weights, Mapping, "a state dict")
    tensors = {name: to_tensor(f"torch: {name}", array) for name, array in weights.items()}
    return to_torch(cell, tensors, reset_after=reset_after)
