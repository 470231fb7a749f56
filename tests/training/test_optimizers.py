"""Optimizers by name: the right ones, with their options, or a sentence."""

import copy
import subprocess
import sys

import pytest
import torch
from torch import nn

from rnnkit.errors import UsageError
from rnnkit.training.optimizers import FUSED, OPTIMIZERS, make_optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_rate_the_decay_and_the_parameters_reach_it(name):
    model = nn.Linear(2, 3)
    optimizer = make_optimizer(name, model, lr=0.25, weight_decay=0.125)
    (group,) = optimizer.param_groups
    assert type(optimizer) is OPTIMIZERS[name]
    assert (group["lr"], group["weight_decay"]) == (0.25, 0.125)
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in model.parameters()]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_computes_the_bits_of_torch_s_own_of_the_same_name(name):
    torchs = next(kind for kind in OPTIMIZERS[name].__mro__ if kind.__module__.startswith("torch."))
    assert torchs.__name__ == OPTIMIZERS[name].__name__
    torch.manual_seed(0)
    models = [nn.Linear(3, 2)]
    models.append(copy.deepcopy(models[0]))
    ours = make_optimizer(name, models[0], 0.1, 0.01)
    theirs = torchs(models[1].parameters(), lr=0.1, weight_decay=0.01, **({"fused": True} if name in FUSED else {}))
    xs = torch.randn(4, 3)
    for _ in range(3):
        for model, optimizer in zip(models, (ours, theirs), strict=True):
            optimizer.zero_grad()
            model(xs).square().sum().backward()
            optimizer.step()
        for a, b in zip(*(model.parameters() for model in models), strict=True):
            assert torch.equal(a, b)
    ours.load_state_dict(theirs.state_dict())
    assert str(ours.state_dict()) == str(theirs.state_dict())
    assert ours.step(lambda: 3.0) == 3.0


LEAN = """
import sys, rnnkit
from rnnkit.training.optimizers import OPTIMIZERS
task = rnnkit.tasks["adding"](seq_len=3)
for name in OPTIMIZERS:
    for record in rnnkit.train(rnnkit.Model(task, "lstm", 3, unroller="loop"), task, steps=2, optimizer=name): pass
print("torch._dynamo" in sys.modules)
"""


@pytest.mark.slow
def test_no_update_loads_torch_s_compiler():
    done = subprocess.run([sys.executable, "-c", LEAN], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_options_reach_it():
    optimizer = make_optimizer("sgd", nn.Linear(1, 1), 0.1, options={"momentum": 0.9, "nesterov": True})
    assert optimizer.param_groups[0]["momentum"] == 0.9
    assert optimizer.param_groups[0]["nesterov"] is True


@pytest.mark.parametrize("name", FUSED)
def test_adam_takes_one_pass_where_torch_has_it(name):
    (group,) = make_optimizer(name, nn.Linear(1, 1), 0.1).param_groups
    assert group["fused"] is True


@pytest.mark.parametrize("options", [{"fused": False}, {"foreach": True}, {"differentiable": True}], ids=str)
def test_another_form_can_be_asked_for(options):
    (group,) = make_optimizer("adam", nn.Linear(1, 1), 0.1, options=options).param_groups
    assert not group["fused"]


@pytest.mark.parametrize("model", [nn.Linear(1, 1, dtype=torch.complex64), nn.Linear(1, 1, device="meta")])
def test_parameters_that_the_fused_form_does_not_take(model):
    (group,) = make_optimizer("adam", model, 0.1).param_groups
    assert not group["fused"]


def test_one_that_is_made_already_is_taken_as_it_is():
    model = nn.Linear(1, 1)
    mine = torch.optim.Adagrad(model.parameters())
    assert make_optimizer(mine, model, lr=0.1) is mine


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("adma", {}, r"unknown optimizer 'adma' \(did you mean 'adam'\?\); there are adam, adamw, rmsprop, sgd"),
        ("adam", {"momentum": 0.9}, "optimizer 'adam': .*momentum"),
        ("sgd", {"nesterov": True}, "optimizer 'sgd': Nesterov"),
        ("adam", {"betas": [2.0, 0.9]}, "optimizer 'adam': Invalid beta"),
        ("adam", {"betas": 3}, "optimizer 'adam': "),
        ("adam", {"lr": 3}, "optimizer 'adam': .*lr"),
        ("adam", {"eps": "small"}, "optimizer 'adam': "),
        ("adam", {"betas": [0.9]}, "optimizer 'adam': "),
    ],
    ids=str,
)
def test_what_it_lacks_or_refuses(name, options, match):
    with pytest.raises(UsageError, match=match) as caught:
        make_optimizer(name, nn.Linear(1, 1), 0.1, options=options)
    assert "\n" not in str(caught.value)
