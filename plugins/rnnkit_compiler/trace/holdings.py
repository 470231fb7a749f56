"""Holdings: what a cell holds beside parameters and buffers, and its step may read; inputs of a recording."""

from collections.abc import Mapping

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.fingerprint import Fingerprint
from rnnkit_compiler.trace.held import Held, is_ordinary
from rnnkit_compiler.trace.paths import own_paths
from rnnkit_compiler.trace.recording import NotRecordable, Recording
from rnnkit_compiler.trace.torch_modules import contents_of


class Holdings:
    """The tensors of a cell that are neither parameters nor buffers.

    Args:
        cell: as it is now.
    """

    def __init__(self, cell: rnnkit.Cell) -> None:
        found = Fingerprint(cell)
        # A trial of the step would leave a gradient where one is kept or handed to a hook.
        plain = [tensor for tensor in found.beside if not (tensor.retains_grad or tensor._backward_hooks)]
        beside: dict[str, Tensor] = {Held(f"held[{k}]", tensor): tensor for k, tensor in enumerate(plain)}
        self.tensors: dict[str, Tensor] = found.attributes | beside
        """By their paths."""

        self.meet_cell = found.meets_itself
        """Whether there are modules of the cell, or their tables, among what it holds elsewhere."""

        modules = [inner for module in found.again for inner in module.modules()]
        again = [value for module in modules for _, value in contents_of(module) if is_ordinary(value)]
        self.live = frozenset(map(id, (*plain, *again)))
        """The ids of those that a copy of the cell comes upon, as the cell does: in a list that both have, say."""


def learns_elsewhere(cell: torch.nn.Module) -> bool:
    """Tell so of a cell that can be looked at; see `Fingerprint.learns_elsewhere`."""
    try:
        return Fingerprint(cell).learns_elsewhere
    except Exception:  # a module may answer as it likes
        return False


def with_held(cell: rnnkit.Cell, tensors: Mapping[str, Tensor]) -> rnnkit.Cell:
    """Return a copy of a cell that uses `tensors` in place of its own, by their paths."""
    copied = rnnkit.copy_with_tensors(cell, tensors)
    for path, tensor in tensors.items():
        parent, _, name = path.rpartition(".")
        if not isinstance(path, Held) and isinstance(vars(module := copied.get_submodule(parent)).get(name), Tensor):
            vars(module)[name] = tensor
    return copied


def of_use(recording: Recording, weights: Mapping[str, Tensor], cell: torch.nn.Module) -> dict[str, int]:
    """Return the weights of a recording without the tensors held elsewhere that it does not read.

    Raises:
        NotRecordable: one that it reads is on another device than the rest.
    """
    own = own_paths(cell)
    read = {number for call in recording.calls for number in call.reads}.union(recording.results)
    read |= recording.asked
    used = {path: number for path, number in recording.weights.items() if path in own or number in read}
    devices = {weights[path].device for path in used}
    if len(devices) > 1 and not used.keys() <= own:
        raise NotRecordable("step() reads a tensor that is on another device than the cell's parameters")
    return used
