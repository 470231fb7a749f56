"""Weights of keras.layers: what `get_weights()` gives and `set_weights()` takes.

`[kernel (D, G*H), recurrent_kernel (H, G*H), bias (G*H,)]`, gates in the columns: LSTM i, f, c, o; GRU z, r, h.

There is one bias for torch's two, except in a GRU with `reset_after=True`, the default: (2, 3H). With `use_bias=False`
there is none.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit.errors import UsageError
from rnnkit.interop.arrays import check_kind, take
from rnnkit.interop.gates import gate_orders, reorder
from rnnkit.interop.weights import Weights, both_biases, check_weights, summed_bias, with_one_bias


def to_keras(cell: str, weights: Weights, *, reset_after: bool = True) -> list[Tensor]:
    """Return a cell's weights as `set_weights()` takes them.

    Args:
        cell: "lstm", "gru" or "rnn".
        weights: of one cell, under torch's names.
        reset_after: as the GRU is built, here and there.

    Raises:
        UsageError: Keras has no such cell, or a weight has no place there.
    """
    own, theirs = gate_orders("keras", cell)
    check_weights(cell, weights)
    arrays = [reorder(weights[name].t(), own, theirs, dim=1) for name in ("weight_ih", "weight_hh")]
    if "bias_ih" not in weights:
        return arrays
    bias = torch.stack(both_biases(weights)) if cell == "gru" and reset_after else summed_bias(weights)
    return [*arrays, reorder(bias, own, theirs, dim=-1)]


def from_keras(cell: str, arrays: Sequence[Any], *, reset_after: bool = True) -> dict[str, Tensor]:
    """Return a cell's weights from what `get_weights()` gives; a single bias becomes bias_ih, and bias_hh is zero.

    Args:
        cell: "lstm", "gru" or "rnn".
        arrays: kernel, recurrent_kernel and, with `use_bias`, bias.
        reset_after: as the GRU is built, here and there.

    Raises:
        UsageError: Keras has no such cell, or these are not its weights.
    """
    own, theirs = gate_orders("keras", cell)
    check_kind("keras", arrays, Sequence, "a list of arrays")
    if len(arrays) not in (2, 3):
        raise UsageError(
            f"keras: {len(arrays)} arrays given; one direction has kernel, recurrent_kernel and, with use_bias, bias"
        )
    hidden = take("keras: recurrent_kernel", arrays[1], None, None).shape[0]
    columns = len(own) * hidden
    kernel = take("keras: kernel", arrays[0], None, columns)
    recurrent_kernel = take("keras: recurrent_kernel", arrays[1], hidden, columns)
    weight_ih, weight_hh = (reorder(part.t(), theirs, own) for part in (kernel, recurrent_kernel))
    if len(arrays) == 2:
        return {"weight_ih": weight_ih, "weight_hh": weight_hh}
    if cell == "gru" and reset_after:
        bias = take("keras: bias of a GRU with reset_after=True", arrays[2], 2, columns)
        bias_ih, bias_hh = (reorder(part, theirs, own) for part in bias)
        return {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias_ih, "bias_hh": bias_hh}
    label = "keras: bias of a GRU with reset_after=False" if cell == "gru" else "keras: bias"
    return with_one_bias(weight_ih, weight_hh, reorder(take(label, arrays[2], columns), theirs, own))
