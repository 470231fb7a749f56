"""How outputs are judged where the user does not say: classes by cross-entropy and accuracy, numbers by squares."""

from torch import Tensor
from torch.nn import functional as F

from rnnkit.loaders.collate import NO_CLASS


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy in nats of outputs (..., K) over those targets (...) that are classes."""
    total = F.cross_entropy(outputs.flatten(0, -2), targets.flatten(), ignore_index=NO_CLASS, reduction="sum")
    return total / (targets != NO_CLASS).sum().clamp(min=1)


def accuracy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the share of the targets (...) that are classes to which outputs (..., K) give the highest number."""
    judged = targets != NO_CLASS
    return ((outputs.argmax(-1) == targets) & judged).sum().double() / judged.sum().clamp(min=1)


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean square of outputs (..., O) minus targets, (..., O) or (...) of one number, those NaN left out."""
    wanted = (targets.unsqueeze(-1) if targets.ndim < outputs.ndim else targets).to(outputs)
    if wanted.shape != outputs.shape:
        raise ValueError(f"they have shape {tuple(targets.shape)}, the outputs {tuple(outputs.shape)}")
    judged = ~wanted.isnan()
    return (outputs - wanted.where(judged, outputs)).square().sum() / judged.sum().clamp(min=1)
