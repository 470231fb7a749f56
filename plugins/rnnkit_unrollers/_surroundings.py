"""What a step depends on besides its arguments: random state, autocast, and whether the cell is in training."""

from collections.abc import Iterator, Sequence
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
        self.random = random_states(self.devices)
        self.autocast_dtype = (
            torch.get_autocast_dtype(self.device_type) if rnnkit.casts_automatically(xs.device) else None
        )

    def fork(self) -> AbstractContextManager[Any]:
        """Restore the outer random state at the end."""
        return torch.random.fork_rng(devices=self.devices, device_type=self.device_type if self.devices else "cuda")

    def restore(self) -> None:
        """Set the random state as it was; inside `fork`."""
        set_random_states(self.devices, self.random)

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


class BlockDraws:
    """Where random states stood as blocks of steps began: a step that draws is to draw the same in a replay."""

    def __init__(self, devices: Sequence[torch.device]) -> None:
        self._devices = devices
        self._states: dict[int, list[Tensor]] = {}

    def begin(self, block: int) -> None:
        """Note the random states where a block begins the first time, and put them back where it does again."""
        if (known := self._states.get(block)) is not None:
            set_random_states(self._devices, known)
            return
        now, first = random_states(self._devices), self._states.get(0)
        unmoved = first is not None and all(map(torch.equal, first, now))
        self._states[block] = first if first is not None and unmoved else now  # one copy if no step draws

    def forget(self, block: int) -> None:
        """Let go of a block that was taken back; another backward pass comes to it from the first one."""
        if block:
            self._states.pop(block, None)


def random_states(devices: Sequence[torch.device]) -> list[Tensor]:
    """Return the random states of the CPU and of devices."""
    return [torch.get_rng_state(), *(torch.get_device_module(device).get_rng_state(device) for device in devices)]


def set_random_states(devices: Sequence[torch.device], states: Sequence[Tensor]) -> None:
    """Set what `random_states` returned."""
    torch.set_rng_state(states[0])
    for device, state in zip(devices, states[1:], strict=True):
        torch.get_device_module(device).set_rng_state(state, device)


def devices_of(xs: Tensor) -> list[torch.device]:
    return [] if xs.device.type in ("cpu", "meta") else [xs.device]
