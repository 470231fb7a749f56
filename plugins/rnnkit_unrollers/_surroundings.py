"""What a step depends on besides its arguments: random state, autocast, and whether the cell is in training."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell


class Surroundings:
    """Random state, autocast and mode of the first pass, so that a replay computes the same."""

    def __init__(self, cell: Cell, xs: Tensor) -> None:
        self.modes = {module: module.training for module in cell.modules()}
        self.devices = devices_of(xs)
        self.device_type = xs.device.type
        self.random = torch.get_rng_state()
        self.device_random = [torch.get_device_module(device).get_rng_state(device) for device in self.devices]
        self.autocast_dtype = (
            torch.get_autocast_dtype(self.device_type) if rnnkit.casts_automatically(xs.device) else None
        )

    def fork(self) -> AbstractContextManager[Any]:
        """Restore the outer random state at the end."""
        return torch.random.fork_rng(devices=self.devices, device_type=self.device_type if self.devices else "cuda")

    def restore(self) -> None:
        """Set the random state as it was; inside `fork`."""
        torch.set_rng_state(self.random)
        for device, state in zip(self.devices, self.device_random, strict=True):
            torch.get_device_module(device).set_rng_state(state, device)

    def casting(self) -> AbstractContextManager[Any]:
        """Cast automatically if the first pass did."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device_type, dtype=self.autocast_dtype)

    @contextmanager
    def training(self) -> Iterator[None]:
        """Let the cell be in training if it was in the first pass, whatever it is by now."""
        now = {module: module.training for module in self.modes}
        try:
            for module, mode in self.modes.items():
                module.training = mode
            yield
        finally:
            for module, mode in now.items():
                module.training = mode


def devices_of(xs: Tensor) -> list[torch.device]:
    return [] if xs.device.type in ("cpu", "meta") else [xs.device]
