"""Of a saved training nothing is taken before all of it is found to fit."""

import copy
import math

import pytest
import torch

import rnnkit
from rnnkit.training.optimizers import OPTIMIZERS
from rnnkit.training.state_checks import check_like, check_optimizer, check_state

OPTIONS = {
    "adam": {"amsgrad": True},
    "adamw": {"betas": (0.8, 0.99)},
    "rmsprop": {"momentum": 0.9, "centered": True},
    "sgd": {"momentum": 0.9},
}


def training(steps=2, optimizer="adam", kept=None, **options):
    """Return a training that has taken some steps, and one of the same make that has taken none."""
    task = rnnkit.tasks["adding"](seq_len=6)
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        model = rnnkit.Model(task, "rnn", 3, unroller="loop")
        given = {
            "steps": steps,
            "batch_size": 2,
            "optimizer": optimizer,
            "optimizer_options": OPTIONS[optimizer] if kept is None else kept,
        }
        made.append(rnnkit.Training(model, task, **given, **options))
    list(made[0].records())
    return made


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_what_a_training_gives_fits(optimizer, schedule):
    trained, fresh = training(optimizer=optimizer, schedule=schedule, truncate=(2, 3))
    fresh.load_state(copy.deepcopy(trained.state()))
    assert fresh.step == trained.step


def test_a_plain_sgd_keeps_nothing():
    trained, fresh = training(optimizer="sgd", kept={})
    state = copy.deepcopy(trained.state())
    assert not any(value is not None for of in state["optimizer"]["state"].values() for value in of.values())
    fresh.load_state(copy.deepcopy(state))
    state["optimizer"]["state"][0] = {"more": torch.zeros(3)}
    with pytest.raises(ValueError, match="keeps"):
        fresh.load_state(state)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_thing_that_an_optimizer_keeps_is_checked(optimizer):
    trained, fresh = training(optimizer=optimizer)
    whole = copy.deepcopy(trained.state()["optimizer"])
    check_optimizer(whole, fresh.optimizer)
    for name, value in whole["state"][1].items():
        for wrong in (None, 1.0, value[None], value.to(torch.float16), torch.full_like(value, math.nan)):
            state = copy.deepcopy(whole)
            state["state"][1][name] = wrong
            with pytest.raises(ValueError, match=f"the optimizer's {name}"):
                check_optimizer(state, fresh.optimizer)
        state = copy.deepcopy(whole)
        del state["state"][1][name]
        with pytest.raises(ValueError, match="keeps"):
            check_optimizer(state, fresh.optimizer)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", "fast"),
        ("lr", ()),
        ("initial_lr", (0.1,)),
        ("lr", math.nan),
        ("lr", True),
        ("betas", (0.9,)),
        ("amsgrad", False),
        ("foreach", 1),
        ("eps", None),
    ],
    ids=str,
)
def test_options_of_another_kind(name, value):
    trained, fresh = training()
    state = copy.deepcopy(trained.state()["optimizer"])
    state["param_groups"][0][name] = value
    with pytest.raises(ValueError, match=f"the optimizer's {name}"):
        check_optimizer(state, fresh.optimizer)


def test_options_that_an_optimizer_refuses():
    trained, fresh = training()
    state = copy.deepcopy(trained.state()["optimizer"])
    state["param_groups"][0]["betas"] = (1.0, 0.9)
    with pytest.raises(ValueError, match="beta"):
        check_optimizer(state, fresh.optimizer)


def test_a_rate_that_was_changed_in_training_is_taken():
    trained, fresh = training()
    state = copy.deepcopy(trained.state()["optimizer"])
    state["param_groups"][0]["lr"] = 0.5
    check_optimizer(state, fresh.optimizer)


def test_a_state_of_a_weight_that_is_not_there():
    trained, fresh = training()
    state = copy.deepcopy(trained.state()["optimizer"])
    state["state"][99] = state["state"][0]
    with pytest.raises(ValueError, match="not there"):
        check_optimizer(state, fresh.optimizer)


class Own(torch.optim.SGD):
    """An optimizer of somebody's own, of which nobody knows what it keeps."""


def test_of_another_optimizer_only_shapes_are_known():
    weights = [torch.nn.Parameter(torch.ones(3))]
    optimizer = Own(weights, lr=0.1, momentum=0.9)
    weights[0].grad = torch.ones(3)
    optimizer.step()
    state = {"kind": "Own", **copy.deepcopy(optimizer.state_dict())}
    state["state"][0]["words"] = "of its own"
    check_optimizer(state, optimizer)
    state["state"][0]["momentum_buffer"] = torch.ones(4)
    with pytest.raises(ValueError, match="momentum_buffer"):
        check_optimizer(state, optimizer)


@pytest.mark.parametrize(
    ("entry", "value", "match"),
    [
        ("step", -1, "step is int -1"),
        ("step", 2**63, "step is int"),
        ("tokens", True, "tokens is bool"),
        ("seconds", "1", "seconds is str"),
        ("best", (1,), "best is a tuple of 1"),
        ("best", [1, 2.0], "best is a list"),
        ("waited", None, "waited is NoneType"),
        ("carried", {"h": 1}, "carried is not made of tensors"),
        ("state", (1.0,), "state is not made of tensors"),
        ("stream", {}, "stream is a table"),
    ],
    ids=str,
)
def test_entries_of_another_kind(entry, value, match):
    trained, fresh = training()
    state = {**trained.state(), entry: value}
    with pytest.raises(ValueError, match=match):
        check_state(state, fresh.state(), fresh.optimizer, 1)


def test_more_batches_than_there_can_have_been():
    """They would be read one after the other, for years."""
    trained, fresh = training()
    state = copy.deepcopy(trained.state())
    state["stream"]["batches"] = 10**12
    with pytest.raises(ValueError, match="too many for 2 updates"):
        fresh.load_state(state)


def test_likeness():
    check_like({"a": [1, (2.0, torch.ones(2))]}, {"a": [5, (0.5, torch.zeros(2))]}, "x")
    for wrong in ({"b": 1}, {"a": [1]}, {"a": [1, [2.0, torch.ones(2)]]}, {"a": [1, (2.0, torch.ones(3))]}, None):
        with pytest.raises(ValueError, match="x"):
            check_like(wrong, {"a": [5, (0.5, torch.zeros(2))]}, "x")
