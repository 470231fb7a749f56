"""Schedules of the learning rate: what it is multiplied by at each update."""

import math
from typing import Any

from rnnkit.errors import UsageError, check_whole, nearest
from rnnkit.training.choices import SCHEDULES


class Schedule:
    """A factor for the learning rate: a linear warm-up, then constant, a half cosine to 0, or cut at each plateau.

    Args:
        name: "constant", "cosine" or "plateau".
        steps: updates of the whole training; a cosine ends there.
        warmup: updates over which the factor rises to 1.
        patience: of a plateau: validations without a lower loss before the factor is cut.
        cut: of a plateau: what the factor is multiplied by.

    Source: the cosine is that of Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts",
    arXiv 1608.03983, 2016, without restarts.

    Raises:
        UsageError: an argument that makes no sense.
    """

    def __init__(self, name: str, steps: int, warmup: int = 0, *, patience: int = 2, cut: float = 0.5) -> None:
        if name not in SCHEDULES:
            raise UsageError(f"unknown schedule {name!r}{nearest(name, SCHEDULES)}; there are {', '.join(SCHEDULES)}")
        check_whole("warmup", warmup, least=0)
        if warmup >= steps:
            raise UsageError(f"warmup is {warmup}; it must be below the {steps} steps of the training")
        check_whole("patience", patience)
        if not 0 < cut < 1:
            raise UsageError(f"cut is {cut!r}; it must be above 0 and below 1")
        self.name, self.steps, self.warmup, self.patience, self.cut = name, steps, warmup, patience, cut
        self._lowest, self._waited, self._cuts = math.inf, 0, 0

    def factor(self, step: int) -> float:
        """Return the factor for update `step`, the first of which is 1."""
        if step <= self.warmup:  # rises to 1 at the first update behind it
            return step / (self.warmup + 1)
        if self.name == "cosine":
            done = (step - 1 - self.warmup) / max(1, self.steps - self.warmup)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        return self.cut**self._cuts if self.name == "plateau" else 1.0

    def observe(self, loss: float) -> None:
        """Take note of a validation loss."""
        if loss < self._lowest:
            self._lowest, self._waited = loss, 0
            return
        self._waited += 1
        if self._waited >= self.patience:
            self._cuts, self._waited = self._cuts + 1, 0

    def state(self) -> dict[str, Any]:
        """Return what has been observed."""
        return {"name": self.name, "lowest": self._lowest, "waited": self._waited, "cuts": self._cuts}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take what `state` gave.

        Raises:
            ValueError: another schedule gave it.
        """
        if state["name"] != self.name:
            raise ValueError(f"it was saved with the schedule {state['name']}, this one is {self.name}")
        self._lowest, self._waited, self._cuts = state["lowest"], state["waited"], state["cuts"]
