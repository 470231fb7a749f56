"""Packing: nested values apart into what JSON holds and named tensors, and together again. No pickle.

Tuples, floats that are not finite, tables with keys other than text, and tensors become tables of one word with a
dollar; all else is as JSON has it.
"""

import math
from typing import Any

from torch import Tensor

TENSOR, TUPLE, ITEMS, FLOAT = "$tensor", "$tuple", "$items", "$float"


def pack(value: Any, name: str = "") -> tuple[Any, dict[str, Tensor]]:
    """Return the value with a reference for each tensor, and the tensors by their places: "optimizer.state.0.exp_avg".

    Raises:
        TypeError: there is something that is no tensor, number, text, None, list, tuple or dict.
    """
    tensors: dict[str, Tensor] = {}
    return _packed(value, name, tensors), tensors


def unpack(plain: Any, tensors: dict[str, Tensor]) -> Any:
    """Put together what `pack` gave.

    Raises:
        KeyError, ValueError, TypeError: it is not what `pack` gives, or a tensor is missing.
    """
    if isinstance(plain, list):
        return [unpack(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    if TENSOR in plain:
        return tensors[plain[TENSOR]]
    if TUPLE in plain:
        return tuple(unpack(item, tensors) for item in plain[TUPLE])
    if ITEMS in plain:
        return {unpack(key, tensors): unpack(item, tensors) for key, item in plain[ITEMS]}
    if FLOAT in plain:
        return float(plain[FLOAT])
    return {key: unpack(item, tensors) for key, item in plain.items()}


def _packed(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        while name in tensors:  # "a.b" may be one key or two
            name += "'"
        tensors[name] = value
        return {TENSOR: name}
    if isinstance(value, dict):
        items = [(key, _packed(item, _inside(name, key), tensors)) for key, item in value.items()]
        if all(isinstance(key, str) and not key.startswith("$") for key in value):
            return dict(items)
        return {ITEMS: [[_packed(key, name, tensors), item] for key, item in items]}
    if isinstance(value, list | tuple):
        packed = [_packed(item, _inside(name, number), tensors) for number, item in enumerate(value)]
        return packed if isinstance(value, list) else {TUPLE: packed}
    if isinstance(value, float) and not math.isfinite(value):
        return {FLOAT: repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{name or 'the value'} is of type {type(value).__name__}, which a checkpoint does not hold")


def _inside(name: str, key: object) -> str:
    return f"{name}.{key}" if name else str(key)
