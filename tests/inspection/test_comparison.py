"""Two cells side by side: what is in the Jacobian's blocks, and what is counted."""

import pytest

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.inspection import compare_cells
from rnnkit.inspection.equations import equations_of, indented_block

from .odd_cells import DelayLine, EverySecond, Linear, Mixed, NeverFinite

SMALL = {"input_size": 3, "hidden_size": 4, "steps": 5, "batch_size": 2}


def test_parameters_operations_and_states_are_counted():
    comparison = compare_cells("lstm", "gru", **SMALL)
    lstm, gru = comparison.first, comparison.second
    assert lstm.parameter_count == 4 * (4 * 3 + 4 * 4 + 2 * 4)
    assert gru.parameter_count == 3 * (4 * 3 + 4 * 4 + 2 * 4)
    assert lstm.flops == 2 * 4 * 4 * (3 + 4)
    assert gru.flops == 2 * 3 * 4 * (3 + 4)
    assert lstm.states == {"h": (4,), "c": (4,)}
    assert lstm.parameters["weight_ih"] == (16, 3)
    assert comparison.reading.startswith("lstm has 1.33 times the parameters of gru")


def test_blocks_of_the_jacobian_are_called_what_they_are():
    lstm = compare_cells("lstm", "peephole", **SMALL).first
    assert lstm.blocks == {"h from h": "dense", "h from c": "diagonal", "c from h": "dense", "c from c": "diagonal"}
    assert lstm.nonzero == pytest.approx((2 * 16 + 2 * 4) / 64)
    assert not lstm.linear
    assert not lstm.fixed


def test_linear_cells_are_found_to_be():
    comparison = compare_cells(Linear, DelayLine, **SMALL)
    assert comparison.first.linear
    assert comparison.first.fixed
    assert comparison.second.fixed
    assert comparison.second.blocks == {"h from h": "sparse"}
    mixed = compare_cells(Mixed, "rnn", **SMALL).first
    assert set(mixed.blocks) == {f"{new} from {old}" for new in ("outer", "wave") for old in ("outer", "wave")}
    assert mixed.blocks["wave from outer"] == "not"
    assert not mixed.linear  # outer depends on the hyperbolic tangent of wave


class Gated(Linear):
    def step(self, p, state):
        h = state[0] * p[:, :1].sigmoid()
        return h, (h,)


def test_linear_in_the_state_and_not_in_the_input():
    facts = compare_cells(Gated, "rnn", **SMALL).first
    assert facts.linear
    assert not facts.fixed
    assert facts.blocks == {"h from h": "diagonal"}


def test_equations_are_those_of_the_docstring():
    comparison = compare_cells("zoneout(rnn)", "peephole", **SMALL)
    assert comparison.second.equations.startswith("i = σ(W_ii x + b_ii")
    assert "s = d ⊙ s_before" in comparison.first.equations
    assert "h = φ(W_ih x" in comparison.first.equations
    assert equations_of(Linear(1, 2)) == ""


def test_an_indented_block_ends_where_the_indentation_does():
    text = "Title.\n\n    a = 1\n\n      b = 2\n\nMore.\n\n    c = 3"
    assert indented_block(text) == "a = 1\n\n  b = 2"
    assert indented_block("Nothing.") == ""


def test_the_same_cell_twice_has_equal_figures():
    comparison = compare_cells("gru", "gru", **SMALL)
    assert comparison.reading.startswith("both have 108 parameters")
    assert (comparison.flows[0].total == comparison.flows[1].total).all()


def test_remarks_are_kept():
    comparison = compare_cells("gru", rnnkit.cells["rnn"](8, 32), remarks=["twice as fast"])
    assert comparison.to_json()["remarks"] == ["twice as fast"]


def test_more_than_a_cell_is_refused():
    with pytest.raises(UsageError, match="2 layers of gru is more than a cell; give one of its cells"):
        compare_cells(rnnkit.RNN("gru", 2, 3, 2), "gru")


def test_cells_of_other_widths_are_not_compared():
    cells = [rnnkit.cells["gru"](width, 4) for width in (3, 5)]
    with pytest.raises(UsageError, match="gru has input size 3, gru has input size 5; give cells of one size"):
        compare_cells(*cells)


def test_two_cells_of_one_name_are_told_apart():
    assert compare_cells("gru", "gru", **SMALL).reading.endswith("steps in gru (B).")


def test_a_jacobian_that_is_not_finite_is_said_to_be():
    comparison = compare_cells(NeverFinite, "gru", **SMALL)
    assert comparison.first.blocks == {"h from h": "not finite"}
    assert comparison.first.filled == "not finite"
    assert comparison.flows[0].pace == "are not finite"


def test_a_counter_goes_on_as_the_inputs_are_read():
    facts = compare_cells(EverySecond, "gru", **SMALL).first
    assert not facts.linear
    assert facts.blocks == {"h from h": "dense"}
