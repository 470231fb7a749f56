"""Loss scaling: what keeps gradients in float16 from vanishing, and updates from those that overflow.

Micikevicius et al. 2018, Mixed Precision Training (arXiv:1710.03740): the loss is multiplied by a scale before it is
differentiated, and gradients are divided by it before they are used. Where one of them overflows, the update is left
out and the scale halved; after many without it is doubled. Torch's GradScaler does the arithmetic.
"""

import math
from typing import Any

import torch
from torch import Tensor

from rnnkit.errors import UsageError

AUTOCAST = (torch.bfloat16, torch.float16)
"""What may be computed in; bfloat16 has the exponents of float32, so that nothing needs scaling."""

LEAST = 1.0
"""The scale at which a gradient that overflows is one that has diverged."""


def check_autocast(autocast: torch.dtype | None) -> None:
    """Raise UsageError unless training can compute in that dtype; None: in the weights'."""
    if autocast not in (None, *AUTOCAST):
        raise UsageError(f"autocast is {autocast!r}; it must be None, torch.bfloat16 or torch.float16")


class LossScaling:
    """Scales losses of a training in float16; of any other it changes nothing.

    Args:
        device: of the weights.
        autocast: what is computed in.
    """

    def __init__(self, device: torch.device, autocast: torch.dtype | None) -> None:
        self._scaler = torch.amp.GradScaler(device.type) if autocast == torch.float16 else None
        self.skipped = 0
        """Updates that were left out."""

    def scaled(self, loss: Tensor) -> Tensor:
        """Return what is to be differentiated."""
        return loss if self._scaler is None else self._scaler.scale(loss)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Divide the gradients that an optimizer is to use; once an update."""
        if self._scaler is not None:
            self._scaler.unscale_(optimizer)

    def skips(self, norm: float) -> bool:
        """Tell whether to leave out an update with gradients of that norm, and settle the scale of the next one.

        At the least scale none is left out: then it is not the scale that makes gradients overflow. Nor is one if all
        gradients are finite and only their norm is not.
        """
        if self._scaler is None:
            return False
        before = self._scaler.get_scale()
        self._scaler.update()
        overflowed = not math.isfinite(norm) and before > LEAST and self._scaler.get_scale() < before
        self.skipped += overflowed
        return overflowed

    def state(self) -> dict[str, Any]:
        """Return what the next update depends on, under its name; nothing where nothing is scaled."""
        if self._scaler is None:
            return {}
        known = self._scaler.state_dict()
        scale = {"scale": float(known["scale"]), "since": int(known["_growth_tracker"])}
        return {"scaling": {**scale, "skipped": self.skipped}}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take what `state` gave."""
        if self._scaler is not None:
            saved = state["scaling"]
            now = {"scale": saved["scale"], "_growth_tracker": saved["since"]}
            self._scaler.load_state_dict({**self._scaler.state_dict(), **now})
            self.skipped = saved["skipped"]
