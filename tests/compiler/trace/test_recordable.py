"""Operations that overwrite a tensor, each told from the one that makes a new one by what it takes."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit_compiler.trace.recordable import functional_form
from rnnkit_compiler.trace.recording import NotRecordable

from ..test_compiled_law import Compiled
from ..test_odd_cells import both, gradients

aten = torch.ops.aten

OVERWRITING = [
    getattr(packet, overload)
    for packet in (getattr(aten, name) for name in dir(aten) if name.endswith("_") and not name.startswith("_"))
    if isinstance(packet, torch._ops.OpOverloadPacket)
    for overload in packet.overloads()
]


def taken_by(func):
    return [str(argument.type) for argument in func._schema.arguments]


def test_what_is_made_anew_is_made_of_the_same():
    found = 0
    for func in OVERWRITING:
        try:
            form = functional_form(func, torch.ones(1))
        except NotRecordable:
            continue
        found += 1
        assert form is None or taken_by(form) == taken_by(func), func
    assert found > 200


WAYS = {
    "pow_": lambda z: z.abs().add_(0.1).pow_(1.7),
    "pow_ of a tensor": lambda z: z.abs().add_(0.1).pow_(z.sigmoid()),
    "square_": lambda z: z.clone().square_(),
    "**=": lambda z: power(z),
    "float_power_": lambda z: z.clone().float_power_(2),
    "ldexp_": lambda z: z.clone().ldexp_(torch.tensor(-1.0)),
    "floor_divide_": lambda z: (z.detach() * 7).floor_divide_(2.0) + z,
    "floor_divide_ of a tensor": lambda z: (z.detach() * 7).floor_divide_(torch.full_like(z, 2.0)) + z,
}


def power(z):
    z = z * 1.0
    z **= 2
    return z


class Overwriting(rnnkit.Cell):
    def __init__(self, input_size, hidden_size, way):
        super().__init__(input_size, hidden_size)
        self.recurrent = nn.Linear(hidden_size, hidden_size)
        self.way = way

    def step(self, x, state):
        (h,) = state
        h = torch.tanh(x + WAYS[self.way](self.recurrent(h)))
        return h, (h,)


@pytest.mark.parametrize("way", WAYS)
def test_a_step_that_overwrites_runs_natively(way):
    torch.manual_seed(0)
    cell = Overwriting(5, 5, way).double()
    assert Compiled().backend_of(cell) == "cpp"
    xs, state = torch.randn(6, 3, 5, dtype=torch.float64), (torch.randn(3, 5, dtype=torch.float64),)
    both(lambda unroller: gradients(unroller, cell, xs.requires_grad_(), state))
