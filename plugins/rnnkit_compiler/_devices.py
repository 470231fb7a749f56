"""Devices beside the CPU: which there are, one of them made the current one, and what they do not have said once."""

import logging
from contextlib import AbstractContextManager, nullcontext

import torch

logger = logging.getLogger("rnnkit")

_said: set[tuple[torch.device, str]] = set()


def is_host(device: torch.device) -> bool:
    """Tell whether a device is the CPU, where kernels are in C++ and the plan has to be large to pay."""
    return device.type == "cpu"


def accelerators() -> list[torch.device]:
    """List the devices of this machine that kernels may be compiled for."""
    return [torch.device("cuda", index) for index in range(torch.cuda.device_count())]


def current(device: torch.device) -> AbstractContextManager[object]:
    """Return what makes a device the current one while it is entered: kernels are launched there, wherever tensors are.

    The backward pass needs none, for autograd has a thread for each device.
    """
    if device.type != "cuda" or device.index is None:
        return nullcontext()
    entered: AbstractContextManager[object] = torch.cuda.device(device)
    return entered


def say_once(device: torch.device, reason: str, what: str, instead: str) -> None:
    """Warn of what there is not on a GPU and what runs instead; for each reason and device only the first time."""
    if not is_host(device) and (device, reason) not in _said:
        _said.add((device, reason))
        logger.warning("%s: %s; %s", what, reason, instead)
