"""A comparison: what was found beside what was expected, and how far they are apart."""

from typing import NamedTuple

import torch
from torch import Tensor

SMALL = 0.01
"""Errors are relative to the largest element of a tensor, or to this if all are smaller: differences of numbers of
about 1 have an error that does not shrink with the gradient."""

UNIT = torch.finfo(torch.float32).eps
"""What errors in float32 are told in: its last place."""


class Comparison(NamedTuple):
    """One tensor, found and expected."""

    component: str
    """Such as "output", or "the gradient of weight_hh_l0"."""

    found: Tensor
    expected: Tensor
    tolerance: float
    """Of `error`."""

    @property
    def error(self) -> float:
        """The largest difference, relative to the largest element; in units of the last place in float32."""
        found, expected = self.found, self.expected.double()
        if found.shape != expected.shape:
            return float("inf")
        if not expected.numel():
            return 0.0
        size = max(SMALL, float(expected.abs().max()))
        unit = UNIT if found.dtype == torch.float32 else 1.0
        return float((found.double() - expected).abs().max()) / size / unit

    def problem(self) -> str:
        """Say what is wrong, where it is worst."""
        found, expected = self.found.double(), self.expected.double()
        if found.shape != expected.shape:
            return f"{self.component} has shape {tuple(found.shape)}; it must be {tuple(expected.shape)}"
        distances = (found - expected).abs().nan_to_num(nan=float("inf"))
        index = tuple(int(i) for i in torch.unravel_index(distances.argmax(), distances.shape))
        where = f" at {list(index)}" if index else ""
        return (
            f"{self.component}{where} is {found[index].item():.6g}; the truth is {expected[index].item():.6g} "
            f"(error {self.error:.1e}, at most {self.tolerance:.1g})"
        )
