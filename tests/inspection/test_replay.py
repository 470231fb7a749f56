"""Time travel: a recording is run again to the bit, and what is replaced does what the equations say."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.inspection import record, replay

from .conftest import SMALL, built
from .odd_cells import Linear, Mixed, Named


def equal(one, other):
    return (
        np.array_equal(one.outputs, other.outputs)
        and all(np.array_equal(values, other.states[name]) for name, values in one.states.items())
        and all(np.array_equal(values, other.gates[name]) for name, values in one.gates.items())
    )


@pytest.mark.parametrize("at", [None, 3], ids=["from the beginning", "from step 3"])
def test_without_a_change_it_is_equal_to_the_bit(every_subject, at):
    subject, small = every_subject
    recording = record(subject, **small)
    again = replay(recording, at=at)
    assert equal(recording, again)
    assert "changes nothing, to the last bit" in again.reading
    # To replace something by itself runs the steps from there on once more.
    name = next(iter(recording.states))
    itself = replay(recording, at=at, states={name: recording})
    assert equal(recording, itself)
    for gate in recording.gates:
        assert equal(recording, replay(recording, at=at, gates={gate: recording})), gate


def test_a_recording_is_what_the_layer_gives():
    layer = built("layer")
    xs = torch.randn(5, 2, 3, dtype=torch.float64)
    recording = record(layer, xs)
    with torch.no_grad():
        ys, _, (hs, cs) = layer(xs, return_states=True)
    np.testing.assert_allclose(recording.outputs, ys.numpy(), rtol=1e-12)
    for k, suffix in enumerate(("_l0", "_l0_reverse", "_l1", "_l1_reverse")):
        np.testing.assert_allclose(recording.states[f"h{suffix}"], hs[k].numpy(), rtol=1e-12)
        np.testing.assert_allclose(recording.states[f"c{suffix}"], cs[k].numpy(), rtol=1e-12)


def test_a_layer_with_the_batch_first_is_recorded_as_it_takes_its_input():
    layer = built("mixed layers").eval()
    xs = torch.randn(2, 5, 3, dtype=torch.float64)
    np.testing.assert_allclose(record(layer, xs).outputs, layer(xs)[0].detach().transpose(0, 1).numpy(), rtol=1e-12)


@pytest.mark.parametrize("name", ["model of numbers", "model of symbols"])
def test_a_model_is_recorded_as_it_computes(name):
    model = built(name)
    xs = torch.randint(10, (5, 2)) if "symbols" in name else torch.randn(5, 2, 2)
    np.testing.assert_allclose(record(model, xs).outputs, model(xs)[0].detach().numpy(), rtol=1e-12)


def test_a_state_is_replaced_before_the_step_that_reads_it():
    torch.manual_seed(0)
    cell = Linear(1, 3)
    recording = record(cell, torch.zeros(6, 2, 1))
    changed = replay(recording, at=2, states={"h": torch.tensor([1.0, 0.0, 0.0])})
    matrix, h = cell.matrix.detach(), torch.tensor([1.0, 0.0, 0.0])
    for step in range(6):
        if step >= 2:
            h = matrix @ h
        expected = h.numpy() if step >= 2 else np.zeros(3)
        np.testing.assert_allclose(changed.states["h"][step, 0], expected, rtol=1e-5, atol=1e-7)
    assert not changed.changes["h"][:2].any()
    assert changed.changes["h"][2] == pytest.approx(float(matrix[:, 0].norm()), rel=1e-5)
    assert "changes the output from step 2 on" in changed.reading
    assert changed.at == (2,)


def test_an_open_forget_gate_and_a_closed_input_gate_keep_the_cell_state():
    torch.manual_seed(0)
    recording = record("lstm", steps=8, batch_size=2)
    kept = replay(recording, at=slice(3, None), gates={"f": 1.0, "i": 0.0})
    for step in range(3, 8):
        np.testing.assert_array_equal(kept.states["c"][step], recording.states["c"][2])
    assert (kept.gates["f"][3:] == 1).all()
    np.testing.assert_array_equal(kept.gates["f"][:3], recording.gates["f"][:3])


def test_a_piece_of_a_joint_activation_is_replaced_alone():
    torch.manual_seed(0)
    recording = record("gru", reset_after=False, steps=4)
    held = replay(recording, gates={"z": 1.0})
    assert not held.states["h"].any()  # h = z h + (1 - z) n, from zeros
    np.testing.assert_array_equal(held.gates["r"][0], recording.gates["r"][0])


def test_an_activation_in_place_is_replaced_too():
    recording = record(Named, steps=3, input_size=2, hidden_size=3)
    changed = replay(recording, gates={"tanh(mixture)": 0.0})
    assert changed.changes["output"].all()
    assert not changed.gates["tanh(mixture)"].any()


def test_the_past_of_another_recording_is_taken_over_whole():
    with building(None, torch.float64):
        torch.manual_seed(0)
        cell = rnnkit.cells["lstm"](2, 3)
    xs, other_xs = torch.randn(2, 6, 2, 2, dtype=torch.float64)
    recording, other = record(cell, xs), record(cell, torch.cat([other_xs[:3], xs[3:]]))
    grafted = replay(recording, at=3, states={"h": other, "c": other})
    np.testing.assert_array_equal(grafted.outputs[3:], other.outputs[3:])
    np.testing.assert_array_equal(grafted.outputs[:3], recording.outputs[:3])


def test_a_reverse_cell_is_replaced_at_the_time_that_is_asked_for():
    layer = built("layer")
    recording = record(layer, **SMALL)
    changed = replay(recording, at=4, states={"h_l1_reverse": 0.0})
    assert np.flatnonzero(changed.changes["h_l1_reverse"]).tolist() == [0, 1, 2, 3, 4]
    assert not changed.changes["h_l1"].any()


def test_a_lower_layer_changes_the_upper_one_and_not_the_other_way_round():
    torch.manual_seed(0)
    recording = record(rnnkit.RNN("gru", 2, 3, 2), steps=5)
    lower = replay(recording, at=2, states={"h_l0": 0.0}).changes
    assert not lower["h_l1"][:2].any()
    assert lower["h_l1"][2:].all()
    assert not replay(recording, at=2, states={"h_l1": 0.0}).changes["h_l0"].any()


def test_whole_numbers_and_complex_ones_are_replaced_too():
    recording = record(Mixed, steps=4, batch_size=2, input_size=2, hidden_size=3)
    counted = replay(recording, at=2, states={"count": 7})
    assert counted.states["count"][:, 0].tolist() == [1, 2, 8, 9]
    turned = replay(recording, at=2, states={"wave": 1j})
    assert turned.changes["wave"][2:].all()


def test_a_replay_can_be_replayed():
    recording = record("gru", steps=6)
    once = replay(recording, at=2, states={"h": 0.0})
    twice = replay(once, at=4, states={"h": 1.0})
    np.testing.assert_array_equal(twice.outputs[:4], once.outputs[:4])
    assert np.flatnonzero(twice.changes["output"]).tolist() == [4, 5]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"states": {"c": 0}}, "the recording has no state 'c'; there are h"),
        ({"gates": {"f": 0}}, "the recording has no gate 'f'; there are r, z, n"),
        ({"at": 6}, "at is 6; the recording has steps 0 to 5"),
        ({"at": slice(4, 4)}, r"at is slice\(4, 4, None\), which names no step of 0 to 5"),
        ({"at": "all"}, "at is 'all'; it must be a step or a slice"),
        (
            {"states": {"h": torch.zeros(5)}},
            r"state 'h' is replaced by a Tensor of shape \(5,\); it must fit",
        ),
        ({"gates": {"z": "open"}}, r"gate 'z' is replaced by a str; it must fit \(8, 32\)"),
    ],
)
def test_what_cannot_be_replaced_is_refused(arguments, problem):
    with pytest.raises(UsageError, match=problem):
        replay(record("gru", steps=6), **arguments)


def test_only_recordings_are_replayed_and_only_of_as_many_steps():
    with pytest.raises(UsageError, match="the recording is a str"):
        replay("gru")
    with pytest.raises(UsageError, match="'h' is to come from a recording of gru, which has none at this step"):
        replay(record("gru", steps=6), at=5, states={"h": record("gru", steps=2)})


def test_what_an_earlier_replay_replaced_is_said_to_be_undone():
    changed = replay(record("lstm", steps=6), at=2, states={"c": 0.0})
    assert replay(changed).reading.startswith("Undoing what was replaced before (c) changes the output from step 2 on")
