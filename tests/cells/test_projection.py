"""Projections: the recurrent product and the output see W_hr h, against the equations written out."""

import re

import pytest
import torch
from torch.nn import functional as F

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError

from ..slow_cases import slow_but

T, B, D, H, P = 6, 3, 4, 5, 2


def lstm(p, h, c, cell, hidden):
    i, f, g, o = (p + h @ cell.weight_hh.T).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return (o.sigmoid() * c.tanh()) @ cell.weight_hr.T, c


def peephole(p, h, c, cell, hidden):
    i, f, g, o = (p + h @ cell.weight_hh.T).chunk(4, 1)
    i, f = (i + cell.peephole_i * c).sigmoid(), (f + cell.peephole_f * c).sigmoid()
    c = f * c + i * g.tanh()
    return ((o + cell.peephole_o * c).sigmoid() * c.tanh()) @ cell.weight_hr.T, c


def layernorm(p, h, c, cell, hidden):
    i, f, g, o = (p + F.layer_norm(h @ cell.weight_hh.T, (4 * H,), cell.gain_hh, cell.bias_hh)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return (o.sigmoid() * F.layer_norm(c, (H,), cell.gain_c, cell.bias_c).tanh()) @ cell.weight_hr.T, c


def rnn(p, h, cell, hidden):
    return ((p + h @ cell.weight_hh.T).tanh() @ cell.weight_hr.T,)


def gru(p, h, cell, hidden):
    p_r, p_z, p_n = p.chunk(3, 1)
    h_r, h_z, h_n = ((h @ cell.weight_hr.T) @ cell.weight_hh.T + cell.bias_hh).chunk(3, 1)
    z = (p_z + h_z).sigmoid()
    return ((1 - z) * (p_n + (p_r + h_r).sigmoid() * h_n).tanh() + z * h,)


EQUATIONS = {"lstm": lstm, "peephole": peephole, "layernorm": layernorm, "rnn": rnn, "gru": gru}
every_cell = pytest.mark.parametrize("name", EQUATIONS)


def build(name):
    torch.manual_seed(0)
    with building(None, torch.float64):
        return rnnkit.cells[name](D, H, proj_size=P)


@every_cell
def test_the_equations(name):
    cell = build(name)
    xs = torch.randn(T, B, D, dtype=torch.float64)
    state = tuple(torch.randn_like(tensor) for tensor in cell.initial_state(B))
    ys, last = rnnkit.unrollers["loop"]()(cell, xs, state)
    projected = cell.project(xs)
    for t in range(T):
        state = EQUATIONS[name](projected[t], *state, cell, H)
        y = state[0] @ cell.weight_hr.T if name == "gru" else state[0]
        torch.testing.assert_close(ys[t], y, rtol=0, atol=1e-12)
    torch.testing.assert_close(last, state, rtol=0, atol=1e-12)
    assert cell.output_size == ys.shape[2] == P


@pytest.mark.parametrize("name", slow_but(["lstm", "gru"], EQUATIONS))
def test_every_promise_of_a_cell(name):
    rnnkit.testing.check_cell(rnnkit.cells[name], proj_size=P)


@pytest.mark.parametrize("name", slow_but(["lstm", "gru"], EQUATIONS))
def test_in_a_layer_the_next_one_sees_the_projection(name):
    layer = rnnkit.RNN(name, D, H, num_layers=2, bidirectional=True, proj_size=P)
    output, state = layer(torch.randn(T, B, D))
    assert output.shape == (T, B, 2 * P)
    assert layer.get_parameter("weight_ih_l1").shape[1] == 2 * P
    assert layer.get_parameter("weight_hr_l1_reverse").shape == (P, H)
    widths = [tensor.shape[2] for tensor in (state if isinstance(state, tuple) else (state,))]
    assert widths == {"gru": [H], "rnn": [P]}.get(name, [P, H])


@every_cell
@pytest.mark.parametrize("size", [H, H + 1, -1, 1.5])
def test_what_is_no_projection_is_said_in_a_sentence(name, size):
    with pytest.raises(UsageError, match=re.escape(f"proj_size is {size}; it must be ")):
        rnnkit.cells[name](D, H, proj_size=size)
