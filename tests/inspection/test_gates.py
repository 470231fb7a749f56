"""Gates: how they are found and named, and what saturates them."""

import re
import sys

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UnknownNameError, UsageError
from rnnkit.inspection import gate_activity

from ..core_cells import CORE_CELLS
from .odd_cells import Hidden, Named, NoActivation, OfStates

SMALL = {"steps": 5, "batch_size": 3, "input_size": 3, "hidden_size": 4}


def names(activity):
    return [gate.name for gate in activity.gates]


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("lstm", ["i", "f", "g", "o", "tanh(c)"]),
        ("peephole", ["i", "f", "g", "o", "tanh(c)"]),
        ("layernorm", ["i", "f", "g", "o", "tanh 2"]),
        ("layernorm(bias=False)", ["i", "f", "g", "o", "tanh 2"]),
        ("lstm(bias=False, proj_size=2)", ["i", "f", "g", "o", "tanh(c)"]),
        ("gru", ["r", "z", "n"]),
        ("gru(reset_after=False)", ["r", "z", "n"]),
        ("rnn", ["h"]),
        ("rnn(nonlinearity='relu')", ["h"]),
        ("variational(residual(zoneout(gru)))", ["r", "z", "n"]),
        (Named, ["update", "softsign 1", "mixture", "tanh(mixture)"]),
        (OfStates, ["sigmoid(h before)", "tanh(h)", "tanh 2"]),
        (NoActivation, []),
    ],
)
def test_gates_have_the_names_that_they_have_in_the_equations(cell, expected):
    assert names(gate_activity(cell, **SMALL)) == expected


def values_by_hand(cell, xs):
    """Return the LSTM's gates, written out."""
    h = c = torch.zeros(xs.shape[1], cell.hidden_size, dtype=xs.dtype)
    gates = []
    for x in xs:
        sums = x @ cell.weight_ih.t() + cell.bias_ih + h @ cell.weight_hh.t() + cell.bias_hh
        i, f, g, o = sums.chunk(4, 1)
        i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
        c = f * c + i * g
        h = o * c.tanh()
        gates.append(torch.stack([i, f, g, o, c.tanh()]))
    return torch.stack(gates, 1).detach()


def test_the_values_are_those_of_the_equations():
    torch.manual_seed(0)
    with building(None, torch.float64):
        cell = rnnkit.cells["lstm"](3, 4)
    xs = torch.randn(6, 2, 3, dtype=torch.float64)
    activity = gate_activity(cell, xs)
    by_hand = values_by_hand(cell, xs)
    for gate, values in zip(activity.gates, by_hand, strict=True):
        np.testing.assert_allclose(gate.over_time, values.mean((1, 2)), rtol=1e-12)
        assert gate.mean == pytest.approx(float(values.mean()), rel=1e-12)
        assert gate.histogram.sum() == pytest.approx(1)
        low, high = (0, 1) if gate.name in "ifo" else (-1, 1)
        assert (gate.low, gate.high) == (low, high)
        np.testing.assert_allclose(gate.closed, (values <= low + (high - low) / 10).double().mean((0, 1)))


@pytest.mark.parametrize("cell", [name for name in CORE_CELLS if hasattr(rnnkit.cells[name], "forget_gate")])
@pytest.mark.parametrize(("bias", "end"), [(60.0, "open"), (-60.0, "closed")])
def test_a_bias_that_is_forced_saturates_its_gate_and_no_other(cell, bias, end):
    with building(None, torch.float64):
        subject = rnnkit.cells[cell](3, 4)
    forget = subject.forget_gate
    rows = slice(subject.gates.index(forget) * 4, (subject.gates.index(forget) + 1) * 4)
    subject.bias_ih.data[rows] = bias
    gates = {gate.name: gate for gate in gate_activity(subject, steps=5, batch_size=3).gates}
    assert (getattr(gates[forget], end) == 1.0).all()
    assert gates[forget].stuck == 1.0
    others = [gate for name, gate in gates.items() if name in subject.gates and name != forget]
    assert max(float(np.maximum(gate.open, gate.closed).mean()) for gate in others) < 1


def test_a_stuck_gate_is_named_in_the_reading():
    subject = rnnkit.cells["gru"](3, 4)
    subject.bias_ih.data[4:8] = 60
    activity = gate_activity(subject, steps=5)
    assert activity.reading == "Stuck at an end of their range are z (100 % of its units)."
    assert "stuck gate learns nothing" in activity.advice


def test_relu_is_closed_where_it_is_zero():
    (gate,) = gate_activity("rnn", nonlinearity="relu", **SMALL).gates
    assert gate.high == np.inf
    assert 0.2 < gate.closed.mean() < 0.8
    assert not gate.open.any()


def test_gates_and_variables_are_chosen_by_name():
    assert names(gate_activity("lstm", gates=["f", "c"], **SMALL)) == ["f", "c"]
    layer = rnnkit.RNN("lstm", 3, 4, 2)
    assert names(gate_activity(layer, gates=["f"])) == ["f_l0", "f_l1"]
    assert names(gate_activity(layer, gates=["f_l1"])) == ["f_l1"]
    with pytest.raises(
        UnknownNameError, match=r"no cell has a gate 'forget'; there are i, f, g, o, tanh\(c\), c, h, p"
    ):
        gate_activity("lstm", gates=["forget"], **SMALL)


def test_what_has_no_beginning_at_zero_is_near_an_end_and_not_open_or_closed():
    rows = dict(gate_activity("lstm", **SMALL).rows())
    assert all(" closed " in rows[name] and " open " in rows[name] for name in "ifo")
    assert all(" near -1 " in rows[name] and " near +1 " in rows[name] for name in ("g", "tanh(c)"))
    assert re.search(
        r"^mean .*, near -\S+ \S+ %, near \+\S+ ", dict(gate_activity("lstm", gates=["c"], **SMALL).rows())["c"]
    )
    torch.manual_seed(0)
    wide = gate_activity("rnn", 5 * torch.randn(5, 3, 3), input_size=3, hidden_size=4)
    assert "nearest to the ends is h, near -1 for " in wide.reading
    assert "and near +1 for " in wide.reading


def test_a_cell_without_activations_is_told_so():
    activity = gate_activity(NoActivation, **SMALL)
    assert activity.reading.startswith("No activation runs in the step")


def test_what_cannot_be_seen_is_said():
    activity = gate_activity(Hidden, **SMALL)
    assert [note.split(": ")[1] for note in activity.notes] == [
        "What the autograd function Double computes inside cannot be seen.",
        "1 tanh ran where Python does not see it, as in TorchScript, and cannot be shown.",
    ]


def test_time_runs_forwards_in_a_reverse_cell_too():
    torch.manual_seed(0)
    layer = rnnkit.RNN("rnn", 1, 1, bidirectional=True, dtype=torch.float64)
    xs = torch.zeros(4, 1, 1, dtype=torch.float64)
    xs[3] = 50
    _, backward = gate_activity(layer, xs).gates
    assert abs(backward.over_time).argmax() == 3


def test_a_profiler_of_the_users_is_back_afterwards():
    events = []

    def profiler(*event):
        events.append(event)

    sys.setprofile(profiler)
    try:
        gate_activity(Named, **SMALL)
        assert sys.getprofile() is profiler
    finally:
        sys.setprofile(None)


def test_no_gates_are_asked_for_by_nothing():
    with pytest.raises(UsageError, match="gates is empty; name some, or leave it out for all"):
        gate_activity("gru", gates=[])
