"""Optimizers by name."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from rnnkit.errors import UsageError, nearest, said

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "sgd": torch.optim.SGD,
}


FUSED = ("adam", "adamw")
"""Those that torch has in one pass over each parameter, on the CPU too, in place of a pass for each operation."""


def make_optimizer(
    optimizer: str | torch.optim.Optimizer,
    model: nn.Module,
    lr: float,
    weight_decay: float = 0.0,
    options: Mapping[str, Any] | None = None,
) -> torch.optim.Optimizer:
    """Return the optimizer that a name stands for, over the model's parameters; fused where torch has it so.

    Raises:
        UsageError: an unknown name, or an option that it lacks or refuses.
    """
    if isinstance(optimizer, torch.optim.Optimizer):
        if options:
            raise UsageError("optimizer_options go with the name of an optimizer; this one is made already")
        return optimizer
    if optimizer not in OPTIMIZERS:
        raise UsageError(
            f"unknown optimizer {optimizer!r}{nearest(optimizer, OPTIMIZERS)}; there are {', '.join(OPTIMIZERS)}"
        )
    kind = OPTIMIZERS[optimizer]
    given = options or {}
    given = {**_form(optimizer, model, given), **given}
    try:
        return kind(model.parameters(), lr=lr, weight_decay=weight_decay, **given)  # type: ignore[call-arg]
    except (TypeError, ValueError, LookupError) as error:
        raise UsageError(f"optimizer {optimizer!r}: {said(error) or type(error).__name__}") from None


def _form(optimizer: str, model: nn.Module, options: Mapping[str, Any]) -> dict[str, bool]:
    """Ask for the fused form, unless the options choose a form or parameters are of a kind that it does not take."""
    chosen = options.keys() & {"fused", "foreach", "capturable", "differentiable"}
    fits = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in model.parameters())
    return {"fused": True} if optimizer in FUSED and fits and not chosen else {}
