"""Optimizers by name."""

from collections.abc import Callable, Mapping
from inspect import unwrap
from typing import Any

import torch
from torch import nn

from rnnkit.errors import UsageError, nearest, said


def _uncompiled(kind: type[torch.optim.Optimizer]) -> type[torch.optim.Optimizer]:
    """Return a class of optimizers like torch's, which does not load torch's compiler.

    Torch's own methods keep that from looking into them, for which they load it first: a second of the start of a run
    in which nobody compiles. The class is of the same name, and computes the same bits.
    """
    step = unwrap(kind.step)

    def step_as_it_is(self: torch.optim.Optimizer, closure: Callable[[], float] | None = None) -> Any:
        with torch.set_grad_enabled(self.defaults["differentiable"]):
            return step(self, closure)

    methods = {name: unwrap(getattr(kind, name)) for name in KEPT_FROM_COMPILERS}
    return type(kind.__name__, (kind,), {**methods, "step": step_as_it_is, "__module__": __name__})


KEPT_FROM_COMPILERS = ("add_param_group", "load_state_dict", "state_dict", "zero_grad")
"""What torch keeps its compiler from looking into, beside `step`."""

OPTIMIZERS: dict[str, type[torch.optim.Optimizer]] = {
    "adam": _uncompiled(torch.optim.Adam),
    "adamw": _uncompiled(torch.optim.AdamW),
    "rmsprop": _uncompiled(torch.optim.RMSprop),
    "sgd": _uncompiled(torch.optim.SGD),
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
