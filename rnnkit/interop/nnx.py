"""Weights of flax.nnx's cells: a dict with one dense layer for the input and one for the state.

dense_i and dense_h hold kernels (in, G*H), gates in the columns. OptimizedLSTMCell: i, f, g, o, bias at dense_h.
GRUCell: r, z, n, bias at dense_i, so that torch's b_hn has no place. SimpleCell: bias at dense_i.

LSTMCell has a dense layer for each gate, as flax.linen's, with `if_` for `if`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor

from rnnkit.errors import UsageError
from rnnkit.interop.arrays import check_kind, take_leaf
from rnnkit.interop.flax import bias_side, from_flax
from rnnkit.interop.gates import gate_orders, reorder, split
from rnnkit.interop.weights import Weights, both_biases, check_reset, check_weights, summed_bias, with_one_bias


def to_nnx(cell: str, weights: Weights, *, reset_after: bool = True) -> dict[str, dict[str, Tensor]]:
    """Return the parameters of a flax.nnx cell, OptimizedLSTMCell for "lstm"; no bias becomes zeros.

    Args:
        cell: "lstm", "gru" or "rnn".
        weights: of one cell, under torch's names.
        reset_after: as the GRU is built; nnx resets after the product.

    Raises:
        UsageError: nnx has no such cell, or a weight has no place there.
    """
    own, theirs = gate_orders("nnx", cell)
    check_reset("nnx", cell, reset_after, reset_after=True)
    check_weights(cell, weights)
    if cell == "gru" and split(both_biases(weights)[1], own)["n"].any():
        raise UsageError("the GRU of format 'nnx' has no place for b_hn, which is not zero; use format 'flax' (linen)")
    params = {f"dense_{side}": {"kernel": reorder(weights[f"weight_{side}h"].t(), own, theirs, dim=1)} for side in "ih"}
    params[f"dense_{bias_side(cell)}"]["bias"] = reorder(summed_bias(weights), own, theirs)
    return params


def from_nnx(cell: str, params: Mapping[str, Any], *, reset_after: bool = True) -> dict[str, Tensor]:
    """Return a cell's weights from the parameters of a flax.nnx cell; the bias becomes bias_ih, and bias_hh is zero.

    Args:
        cell: "lstm", "gru" or "rnn".
        params: of one cell, `nnx.to_pure_dict(nnx.state(cell, nnx.Param))`.
        reset_after: as the GRU is built; nnx resets after the product.

    Raises:
        UsageError: nnx has no such cell, or these are not its parameters.
    """
    own, theirs = gate_orders("nnx", cell)
    check_reset("nnx", cell, reset_after, reset_after=True)
    check_kind("nnx", params, Mapping, "a dict of dense layers")
    if cell == "lstm" and "if_" in params:
        return from_flax(cell, {name.removesuffix("_"): leaves for name, leaves in params.items()})
    leaf = partial(take_leaf, "nnx", params)
    hidden = leaf("dense_h", "kernel", None, None).shape[0]
    columns = len(own) * hidden
    kernels = leaf("dense_i", "kernel", None, columns), leaf("dense_h", "kernel", hidden, columns)
    weight_ih, weight_hh = (reorder(kernel.t(), theirs, own) for kernel in kernels)
    bias = leaf(f"dense_{bias_side(cell)}", "bias", columns)
    return with_one_bias(weight_ih, weight_hh, reorder(bias, theirs, own))
