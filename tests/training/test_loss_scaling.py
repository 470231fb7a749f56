"""Training in float16: losses are scaled, updates whose gradients overflow are left out, counted and told."""

import json
import math
from itertools import islice

import pytest
import torch
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import CheckpointError, DivergedError
from rnnkit.training.loss_scaling import LossScaling
from rnnkit.training.optimizers import make_optimizer
from rnnkit.training.training import Training

FIRST = 2.0**16
"""The scale that torch begins with."""


class Loud(rnnkit.Task):
    """Sums of what is read; the loss is so large that gradients overflow float16 at first."""

    name, metric_name = "loud", "MSE"
    input_size, output_size = 2, 1
    loudness = 10.0

    def batch(self, size, generator):
        xs = torch.randn(6, size, 2, generator=generator)
        return rnnkit.Batch(xs, xs.mean(-1, keepdim=True).cumsum(0))

    def validation(self):
        yield self.batch(8, torch.Generator().manual_seed(1))

    def loss(self, outputs, targets):
        return self.loudness * F.mse_loss(outputs, targets)

    metric = loss


def build(task=None, *, steps=8, autocast=torch.float16, **options):
    torch.manual_seed(0)
    task = Loud() if task is None else task
    model = rnnkit.Model(task, "gru", 4, unroller="loop")
    return Training(model, task, steps=steps, batch_size=4, lr=0.01, clip=100.0, autocast=autocast, **options)


def bits(model):
    return torch.cat([parameter.detach().flatten().clone() for parameter in model.parameters()])


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "rmsprop"])
def test_an_update_whose_gradients_overflow_is_left_out_and_the_next_scale_is_half(optimizer):
    training = build(optimizer=optimizer, average=0.5, steps=10)
    before, skipped = bits(training.model), 0
    for record in training.records():
        left_out = record.skipped > skipped
        assert left_out == (not math.isfinite(record.gradient_norm))
        assert left_out == torch.equal(bits(training.model), before)
        assert training.state()["scaling"]["scale"] == FIRST / 2**record.skipped
        before, skipped = bits(training.model), record.skipped
    assert 0 < skipped < 10
    assert training.averaged.n_averaged == 10 - skipped
    assert bits(training.eval_model).isfinite().all()


def test_gradients_are_those_without_a_scale():
    found = [next(build(autocast=dtype, steps=1).records()) for dtype in (None, torch.bfloat16)]
    task = Loud()
    task.loudness = 1e-3
    scaled, exact = (next(build(task, autocast=dtype, steps=1).records()) for dtype in (torch.float16, None))
    assert scaled.gradient_norm == pytest.approx(exact.gradient_norm, rel=0.01)
    assert (scaled.skipped, found[0].skipped, found[1].skipped) == (0, 0, 0)


def test_gradients_too_small_for_float16_are_learnt_from():
    """Unscaled they would be zeros: the least number of float16 is 6e-8."""
    task = Loud()
    task.loudness = 1e-7
    training = build(task, optimizer="sgd", steps=1)
    (record,) = training.records()
    exact = next(build(task, autocast=None, steps=1).records())
    assert record.gradient_norm == pytest.approx(exact.gradient_norm, rel=0.05)


def test_what_overflows_at_the_least_scale_has_diverged():
    training = build()
    training._scaling._scaler.load_state_dict({**training._scaling._scaler.state_dict(), "scale": 1.0})
    training.task.loudness = 1e6
    with pytest.raises(DivergedError, match=r"step 1: the gradients' norm is (inf|nan); the first tensor at fault is "):
        list(training.records())


def test_a_norm_that_overflows_alone_has_diverged():
    """All gradients are finite: no scale would help."""
    scaling = LossScaling(torch.device("cpu"), torch.float16)
    model = torch.nn.Linear(1, 1)
    optimizer = make_optimizer("sgd", model, 1.0)
    scaling.scaled(model.weight.sum()).backward()
    scaling.unscale(optimizer)
    assert not scaling.skips(math.inf)
    assert scaling.skipped == 0


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_what_was_stopped_goes_on_to_the_bit(stop, tmp_path):
    whole, first, second = build(), build(), build()
    expected = [(r.step, repr(r.gradient_norm), r.skipped) for r in whole.records()]
    assert expected[-1][2] > 1
    before = [(r.step, repr(r.gradient_norm), r.skipped) for r in islice(first.records(), stop)]
    first.save(tmp_path / "run")
    assert second.resume(tmp_path / "run") == stop
    assert before + [(r.step, repr(r.gradient_norm), r.skipped) for r in second.records()] == expected
    assert torch.equal(bits(second.model), bits(whole.model))
    assert second.state()["scaling"] == whole.state()["scaling"]


def test_another_precision_does_not_go_on_from_it(tmp_path):
    training = build()
    next(training.records())
    training.save(tmp_path / "run")
    with pytest.raises(CheckpointError):
        build(autocast=torch.bfloat16).resume(tmp_path / "run")


@pytest.mark.parametrize("scale", [math.nan, math.inf, 0.0, -2.0])
def test_a_scale_that_makes_no_sense_is_refused(scale):
    training = build()
    next(training.records())
    state = training.state()
    state["scaling"]["scale"] = scale
    with pytest.raises(ValueError, match="losses were scaled by"):
        build().load_state(state)


def test_a_run_says_how_many_updates_were_left_out(cli, tmp_path, monkeypatch):
    words = ("run", "--task", "adding", "--seq-len", 6, "--steps", 4, "--batch", 4, "--hidden", 4, "--unroller", "loop")
    told = [cli(*words, "--quiet", "--dtype", "bfloat16", "--out", tmp_path / "none")]
    assert "left out" not in told[0].stdout
    monkeypatch.setattr(LossScaling, "scaled", lambda self, loss: self._scaler.scale(loss * 1e3))
    told.append(cli(*words, "--quiet", "--dtype", "float16", "--out", tmp_path / "run"))
    told.append(cli(*words, "--json", "--dtype", "float16", "--out", tmp_path / "json"))
    assert [one.exit_code for one in told] == [0, 0, 0], told
    assert "4 of 4 updates were left out, as gradients overflowed float16" in told[1].stdout
    end = json.loads(told[2].stdout.splitlines()[-1])
    assert (end["event"], end["skipped"]) == ("end", 4)
    written = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(line["skipped"], line["gradient_norm"]) for line in written] == [(k, None) for k in range(1, 5)]
    assert "skipped" not in (tmp_path / "none" / "metrics.jsonl").read_text()
