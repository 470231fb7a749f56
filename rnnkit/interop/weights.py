"""The weights of one cell under torch's names, which every format is converted from and to."""

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from rnnkit.errors import UsageError
from rnnkit.interop.arrays import check_shape
from rnnkit.interop.gates import OWN

Weights: TypeAlias = Mapping[str, Tensor]
"""The parameters of one cell, that is one layer and direction.

With G gates: weight_ih `(G*H, D)`, weight_hh `(G*H, H)`, bias_ih and bias_hh `(G*H,)`, both or neither. `peephole` has
peephole_i, peephole_f and peephole_o (H,) too; a projection is weight_hr (P, H), with weight_hh `(G*H, P)`.
"""

PEEPHOLES = ("peephole_i", "peephole_o", "peephole_f")
"""In the order of ONNX, the one format that has them."""


def check_weights(cell: str, weights: Weights, *, projected: bool = False) -> None:
    """Check the names and shapes of the weights of a cell; `projected` says whether weight_hr has a place.

    Raises:
        UsageError: a name is missing or has no place.
        ShapeError: the shapes contradict each other.
    """
    check_names(cell, weights, projected)
    for name in ("weight_ih", "weight_hh", "weight_hr"):
        if name in weights:
            check_shape(name, weights[name], None, None)
    read = weights["weight_hh"].shape[1]
    hidden = weights["weight_hr"].shape[1] if "weight_hr" in weights else read
    rows = len(OWN[cell]) * hidden
    shapes: dict[str, tuple[int | None, ...]] = {"weight_ih": (rows, None), "weight_hh": (rows, read)}
    shapes |= {"weight_hr": (read, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    for name, tensor in weights.items():
        check_shape(name, tensor, *shapes.get(name, (hidden,)))


def check_names(cell: str, weights: Weights, projected: bool) -> None:
    """Raise UsageError for a name that is missing or has no place."""
    needed = ["weight_ih", "weight_hh"]
    if "bias_ih" in weights or "bias_hh" in weights:
        needed += ["bias_ih", "bias_hh"]
    if cell == "peephole":
        needed += PEEPHOLES
    for name in needed:
        if name not in weights:
            raise UsageError(f"{name!r} of cell {cell!r} is missing; there are {', '.join(weights) or 'none'}")
    for name in weights:
        if name == "weight_hr" and not projected:
            raise UsageError(
                f"'weight_hr' of cell {cell!r} has no place: of all formats only torch's LSTM has a projection"
            )
        if name not in (*needed, "weight_hr"):
            raise UsageError(f"{name!r} has no place in the weights of cell {cell!r}: {', '.join(needed)}")


def check_reset(format: str, cell: str, given: bool, *, reset_after: bool) -> None:
    """Raise UsageError for a GRU that resets on the other side of the recurrent product than the format's does."""
    if cell == "gru" and given is not reset_after:
        side = "after" if reset_after else "before"
        raise UsageError(
            f"the GRU of format {format!r} resets {side} the recurrent product; "
            f"use rnnkit's with reset_after={reset_after}"
        )


def both_biases(weights: Weights) -> tuple[Tensor, Tensor]:
    """Return bias_ih and bias_hh; absent ones are zeros, which is the same cell."""
    zeros = torch.zeros_like(weights["weight_ih"][:, 0])
    return weights.get("bias_ih", zeros), weights.get("bias_hh", zeros)


def summed_bias(weights: Weights) -> Tensor:
    """Return bias_ih + bias_hh, what a format with one bias holds."""
    bias_ih, bias_hh = both_biases(weights)
    return bias_ih + bias_hh


def with_one_bias(weight_ih: Tensor, weight_hh: Tensor, bias: Tensor) -> dict[str, Tensor]:
    """Return the weights of a cell from a format with one bias: bias_hh is zero."""
    return {"weight_ih": weight_ih, "weight_hh": weight_hh, "bias_ih": bias, "bias_hh": torch.zeros_like(bias)}
