"""Quantiles as forecasts: their loss, and what of the outputs they are.

Koenker & Bassett, "Regression Quantiles", Econometrica 46 (1978).
"""

from collections.abc import Sequence

import torch
from torch import Tensor


def pinball(outputs: Tensor, targets: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Return the mean over targets (B, M) that are known, and quantiles Q, of what outputs (B, M x Q) are off.

    A quantile q costs q times what it is below the truth, or 1 - q times what it is above.
    """
    shares = torch.tensor(quantiles, dtype=outputs.dtype, device=outputs.device)
    said = outputs.reshape(*outputs.shape[:-1], targets.shape[-1], len(quantiles))
    known = targets.isfinite().unsqueeze(-1)
    off = targets.unsqueeze(-1).to(outputs).where(known, said.detach()) - said
    cost = torch.maximum(shares * off, (shares - 1) * off)
    return cost.sum() / (known.sum().clamp(min=1) * len(quantiles))


def medians(outputs: Tensor, targets: int, quantiles: Sequence[float]) -> Tensor:
    """Return the forecasts (B, M) among outputs: all of them, or their medians."""
    if not quantiles:
        return outputs
    return outputs.reshape(*outputs.shape[:-1], targets, len(quantiles))[..., list(quantiles).index(0.5)]


def squared(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error of outputs (B, M) over the targets (B, M) that are known; 0 for none."""
    known = targets.isfinite()
    off = outputs - targets.to(outputs).where(known, outputs.detach())
    return off.square().sum() / known.sum().clamp(min=1)
