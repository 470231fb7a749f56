"""Weights of ONNX' operators LSTM, GRU and RNN: a dict of the operator's inputs, one row for each direction.

`W (directions, G*H, D)`, `R (directions, G*H, H)`, `B (directions, 2*G*H)`, W's bias before R's, and of LSTM P
(directions, 3H), the peepholes i, o, f. Gates in the rows: LSTM i, o, f, c; GRU z, r, h. Absent B and P are zero.

Nothing of torch's is lost. Whether a GRU resets after the product is the operator's attribute `linear_before_reset`,
1 in torch and 0 by default; its weights are the same either way.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rnnkit.errors import UsageError
from rnnkit.interop.arrays import check_kind, check_shape, take
from rnnkit.interop.gates import gate_orders, reorder
from rnnkit.interop.weights import PEEPHOLES, Weights, check_weights


def to_onnx(cell: str, weights: Weights, reverse: Weights | None = None) -> dict[str, Tensor]:
    """Return a cell's weights as the inputs W, R, B and P of the operator.

    Args:
        cell: "lstm", "peephole", "gru" or "rnn".
        weights: of one cell, under torch's names.
        reverse: of the cell that goes the other way, for `direction="bidirectional"`.

    Raises:
        UsageError: ONNX has no such cell, or a weight has no place there.
        ShapeError: the two directions differ.
    """
    first = one_direction(cell, weights)
    if reverse is None:
        return first
    second = one_direction(cell, reverse)
    if first.keys() != second.keys():
        raise UsageError("onnx: one direction has biases and the other has none; give both the same tensors")
    for name, tensor in second.items():
        check_shape(f"onnx: {name} of the reverse direction", tensor, *first[name].shape)
    return {name: torch.cat([tensor, second[name]]) for name, tensor in first.items()}


def one_direction(cell: str, weights: Weights) -> dict[str, Tensor]:
    """Return the inputs of the operator for one direction."""
    own, theirs = gate_orders("onnx", cell)
    check_weights(cell, weights)
    inputs = {"W": reorder(weights["weight_ih"], own, theirs), "R": reorder(weights["weight_hh"], own, theirs)}
    if "bias_ih" in weights:
        inputs["B"] = torch.cat([reorder(weights[name], own, theirs) for name in ("bias_ih", "bias_hh")])
    if cell == "peephole":
        inputs["P"] = torch.cat([weights[name] for name in PEEPHOLES])
    return {name: tensor.unsqueeze(0) for name, tensor in inputs.items()}


def from_onnx(cell: str, inputs: Mapping[str, Any], direction: int = 0, directions: int = 1) -> dict[str, Tensor]:
    """Return a cell's weights from the inputs of the operator.

    Args:
        cell: "lstm", "peephole", "gru" or "rnn"; an LSTM with peepholes that are not zero is "peephole".
        inputs: W, R and, where the operator has them, B and P.
        direction: which to give; 1 is the reverse one of a bidirectional operator.
        directions: how many the operator has.

    Raises:
        UsageError: ONNX has no such cell, or these are not its inputs.
    """
    own, theirs = gate_orders("onnx", cell)
    check_kind("onnx", inputs, Mapping, "a dict of W, R, B and P")
    tensors = row_of(inputs, len(own), direction, directions)
    weights = {"weight_ih": reorder(tensors["W"], theirs, own), "weight_hh": reorder(tensors["R"], theirs, own)}
    if "B" in tensors:
        for name, bias in zip(("bias_ih", "bias_hh"), tensors["B"].chunk(2), strict=True):
            weights[name] = reorder(bias, theirs, own)
    if cell == "peephole":
        peepholes = tensors.get("P", torch.zeros_like(tensors["R"][0]).repeat(len(PEEPHOLES)))
        weights |= split_peepholes(peepholes)
    elif "P" in tensors and tensors["P"].any():
        raise UsageError(f"onnx: P is not zero, and cell {cell!r} has no peepholes; use cell 'peephole'")
    return weights


def row_of(inputs: Mapping[str, Any], gates: int, direction: int, directions: int) -> dict[str, Tensor]:
    """Return the operator's inputs for one direction, checked; those that are absent or None are left out."""
    if direction not in range(directions):
        raise UsageError(f"onnx: direction is {direction!r} of {directions!r}; they are counted from 0")
    for name in ("W", "R"):
        if inputs.get(name) is None:
            raise UsageError(f"onnx: {name} is missing; there are {', '.join(map(str, inputs)) or 'none'}")
    hidden = take("onnx: R", inputs["R"], directions, None, None).shape[2]
    rows = gates * hidden
    shapes = {"W": (rows, None), "R": (rows, hidden), "B": (2 * rows,), "P": (len(PEEPHOLES) * hidden,)}
    return {
        name: take(f"onnx: {name}", inputs[name], directions, *shape)[direction]
        for name, shape in shapes.items()
        if inputs.get(name) is not None
    }


def split_peepholes(peepholes: Tensor) -> dict[str, Tensor]:
    """Return P (3H,) as peephole_i, peephole_o, peephole_f (H,)."""
    parts = peepholes.chunk(len(PEEPHOLES))
    return {name: part.clone() for name, part in zip(PEEPHOLES, parts, strict=True)}
