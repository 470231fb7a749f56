"""What the transcriptions of papers share: numpy, float64, one row of the batch at a time."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np


class Equation(NamedTuple):
    """How a paper has one step of a cell."""

    step: Callable[..., tuple[Any, tuple[Any, ...]]]
    """From w, the cell's tensors by name, x (D,), the state, a tuple of (H,), and options to y and the next state."""
    options: Sequence[Mapping[str, Any]] = ({},)
    """What the cell is built with, a case each; `step` takes those that it needs."""


class Peer(NamedTuple):
    """The same cell in another library: torchrecurrent, whose tensors are set from ours."""

    name: str
    """Of its class there."""
    copy: Callable[[Any, Any], None]
    """From (peer, cell): sets the peer's parameters in place."""
    options: Mapping[str, Any] = {}
    """What ours is built with to be as theirs."""
    theirs: Mapping[str, Any] = {}
    """What theirs is built with."""
    differs: str = ""
    """Why the numbers differ, if they do, with the paper's sentence: then they are held to differ."""


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def relu(z):
    return np.maximum(z, 0)


def softplus(z):
    return np.log1p(np.exp(-np.abs(z))) + np.maximum(z, 0)


def blocks(w, name, *names):
    """Return the blocks of rows of a stacked weight or bias, by name: blocks(w, "weight_ih", "f", "n")."""
    return dict(zip(names, np.split(w[name], len(names)), strict=True))


def copy_alike(peer, cell):
    """Copy tensors that have the same names and the same blocks in the same order."""
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(peer, name).copy_(getattr(cell, name))
