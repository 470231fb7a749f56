"""What torch keeps in every module, beside what the user's code does."""

from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

HOOKS = frozenset(("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"))

FOR_ALL: tuple[Mapping[int, Any], ...] = tuple(
    getattr(nn.modules.module, f"_global{name}") for name in HOOKS if hasattr(nn.modules.module, f"_global{name}")
)
"""Hooks of all modules, kind by kind."""

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


def hooks_of(module: nn.Module) -> Iterator[Mapping[int, Any]]:
    """Give the hooks of a module, kind by kind."""
    yield from (vars(module)[name] for name in HOOKS)


def contents_of(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Give the names and values of all that a module holds: attributes, parameters, buffers and submodules."""
    yield from attributes_of(module)
    for table in (module._parameters, module._buffers, module._modules):
        yield from table.items()


def tables_of(module: nn.Module) -> tuple[dict[str, Any], ...]:
    """Return the tables in which a module holds what it has."""
    return vars(module), module._parameters, module._buffers, module._modules


def attributes_of(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """Give the names and values of what a module holds, but for what torch keeps there."""
    skipped = IGNORED | FLAT_WEIGHTS if isinstance(module, nn.RNNBase) else IGNORED
    yield from ((name, value) for name, value in vars(module).items() if name not in skipped)
