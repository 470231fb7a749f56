"""What a saved training's state must look like, so that nothing is taken from one that training cannot go on from."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit.training.optimizers import OPTIMIZERS

NOT_ALIKE = ("optimizer", "best", "state", "carried", "random")
"""Entries that differ in kind from step to step."""

FORMS = ("fused", "foreach")
"""Options of an optimizer that say how it computes, not what: a training goes on in the form that it began in."""


def check_state(state: Any, like: Mapping[str, Any], optimizer: torch.optim.Optimizer, accumulate: int) -> None:
    """Check what `Training.state` gave, before any of it is used.

    Args:
        state: what is checked.
        like: what the training at hand gives now.
        optimizer: the training's.
        accumulate: windows that an update learns from.

    Raises:
        KeyError, ValueError, TypeError: it is the state of another training, or of none.
    """
    check_like(_without(state, NOT_ALIKE), _without(like, NOT_ALIKE), "the state")
    if state["stream"]["batches"] > state["step"] * accumulate:
        raise ValueError(f"{state['stream']['batches']} batches are too many for {state['step']} updates")
    if state["best"] is not None:
        check_like(state["best"], (0, 0.0), "best")
    for name in ("state", "carried"):
        if not _is_carried(state[name]):
            raise ValueError(f"{name} is not made of tensors")
    _check_random(state["random"], like["random"])
    if "scaling" in state and not (state["scaling"]["scale"] > 0 and math.isfinite(state["scaling"]["scale"])):
        raise ValueError(f"losses were scaled by {state['scaling']['scale']}, which makes no sense")
    check_optimizer(state["optimizer"], optimizer)


def check_like(value: Any, like: Any, name: str) -> None:
    """Raise ValueError unless `value` is made as `like` is: types, keys, lengths, shapes, dtypes; no count below 0."""
    if isinstance(like, Tensor) and isinstance(value, Tensor):
        same = (value.shape, value.dtype) == (like.shape, like.dtype)
    elif isinstance(like, dict) and isinstance(value, dict):
        same = value.keys() == like.keys()
    elif isinstance(like, tuple | list) and type(value) is type(like):
        same = len(value) == len(like)
    else:
        same = type(value) is type(like) and (type(value) is not int or 0 <= value < 2**63)
    if not same:
        raise ValueError(f"{name} is {_described(value)}, it must be {_described(like)}")
    if isinstance(like, dict | tuple | list):
        for key in like if isinstance(like, dict) else range(len(like)):
            check_like(value[key], like[key], f"{name}: {key}")


def check_optimizer(saved: Any, optimizer: torch.optim.Optimizer) -> None:
    """Raise KeyError, ValueError or TypeError unless an optimizer can go on from a state dict with its kind.

    Of those that have a name here, what they keep for each parameter is known; of others, tensors must have the
    parameter's shape.
    """
    if saved["kind"] != type(optimizer).__name__:
        raise ValueError(f"it was saved with the optimizer {saved['kind']}, this one is {type(optimizer).__name__}")
    places = []
    for group, own in zip(saved["param_groups"], optimizer.state_dict()["param_groups"], strict=True):
        _check_options(group, own)
        places += [(place, group) for place in own["params"]]
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for place, group in places:
        if place in saved["state"]:
            _check_kept(saved["state"][place], optimizer, group, parameters[place])
    if not saved["state"].keys() <= {place for place, _ in places}:
        raise ValueError("the optimizer has kept something for a parameter that is not there")


def _check_random(states: Any, like: Mapping[str, list[Tensor]]) -> None:
    """Check random states: of each kind of device one for each process, of which there may have been another number."""
    for kind, own in like.items():
        if not states[kind]:
            raise ValueError(f"there is no random state of the {kind}")
        check_like(states[kind], own[:1] * len(states[kind]), f"the random states of the {kind}")


def _check_options(group: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Check the options of a group of parameters: numbers may have been changed in training, nothing else may."""
    if _without(group, ["initial_lr"]).keys() != _without(own, ["initial_lr"]).keys():
        raise ValueError(f"the optimizer's options are {sorted(group)}, they must be {sorted(own)}")
    for name, value in group.items():
        like = own[name] if name in own else own["lr"]
        if name in FORMS:
            same = value is None or isinstance(value, bool)
        elif _is_number(like):
            same = _is_number(value)
        elif isinstance(like, tuple):
            same = isinstance(value, tuple) and len(value) == len(like) and all(map(_is_number, value))
        else:
            same = isinstance(like, Tensor) or (value == like and type(value) is type(like))
        if not same:
            raise ValueError(f"the optimizer's {name} is {_described(value)}, it must be {_described(like)}")


def _check_kept(kept: Any, optimizer: torch.optim.Optimizer, group: Mapping[str, Any], parameter: Tensor) -> None:
    """Check what is kept for a parameter: numbers of its own, and tensors of its shape."""
    like = _kept(optimizer, group, parameter)
    if like is None:
        like = {name: value for name, value in kept.items() if isinstance(value, Tensor)}
    elif kept.keys() != like.keys():
        raise ValueError(f"the optimizer keeps {sorted(like)} for a weight, not {sorted(kept)}")
    for name, of in like.items():
        wanted = of if of.ndim == 0 else parameter.detach()
        check_like(kept[name], wanted, f"the optimizer's {name}")
        if not bool(torch.isfinite(kept[name]).all()) or (of.ndim == 0 and kept[name] < 0):
            raise ValueError(f"the optimizer's {name} has elements that make no sense")


def _kept(optimizer: torch.optim.Optimizer, group: Mapping[str, Any], parameter: Tensor) -> dict[str, Tensor] | None:
    """Return what an optimizer with these options keeps for a weight, by one update of a small one; None: unknown."""
    kind = type(optimizer)
    if kind not in OPTIMIZERS.values():
        return None
    known = inspect.signature(kind).parameters
    small = nn.Parameter(torch.zeros(1, dtype=parameter.dtype, device=parameter.device))
    small.grad = torch.zeros_like(small)
    probe = kind([small], **{name: value for name, value in group.items() if name in known and name != "params"})
    probe.step()
    return dict(probe.state[small])


def _is_carried(state: Any) -> bool:
    if isinstance(state, tuple | list):
        return all(map(_is_carried, state))
    return state is None or isinstance(state, Tensor)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _without(values: Mapping[str, Any], names: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in names}


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {tuple(value.shape)} of {value.dtype}"
    if isinstance(value, dict):
        return f"a table of {sorted(map(str, value))}"
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    return f"{type(value).__name__} {repr(value)[:40]}"
