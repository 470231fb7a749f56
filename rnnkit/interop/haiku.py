"""Weights of Haiku's cores: a dict of modules, each a dict of arrays, gates in the columns.

LSTM: "lstm/linear" with w (D + H, 4H), the input's rows first, and b (4H,); order i, g, f, o. It adds 1 to the forget
gate whenever it runs.
GRU: "gru" with w_i (D, 3H), w_h (H, 3H), b (3H,); order z, r, a. It resets before the product, and its z weighs the
candidate, where torch's weighs the old state.
VanillaRNN: "vanilla_rnn/linear" and "vanilla_rnn/linear_1" with w and b each. It is relu.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnkit.errors import UsageError
from rnnkit.interop.arrays import check_shape, take_leaf
from rnnkit.interop.gates import gate_orders, join, reorder, split
from rnnkit.interop.weights import Weights, both_biases, check_reset, check_weights, summed_bias, with_one_bias

NAMES = {"lstm": "lstm", "gru": "gru", "rnn": "vanilla_rnn"}
"""What Haiku calls the first core of each class."""


def to_haiku(
    cell: str, weights: Weights, *, reset_after: bool = True, nonlinearity: str = "tanh", name: str | None = None
) -> dict[str, dict[str, Tensor]]:
    """Return a cell's weights as the parameters of a Haiku core; absent biases become zeros.

    Args:
        cell: "lstm", "gru" or "rnn".
        weights: of one cell, under torch's names.
        reset_after: as the GRU is built; Haiku resets before the product.
        nonlinearity: as the simple network is built; Haiku's is relu.
        name: of the core, with the path to it; default: the one that Haiku gives to the first of its class.

    Raises:
        UsageError: Haiku has no such cell, or a weight has no place there.
    """
    own, theirs = gate_orders("haiku", cell)
    check_core(cell, reset_after, nonlinearity)
    check_weights(cell, weights)
    name = name or NAMES[cell]
    w_i, w_h = (reorder(weights[part].t(), own, theirs, dim=1) for part in ("weight_ih", "weight_hh"))
    if cell == "rnn":
        b_i, b_h = both_biases(weights)
        return {f"{name}/linear": {"w": w_i, "b": b_i.clone()}, f"{name}/linear_1": {"w": w_h, "b": b_h.clone()}}
    b = reorder(summed_bias(weights), own, theirs)
    if cell == "gru":
        return {name: {"w_i": complement(w_i), "w_h": complement(w_h), "b": complement(b)}}
    return {f"{name}/linear": {"w": torch.cat([w_i, w_h]), "b": shift_forget(b, -1)}}


def from_haiku(
    cell: str,
    params: Mapping[str, Any],
    *,
    reset_after: bool = True,
    nonlinearity: str = "tanh",
    name: str | None = None,
) -> dict[str, Tensor]:
    """Return a cell's weights from the parameters of a Haiku core; a single bias becomes bias_ih, and bias_hh is zero.

    Args:
        cell: "lstm", "gru" or "rnn".
        params: as `init` gives them; other modules' may be among them.
        reset_after: as the GRU is built; Haiku resets before the product.
        nonlinearity: as the simple network is built; Haiku's is relu.
        name: of the core, with the path to it; default: the one that Haiku gives to the first of its class.

    Raises:
        UsageError: Haiku has no such cell, or these are not its parameters.
    """
    own, theirs = gate_orders("haiku", cell)
    check_core(cell, reset_after, nonlinearity)
    name = name or NAMES[cell]
    if cell == "rnn":
        return read_vanilla(params, name)
    w_i, w_h, b = (read_lstm if cell == "lstm" else read_gru)(params, name)
    return with_one_bias(reorder(w_i.t(), theirs, own), reorder(w_h.t(), theirs, own), reorder(b, theirs, own))


def check_core(cell: str, reset_after: bool, nonlinearity: str) -> None:
    """Raise UsageError for an equation other than that of Haiku's core."""
    check_reset("haiku", cell, reset_after, reset_after=False)
    if cell == "rnn" and nonlinearity != "relu":
        raise UsageError("the VanillaRNN of format 'haiku' is relu; use rnnkit's with nonlinearity='relu'")


def read_lstm(params: Mapping[str, Any], name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return w_i, w_h and b of an LSTM, in Haiku's order, with the 1 in the forget gate's bias."""
    leaf = partial(take_leaf, "haiku", params, f"{name}/linear")
    hidden = leaf("w", None, None).shape[1] // 4
    w = leaf("w", None, 4 * hidden)
    w_i, w_h = w[:-hidden], w[-hidden:]
    check_shape(f"haiku: the state's part of 'w' of '{name}/linear'", w_h, hidden, 4 * hidden)
    return w_i, w_h, shift_forget(leaf("b", 4 * hidden), 1)


def read_gru(params: Mapping[str, Any], name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return w_i, w_h and b of a GRU, in Haiku's order, with torch's meaning of z."""
    leaf = partial(take_leaf, "haiku", params, name)
    hidden = leaf("w_h", None, None).shape[0]
    w_i, w_h, b = leaf("w_i", None, 3 * hidden), leaf("w_h", hidden, 3 * hidden), leaf("b", 3 * hidden)
    return complement(w_i), complement(w_h), complement(b)


def read_vanilla(params: Mapping[str, Any], name: str) -> dict[str, Tensor]:
    """Return the weights of a VanillaRNN; with `double_bias=False` bias_hh is zero."""
    leaf = partial(take_leaf, "haiku", params)
    inner, recurrent = f"{name}/linear", f"{name}/linear_1"
    hidden = leaf(recurrent, "w", None, None).shape[0]
    weight_ih, weight_hh = leaf(inner, "w", None, hidden).t().clone(), leaf(recurrent, "w", hidden, hidden).t().clone()
    weights = with_one_bias(weight_ih, weight_hh, leaf(inner, "b", hidden).clone())
    if "b" in params[recurrent]:
        weights["bias_hh"] = leaf(recurrent, "b", hidden).clone()
    return weights


def complement(tensor: Tensor) -> Tensor:
    """Turn the update gate round, along the last dimension: σ(-a) = 1 - σ(a)."""
    _, order = gate_orders("haiku", "gru")
    gates = split(tensor, order, dim=-1)
    return join(gates | {"z": -gates["z"]}, order, dim=-1)


def shift_forget(bias: Tensor, offset: float) -> Tensor:
    """Add to the bias of the forget gate."""
    _, order = gate_orders("haiku", "lstm")
    gates = split(bias, order)
    return join(gates | {"f": gates["f"] + offset}, order)
