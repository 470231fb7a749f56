"""Losses, element by element."""

from collections.abc import Callable
from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.rules.pointwise import pointwise, scaled
from rnnkit_compiler.ir.rules.table import Table
from rnnkit_compiler.ir.values import NotLowerable

TABLE = Table(cheap=True)

Loss = Callable[..., Node]


def _loss(name: str, operands: tuple[str, ...] = ("self", "target")) -> Callable[[Loss], Loss]:
    """Enter a loss of each element; what adds them up or averages them does so over the batch."""

    def enter(function: Loss) -> Loss:
        def of_each(*nodes: Any, reduction: int = 0, **others: Any) -> Node:
            if reduction:
                raise NotLowerable(f"{name} goes over the batch")
            return function(*nodes, **others)

        pointwise(TABLE, name, operands=operands)(of_each)
        return function

    return enter


_loss("mse_loss")(lambda a, b: (a - b) * (a - b))
_loss("soft_margin_loss")(lambda a, b: ((-(a * b)).exp() + 1).log())


@_loss("smooth_l1_loss")
def _smooth_l1(a: Node, b: Node, beta: float) -> Node:
    away = (a - b).abs()
    return away.lt(beta).where((a - b) * (a - b) * 0.5 / beta, away - 0.5 * beta) if beta else away


@_loss("huber_loss")
def _huber(a: Node, b: Node, delta: float) -> Node:
    away = (a - b).abs()
    return away.le(delta).where((a - b) * (a - b) * 0.5, scaled(away - 0.5 * delta, delta))


@_loss("binary_cross_entropy_with_logits", operands=("self", "target", "weight", "pos_weight"))
def _with_logits(a: Node, b: Node, weight: Node | None, pos_weight: Node | None) -> Node:
    log_sigmoid = a.minimum(0) - (-a.abs()).exp().log1p()
    factor = 1 if pos_weight is None else (pos_weight - 1) * b + 1
    result = (1 - b) * a - log_sigmoid * factor
    return result if weight is None else result * weight
