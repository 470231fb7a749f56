"""Effective memory: the lag of a delay line is recovered to the step."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit.core.cell import building
from rnnkit.errors import UsageError
from rnnkit.inspection import effective_memory

from .odd_cells import DelayLine, Numbers


def test_a_delay_line_has_the_memory_that_it_holds():
    for held in (1, 3, 7):
        # Its output is the input so many steps before, so one more has to be seen.
        memory = effective_memory(DelayLine(2, held), steps=12)
        assert memory.memory == held + 1
        np.testing.assert_array_equal(memory.cost > 0, np.arange(1, 13) <= held)
        assert f"Its memory is {held + 1} inputs" in memory.reading


def test_several_judged_outputs_count_from_the_first():
    memory = effective_memory(DelayLine(2, 3), steps=12, last=5)
    assert memory.memory == 4
    assert memory.contexts.tolist() == list(range(1, 9))


def test_a_memory_longer_than_the_sequence_is_said_to_be_open():
    memory = effective_memory(DelayLine(2, 20), steps=8, inputs=torch.randn(8, 2, 2))
    assert not memory.cost.any()  # all outputs are zero
    layer = rnnkit.RNN("lstm", 2, 4)
    layer.bias_ih_l0.data[4:8] = 20  # the forget gate stays open
    memory = effective_memory(layer, steps=8)
    assert memory.memory == 8
    assert memory.reading.startswith("It uses all 8 inputs")


def perfect_model(task):
    """Return a model that solves the task of numbers exactly: a delay line, read out as it is."""
    with building(None, torch.float64):
        model = rnnkit.Model(task, DelayLine, task.lag)
    model.readout.weight.data = torch.eye(2, dtype=torch.float64)
    model.readout.bias.data.zero_()
    return model


@pytest.mark.parametrize("lag", [2, 5])
def test_the_lag_of_a_task_is_recovered_from_the_loss(lag):
    task = Numbers(lag=lag, seq_len=15)
    memory = effective_memory(perfect_model(task), task=task, last=4, batch_size=3)
    assert memory.memory == lag + 1
    assert memory.loss[-1] == 0
    assert (memory.loss[:lag] > 0.05).all()


def test_contexts_are_those_of_a_layer_that_is_run_on_the_last_inputs_alone():
    torch.manual_seed(0)
    layer = rnnkit.RNN("gru", 3, 4, 2, bidirectional=True, dtype=torch.float64)
    xs = torch.randn(9, 2, 3, dtype=torch.float64)
    memory = effective_memory(layer, xs, last=2)
    whole = layer(xs)[0][-2:].detach()
    for k, cost in zip(memory.contexts, memory.cost, strict=True):
        alone = layer(xs[-int(k) - 1 :])[0][-2:].detach()
        assert cost == pytest.approx(float((alone - whole).norm() / whole.norm()), rel=1e-9, abs=1e-14)


def test_it_is_the_same_in_one_go_and_in_several(monkeypatch):
    whole = effective_memory("gru", steps=10)
    monkeypatch.setattr("rnnkit.inspection.context.ROWS", 24)
    np.testing.assert_allclose(effective_memory("gru", steps=10).cost, whole.cost, rtol=1e-9, atol=1e-14)


def test_a_learnt_initial_state_is_where_each_context_begins():
    with building(None, torch.float64):
        cell = rnnkit.cells["learnt_state"](3, 4, inner="rnn")
    cell.initial_h.data.fill_(0.5)
    xs = torch.randn(6, 2, 3, dtype=torch.float64)
    memory = effective_memory(cell, xs)
    ys = [rnnkit.inspection.record(cell, xs[-k:]).outputs[-1] for k in range(1, 7)]
    expected = [np.linalg.norm(y - ys[-1]) / np.linalg.norm(ys[-1]) for y in ys]
    np.testing.assert_allclose(memory.cost, expected, rtol=1e-9, atol=1e-14)


def test_of_long_sequences_some_contexts_are_tried_and_it_is_said():
    memory = effective_memory("rnn", input_size=1, hidden_size=2, steps=400, batch_size=1)
    assert len(memory.contexts) < 65
    assert memory.contexts[-1] == 400
    free = int((memory.cost[:-1] <= 0).sum())
    assert memory.notes == (
        f"Of 400 contexts {len(memory.contexts)} were tried, so the memory is known to about a tenth.",
        f"{free} contexts of {len(memory.contexts)} cost nothing, and are gaps in the picture.",
    )


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"last": 7}, "last is 7; the sequence has 6 steps"),
        ({"contexts": [9]}, "contexts has 9; there are 6 inputs before the first judged output"),
        ({"tolerance": 0}, "tolerance is 0"),
    ],
)
def test_what_cannot_be_honoured_is_refused(arguments, problem):
    with pytest.raises(UsageError, match=problem):
        effective_memory("rnn", steps=6, **arguments)


def test_a_task_with_one_target_is_judged_at_the_last_step():
    task = rnnkit.tasks["adding"](seq_len=6)
    model = rnnkit.Model(task, "rnn", 3)
    assert effective_memory(model, task=task, batch_size=4).memory <= 6
    with pytest.raises(UsageError, match="last is 2; task 'adding' has one target a sequence"):
        effective_memory(model, task=task, last=2)


@pytest.mark.slow
def test_a_trained_model_remembers_as_long_as_its_task_asks_for():
    torch.manual_seed(0)
    task = Numbers(lag=4, seq_len=20)
    model = rnnkit.Model(task, "gru", 32)
    new = effective_memory(model, task=task, batch_size=64)
    *_, last = rnnkit.train(model, task, steps=1500, lr=1e-2, seed=0)
    assert last.loss < 0.05
    trained = effective_memory(model, task=task, batch_size=64)
    assert (new.loss > 0.5).all()
    assert (trained.loss[:4] > 0.5).all()
    assert trained.memory == 5
