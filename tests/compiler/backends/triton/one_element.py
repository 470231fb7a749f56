"""A cell with parameters of one element, `p` and `q`, and all that torch makes of a row and of these."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit

Made = Callable[[Tensor, Tensor, Tensor], Tensor]

OF_ONE_ELEMENT: dict[str, Made] = {
    "maximum": lambda a, p, q: torch.maximum(a, p),
    "minimum": lambda a, p, q: torch.minimum(p, a),
    "fmax": lambda a, p, q: torch.fmax(a, p),
    "fmin": lambda a, p, q: torch.fmin(p, a),
    "fmod": lambda a, p, q: torch.fmod(a, p) + torch.fmod(q, a.abs() + 1),
    "remainder": lambda a, p, q: torch.remainder(a, p) + torch.remainder(q, a.abs() + 1),
    "floor_divide": lambda a, p, q: a * torch.floor_divide(a.detach(), p.detach()),
    "pow": lambda a, p, q: torch.pow(a.abs() + 0.1, p) + torch.pow(q, a),
    "where": lambda a, p, q: torch.where(a > p, a, p) + torch.where(q > 0, a, -a) + torch.where(a > 0, p, q),
    "hypot": lambda a, p, q: torch.hypot(a, p),
    "atan2": lambda a, p, q: torch.atan2(a, p) + torch.atan2(q, a),
    "copysign": lambda a, p, q: torch.copysign(a, p) + torch.copysign(q, a),
    "clamp": lambda a, p, q: torch.clamp(a, -p, q),
    "lerp": lambda a, p, q: torch.lerp(a, p, q) + torch.lerp(p, a, q),
    "comparisons": lambda a, p, q: a * (a > p) + a * (a <= q) + (a == p) + (q != a),
    "nextafter": lambda a, p, q: torch.nextafter(a, p),
    "arithmetic": lambda a, p, q: torch.addcmul(a, p, q) * p + q / (a.abs() + 1) - p,
    "logarithms": lambda a, p, q: torch.xlogy(p, a.abs() + 1) + torch.logaddexp(a, q),
    "prelu": lambda a, p, q: F.prelu(a, p.reshape(1)),
    "of both": lambda a, p, q: a * torch.maximum(p, q) * torch.pow(p, q) + torch.fmod(p, q),
    "special": lambda a, p, q: a * torch.special.gammainc(p.detach(), a.abs() + 0.1) * torch.lgamma(q),
    "a number of the row": lambda a, p, q: a / torch.maximum(a.norm(dim=1, keepdim=True), p),
    "running": lambda a, p, q: torch.cumsum(torch.maximum(a, p), 1),
}
"""By the name of an operation: what is made of a row and two numbers that all rows have."""


class OfOneElement(rnnkit.Cell):
    """tanh of something that is made of a row and of parameters of one element.

    Args:
        made: of what.
        shape: of the parameters, (1,) or ().
    """

    def __init__(self, made: Made, shape: tuple[int, ...]) -> None:
        super().__init__(3, 4)
        self.made = made
        self.linear = torch.nn.Linear(7, 4)
        self.p, self.q = (torch.nn.Parameter(torch.full(shape, number)) for number in (0.7, 0.9))

    def step(self, x, state):
        a = self.linear(torch.cat([x, state[0]], 1))
        h = torch.tanh(self.made(a, self.p, self.q))
        return h, (h,)
