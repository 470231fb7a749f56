"""The table of gradient norms: one line for the input, each initial state and each parameter."""

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit.layers.model import last_outputs
from rnnkit.training.clipping import clip_gradients
from rnnkit.training.gradient_norms import gradient_norms

from ..core_cells import CORE_CELLS


def problem(task_name, cell, **options):
    torch.manual_seed(0)
    task = rnnkit.tasks[task_name](seq_len=6)
    model = rnnkit.Model(task, cell, 5, embedding_size=3, **options)
    return model, task, task.batch(4, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("task_name", ["adding", "copy"])
@pytest.mark.parametrize("cell", CORE_CELLS)
def test_equals_autograd_s_gradients(cell, task_name):
    model, task, batch = problem(task_name, cell, num_layers=2, unroller="loop")
    model.eval()  # some cells draw masks
    norms = gradient_norms(model, task, batch)
    assert all(parameter.grad is None for parameter in model.parameters())

    features = model.embed(batch.xs).detach().requires_grad_()
    state = model.layer.initial_state(4)
    state = state if isinstance(state, tuple) else (state,)
    for tensor in state:  # a learnt one is made of parameters
        tensor.requires_grad_().retain_grad()
    ys, _ = model.layer(features, state if len(state) > 1 else state[0])
    outputs = model.readout(ys)
    task.loss(outputs if task.every_step else outputs[-1], batch.targets).backward()
    if model.embedding is not None:
        task.loss(model(batch.xs)[0], batch.targets).backward(inputs=[model.embedding.weight])
    expected = {"input": features.grad.norm()}
    expected |= {f"{name}0": t.grad.norm() for name, t in zip(model.layer.state_names, state, strict=True)}
    expected |= {name: parameter.grad.norm() for name, parameter in model.named_parameters()}
    assert list(norms) == list(expected)
    assert norms == pytest.approx({name: float(norm) for name, norm in expected.items()}, rel=1e-5)
    assert all(norm > 0 for norm in norms.values())


def test_a_frozen_parameter_has_no_line():
    model, task, batch = problem("adding", "gru")
    model.layer.weight_hh_l0.requires_grad_(False)
    assert "layer.weight_hh_l0" not in gradient_norms(model, task, batch)


def test_gradients_gathered_so_far_stay():
    model, task, batch = problem("adding", "gru")
    model.readout.bias.grad = torch.ones(1)
    gradient_norms(model, task, batch)
    assert model.readout.bias.grad.item() == 1


def test_the_last_output_of_each_row():
    outputs = torch.arange(12.0).view(3, 4, 1)
    assert last_outputs(outputs, None)[:, 0].tolist() == [8, 9, 10, 11]
    assert last_outputs(outputs, torch.tensor([1, 3, 2, 1]))[:, 0].tolist() == [0, 9, 6, 3]


def test_lengths_count():
    model, task, batch = problem("adding", "gru")
    batch = batch._replace(lengths=torch.tensor([6, 2, 1, 3]))
    outputs, _ = model(batch.xs, lengths=batch.lengths)
    task.loss(last_outputs(outputs, batch.lengths), batch.targets).backward()
    expected = {name: float(parameter.grad.norm()) for name, parameter in model.named_parameters()}
    norms = gradient_norms(model, task, batch)
    assert {name: norms[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    changed = batch.xs.clone()
    changed[3:, 1:] += 1  # past the ends of these rows
    assert gradient_norms(model, task, batch._replace(xs=changed)) == norms


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_clipping_gives_the_bits_of_torchs(dtype):
    generator = torch.Generator().manual_seed(0)
    ours, theirs = ([nn.Parameter(torch.zeros(30, 30, dtype=dtype)) for _ in range(3)] for _ in range(2))
    for one, other in zip(ours, theirs, strict=True):
        one.grad = torch.randn(30, 30, dtype=dtype, generator=generator)
        other.grad = one.grad.clone()
    norm = float(nn.utils.clip_grad_norm_(theirs, 1.0))
    clip_gradients(ours, norm, 1.0, "norm")
    assert all(one.grad.equal(other.grad) for one, other in zip(ours, theirs, strict=True))
