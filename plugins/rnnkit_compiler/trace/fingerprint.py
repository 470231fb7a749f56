"""The fingerprint of a cell: equal for two cells whose steps are the same but for the values of their tensors."""

from collections.abc import Hashable

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from rnnkit_compiler.trace.frozen import EXACT, Unfrozen, frozen
from rnnkit_compiler.trace.outer_values import outer_values, values_of

HOOKS = frozenset(("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"))

IGNORED = frozenset(
    (
        *HOOKS,
        *("_parameters", "_buffers", "_modules", "_non_persistent_buffers_set", "_is_full_backward_hook"),
        *("_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks_with_kwargs"),
        *("_state_dict_hooks", "_state_dict_pre_hooks", "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
    )
)
"""What torch keeps in a module and a step does not read."""

FLAT_WEIGHTS = frozenset(("_flat_weights", "_flat_weight_refs"))
"""Where torch's own recurrent modules keep their parameters once more."""


def ignored(module: nn.Module) -> frozenset[str]:
    """Return the names of what torch keeps in a module, and is seen elsewhere or is not read."""
    return IGNORED | FLAT_WEIGHTS if isinstance(module, nn.RNNBase) else IGNORED


class Fingerprint:
    """What a step may depend on besides the values of parameters and buffers, found in one walk over the cell."""

    def __init__(self, cell: nn.Module) -> None:
        self.tensors: list[Tensor] = []
        """Parameters and buffers, module by module."""

        self.has_hooks = False
        """Whether a module inside of the cell has hooks, which a recorded step would not call."""

        self.unseen = ""
        """What the cell holds whose changes cannot be seen, so that no recording may be kept; empty: nothing."""

        self._first: dict[int, int] = {}
        self.key: Hashable = None
        """Equal for two cells whose steps are the same but for the values of their tensors."""

        try:
            self.key = self._module(cell)
        except Unfrozen as reason:
            self.unseen = str(reason)

    def _module(self, module: nn.Module) -> Hashable:
        own: list[object] = [type(module), outer_values(type(module))]
        skipped = ignored(module)
        for name, value in module.__dict__.items():
            if name in HOOKS:
                self.has_hooks |= bool(value)
            elif name not in skipped:
                own.append(name)
                own.append((type(value), value) if type(value) in EXACT else frozen(value, name))
                if type(value) not in EXACT and (read := values_of(value)):
                    own.append(read)
        for table in (module._parameters, module._buffers):
            for name, tensor in table.items():
                own.append(name)
                own.append(None if tensor is None else self._tensor(tensor))
        for name, child in module._modules.items():
            own.append(name)
            own.append(None if child is None else self._module(child))
        return tuple(own)

    def _tensor(self, tensor: Tensor) -> Hashable:
        """Describe a tensor; the same tensor under two names is told from two equal ones."""
        self.tensors.append(tensor)
        place = self._first.setdefault(id(tensor), len(self._first))
        shape = None if is_lazy(tensor) else tensor.shape
        return (place, shape, tensor.dtype, tensor.device, tensor.requires_grad)
