"""Weights of flax.linen's cells: a dict with a dense layer for each gate.

LSTMCell and OptimizedLSTMCell: ii, if, ig, io (kernel) from the input, hi, hf, hg, ho (kernel, bias) from the state.
GRUCell: ir, iz, in (kernel, bias), hr, hz (kernel), hn (kernel, bias). SimpleCell: i (kernel, bias), h (kernel).

A kernel is (in, out). There is always a bias, one for torch's two, except for the GRU's n, which has both.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnkit.interop.arrays import take_leaf
from rnnkit.interop.gates import gate_orders, join, split
from rnnkit.interop.weights import Weights, both_biases, check_reset, check_weights, summed_bias


def to_flax(cell: str, weights: Weights, *, reset_after: bool = True) -> dict[str, dict[str, Tensor]]:
    """Return a cell's weights as the parameters of a flax.linen cell; absent biases become zeros.

    Args:
        cell: "lstm", "gru" or "rnn".
        weights: of one cell, under torch's names.
        reset_after: as the GRU is built; Flax resets after the product.

    Raises:
        UsageError: Flax has no such cell, or a weight has no place there.
    """
    _, gates = gate_orders("flax", cell)
    check_reset("flax", cell, reset_after, reset_after=True)
    check_weights(cell, weights)
    params = {
        dense(side, gate): {"kernel": rows.t().clone()}
        for side in "ih"
        for gate, rows in split(weights[f"weight_{side}h"], gates).items()
    }
    for gate, bias in split(summed_bias(weights), gates).items():
        params[dense(bias_side(cell), gate)]["bias"] = bias.clone()
    if cell == "gru":
        for side, bias in zip("ih", both_biases(weights), strict=True):
            params[f"{side}n"]["bias"] = split(bias, gates)["n"].clone()
    return params


def from_flax(cell: str, params: Mapping[str, Any], *, reset_after: bool = True) -> dict[str, Tensor]:
    """Return a cell's weights from the parameters of a flax.linen cell.

    The bias becomes bias_ih, and bias_hh is zero but for the GRU's b_hn.

    Args:
        cell: "lstm", "gru" or "rnn".
        params: of one cell; a `linen.RNN` holds its cell's under "cell".
        reset_after: as the GRU is built; Flax resets after the product.

    Raises:
        UsageError: Flax has no such cell, or these are not its parameters.
    """
    _, gates = gate_orders("flax", cell)
    check_reset("flax", cell, reset_after, reset_after=True)
    leaf = partial(take_leaf, "flax", params)
    hidden = leaf(dense("h", gates[0]), "kernel", None, None).shape[0]
    inputs = leaf(dense("i", gates[0]), "kernel", None, None).shape[0]
    weights = {}
    for side, width in (("i", inputs), ("h", hidden)):
        kernels = {gate: leaf(dense(side, gate), "kernel", width, hidden).t() for gate in gates}
        weights[f"weight_{side}h"] = join(kernels, gates)
    biases = {gate: leaf(dense(bias_side(cell), gate), "bias", hidden) for gate in gates}
    others = {gate: torch.zeros_like(bias) for gate, bias in biases.items()}
    if cell == "gru":
        others["n"] = leaf("hn", "bias", hidden)
    return weights | {"bias_ih": join(biases, gates), "bias_hh": join(others, gates)}


def dense(side: str, gate: str) -> str:
    """Name the dense layer of a gate, "ii" or "hf"; those of a simple cell are "i" and "h"."""
    return side if gate == "h" else side + gate


def bias_side(cell: str) -> str:
    """Tell whether the bias is with the input, "i", or with the state, "h"."""
    return "h" if cell == "lstm" else "i"
