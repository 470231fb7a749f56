"""Torch's random states of a training: of the CPU and of the device that the model is on, of each process."""

import torch
from torch import Tensor

from rnnkit.training.process_group import Processes

CPU = "cpu"


def random_states(processes: Processes, device: torch.device) -> dict[str, list[Tensor]]:
    """Return the states by kind of device, one of each process; all must call it."""
    states = {CPU: processes.all_gather(torch.get_rng_state())}
    if device.type != CPU:
        states[device.type] = processes.all_gather(torch.get_device_module(device).get_rng_state(device))
    return states


def set_random_states(states: dict[str, list[Tensor]], processes: Processes, device: torch.device, seed: int) -> None:
    """Set the states; a process that was not there before begins with one of its own, made of the seed."""
    rank = processes.rank
    if rank >= len(states[CPU]):
        torch.manual_seed(seed + rank)
        return
    torch.set_rng_state(states[CPU][rank])
    if device.type != CPU and device.type in states:
        torch.get_device_module(device).set_rng_state(states[device.type][rank], device)
