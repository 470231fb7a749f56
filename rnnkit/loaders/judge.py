"""Who judges the outputs of a task: the user's own loss and metric, or what suits the dtype of the targets."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rnnkit.errors import DataError, KindError, UsageError
from rnnkit.loaders.judging import accuracy, cross_entropy, squared_error

Judging: TypeAlias = Callable[[Tensor, Tensor], Any]
"""Maps outputs (T, B, O), or (B, O) with one target a sequence, and the targets to one number."""


@dataclass(frozen=True)
class Judge:
    """Loss and metric, with what the latter is called."""

    loss: Judging
    metric: Judging
    metric_name: str
    higher_is_better: bool

    @classmethod
    def of(
        cls,
        targets: Tensor,
        loss: Judging | None,
        metric: Judging | None,
        metric_name: str | None,
        higher_is_better: bool | None,
    ) -> "Judge":
        """Take what the user gives; what is None suits the targets, or is the user's loss where the metric is None.

        Raises:
            KindError: what judges cannot be called, or its name is no text.
        """
        for what, given in (("loss", loss), ("metric", metric)):
            if given is not None and not callable(given):
                raise KindError(f"{what} is {given!r}; it must be a function of outputs and targets")
        if metric_name is not None and not isinstance(metric_name, str):
            raise KindError(f"metric_name is {metric_name!r}; it must be text")
        classes = not targets.is_floating_point()
        if metric is not None:
            name, higher = getattr(metric, "__name__", type(metric).__name__), False
        elif loss is not None:
            metric, name, higher = loss, "loss", False
        elif classes:
            metric, name, higher = accuracy, "accuracy", True
        else:
            metric, name, higher = squared_error, "MSE", False
        return cls(
            loss or (cross_entropy if classes else squared_error),
            metric,
            metric_name or name,
            higher if higher_is_better is None else higher_is_better,
        )

    @property
    def name(self) -> str:
        """What the loss is called."""
        return str(getattr(self.loss, "__name__", type(self.loss).__name__)).replace("_", " ")


def number(what: str, value: Any) -> Tensor:
    """Return what a judge says as a scalar tensor.

    Raises:
        UsageError: it is no single number.
    """
    tensor: Tensor = value if isinstance(value, Tensor) else torch.as_tensor(value, dtype=torch.float64)
    if tensor.shape != ():
        raise UsageError(f"the {what} gives a tensor {tuple(tensor.shape)}; it must give one number, a mean")
    return tensor


def check_classes(targets: Tensor, every_step: bool) -> None:
    """Raise DataError unless integers are one class a step, or one a sequence, as our own cross-entropy takes them."""
    if targets.ndim != (2 if every_step else 1):
        raise DataError(
            f"has integer targets of shape {tuple(targets.shape)}; give one class a step or a sequence, or a loss of "
            "your own"
        )
