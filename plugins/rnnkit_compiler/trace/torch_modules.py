"""What torch keeps in every module, beside what the user's code does."""

from collections.abc import Iterator
from typing import Any

from torch import nn

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


def has_hooks(module: nn.Module) -> bool:
    """Tell whether a module has hooks."""
    own = vars(module)
    return any(own[name] for name in HOOKS)


def attributes_of(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Give the names and values of what a module holds, but for what torch keeps there."""
    skipped = IGNORED | FLAT_WEIGHTS if isinstance(module, nn.RNNBase) else IGNORED
    yield from ((name, value) for name, value in vars(module).items() if name not in skipped)
