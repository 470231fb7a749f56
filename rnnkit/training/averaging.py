"""Averaging of weights: an exponential mean over the updates, which is what validation and sampling then use.

Source: Polyak & Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control Optim. 30(4), 1992,
with the exponential weighting that is common today.
"""

from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from rnnkit.errors import UsageError


def averaged(model: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of the model that holds the mean; `update_parameters(model)` takes another value into it.

    Args:
        model: what is trained.
        decay: how much of the mean stays at each update, above 0 and below 1.

    Raises:
        UsageError: decay is something else.
    """
    if not isinstance(decay, int | float) or not 0 < decay < 1:
        raise UsageError(f"average is {decay!r}; it must be a decay above 0 and below 1, such as 0.999")
    mean = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    return AveragedModel(model, multi_avg_fn=mean, use_buffers=True)
