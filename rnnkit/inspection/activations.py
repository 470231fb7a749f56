"""Activations: what bounded functions return while a step runs, seen and, on request, replaced."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

Range = tuple[float, float]

RANGES: Mapping[str, Range] = {
    "sigmoid": (0.0, 1.0),
    "expit": (0.0, 1.0),
    "hardsigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softmin": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "hardtanh": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
    "relu": (0.0, math.inf),
}
"""What an activation's results lie between, by the name of the function, method or in-place method of torch's."""


class Activation(NamedTuple):
    """The result of one activation."""

    function: str
    result: Tensor
    range: Range
    argument: Tensor | None = None
    """What it is the activation of."""


Replace = Callable[[int, Tensor], Tensor]
"""From the number of an activation within its step, and its result, to what is handed on instead."""


class ActivationWatch(TorchFunctionMode):
    """Notes the result of every activation that Python code calls, in the order of the calls.

    Args:
        replace: changes results before they are handed on.
    """

    def __init__(self, replace: Replace | None = None) -> None:
        super().__init__()
        self.seen: list[Activation] = []
        self._replace = replace

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function, and note what it returns if it is an activation."""
        result = func(*args, **(kwargs or {}))
        called = getattr(func, "__name__", "")
        name = called.removeprefix("special_").removesuffix("_")
        if name not in RANGES or not isinstance(result, Tensor):
            return result
        if self._replace is not None:
            replaced = self._replace(len(self.seen), result)
            result = result.copy_(replaced) if called.endswith("_") else replaced
        argument = args[0] if args else (kwargs or {}).get("input")
        self.seen.append(Activation(name, result, _range(name, args, kwargs or {}), argument))
        return result


def _range(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Range:
    """Return what results lie between; that of hardtanh is an argument."""
    if name != "hardtanh":
        return RANGES[name]
    low = kwargs.get("min_val", args[1] if len(args) > 1 else -1.0)
    high = kwargs.get("max_val", args[2] if len(args) > 2 else 1.0)
    return float(low), float(high)


_NODES = {
    "SigmoidBackward0": ("sigmoid", "expit"),
    "HardsigmoidBackward0": ("hardsigmoid",),
    "SoftmaxBackward0": ("softmax", "softmin"),
    "TanhBackward0": ("tanh",),
    "HardtanhBackward0": ("hardtanh", "relu6"),
    "ReluBackward0": ("relu",),
}
"""What autograd calls the derivative of an activation."""


def unseen(outputs: list[Tensor], seen: list[Activation]) -> list[str]:
    """Say what of a step's graph no watch has seen: fused or scripted activations, functions with their own derivative.

    Args:
        outputs: what the step returned, with gradients.
        seen: what a watch has noted meanwhile.
    """
    names, custom = _nodes(outputs)
    sentences = [f"What the autograd function {name} computes inside cannot be seen." for name in sorted(custom)]
    for node, functions in _NODES.items():
        hidden = names.count(node) - sum(activation.function in functions for activation in seen)
        if hidden > 0:
            sentences.append(
                f"{hidden} {functions[0]} ran where Python does not see it, as in TorchScript, and cannot be shown."
            )
    return sentences


def _nodes(outputs: list[Tensor]) -> tuple[list[str], set[str]]:
    """Return the kinds of nodes in a graph, and the names of those whose derivative is written in Python."""
    names: list[str] = []
    custom: set[str] = set()
    seen: set[Any] = set()
    todo: list[Any] = [tensor.grad_fn for tensor in outputs if tensor.grad_fn is not None]
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        names.append(node.name())
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            custom.add(type(node).__name__.removesuffix("Backward"))
        todo += [following for following, _ in node.next_functions if following is not None]
    return names, custom
