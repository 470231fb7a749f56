"""The data's own units: what brings raw numbers into the form that a model takes, and its outputs back."""

from typing import NamedTuple

from torch import Tensor, nn


class Units(NamedTuple):
    """Two modules around a model, so that the three take and give numbers in the data's own units; see `Task.units`.

    Both are made of torch's operations without a branch on values, and treat every step and row alike, so that a graph
    can hold them. Numbers are float64, for a float32 has seven digits, and a year or a price may need more: take off
    the mean before the dtype becomes another.
    """

    inputs: nn.Module
    """(..., C) raw numbers, float64, to what the model takes, (..., D); it is brought to the dtype of the weights."""

    outputs: nn.Module
    """What the model puts out, (..., O), and the raw numbers that it read, (..., C), to numbers in the data's own
    units, one for each of `targets`, float64."""

    columns: tuple[str, ...]
    """C names of what goes in, in order."""

    targets: tuple[str, ...]
    """Names of what comes out, in order."""

    span: Tensor
    """(2, C) a low and a high number of each column, such as the data have: a file is verified between them."""
