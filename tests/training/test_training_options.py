"""What training can do beyond plain updates, each by hand or against what it must equal."""

import inspect
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import DivergedError, PluginError, UsageError
from rnnkit.training.schedule import Schedule
from rnnkit.training.training import Training

T, D = 6, 2


class Sums(rnnkit.Task):
    """Running sums, the same in every batch of a size; the validation figures are given in advance."""

    name = "sums"
    metric_name = "MSE"
    input_size, output_size = D, 1
    judged = None

    def batch(self, size, generator):
        xs = torch.randn(T, size, D, generator=generator, dtype=torch.float64)
        return rnnkit.Batch(xs, xs.mean(-1, keepdim=True).cumsum(0))

    def batches(self, size, generator):
        batch = self.batch(size, generator)
        while True:
            yield batch

    def validation(self):
        yield self.batch(8, torch.Generator().manual_seed(1))

    def loss(self, outputs, targets):
        return F.mse_loss(outputs, targets)

    def metric(self, outputs, targets):
        if self.judged and not torch.is_grad_enabled() and outputs.shape[1] == 8:
            return torch.tensor(self.judged.pop(0))
        return self.loss(outputs, targets)


class Turns(Sums):
    """Rows of one pool of six, two at a time in turn, or all six."""

    name = "turns"

    def batches(self, size, generator):
        whole = self.batch(6, generator)
        while True:
            for at in range(0, 6, size):
                yield rnnkit.Batch(whole.xs[:, at : at + size], whole.targets[:, at : at + size])


class Singles(Sums):
    """The same in single precision."""

    def batch(self, size, generator):
        batch = super().batch(size, generator)
        return rnnkit.Batch(batch.xs.float(), batch.targets.float())


def build(task=None, cell="gru", dtype=torch.float64, **options):
    torch.manual_seed(0)
    task = task or Sums()
    return rnnkit.Model(task, cell, 4, unroller="loop", **options).to(dtype)


def learn(model, task=None, **options):
    return list(rnnkit.train(model, task or Sums(), **{"steps": 4, "batch_size": 3, "clip": None, **options}))


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def close(first, second, tolerance=1e-12):
    for a, b in zip(weights(first), weights(second), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def gradients(model, task=None, batch_size=3):
    """Return the gradients of the first batch."""
    task = task or Sums()
    batch = next(task.batches(batch_size, torch.Generator().manual_seed(0)))
    return torch.autograd.grad(task.loss(model(batch.xs)[0], batch.targets), list(model.parameters()))


@pytest.mark.parametrize("clip", [None, 0.01])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_accumulating_equals_one_batch_as_large(optimizer, clip):
    options = {"optimizer": optimizer, "lr": 0.1, "clip": clip, "task": Turns()}
    small, large = build(), build()
    found = learn(small, batch_size=2, accumulate=3, **options)
    expected = learn(large, batch_size=6, **options)
    close(small, large)
    for a, b in zip(found, expected, strict=True):
        assert (a.loss, a.metric, a.gradient_norm) == pytest.approx((b.loss, b.metric, b.gradient_norm), rel=1e-12)
        assert (a.step, a.tokens) == (b.step, b.tokens)


def test_accumulating_over_the_windows_of_a_batch():
    """Of all windows of a sequence together, with the state cut between them."""
    model, reference = build(), build()
    (record,) = learn(model, steps=1, truncate=(2, 2), accumulate=3, optimizer="sgd", lr=0.1)
    task, state, total = Sums(), None, 0.0
    batch = next(task.batches(3, torch.Generator().manual_seed(0)))
    for start in (0, 2, 4):
        outputs, state = reference(batch.xs[start : start + 2], state)
        state = state.detach()
        total = total + task.loss(outputs, batch.targets[start : start + 2]) / 3
    found = torch.autograd.grad(total, list(reference.parameters()))
    with torch.no_grad():
        for parameter, gradient in zip(reference.parameters(), found, strict=True):
            parameter -= 0.1 * gradient
    close(model, reference)
    assert record.loss == pytest.approx(total.item(), rel=1e-12)
    assert record.tokens == 3 * T


def test_clipping_by_value_by_hand():
    model, reference = build(), build()
    (record,) = learn(model, steps=1, optimizer="sgd", lr=0.1, clip=0.02, clip_by="value")
    found = gradients(reference)
    assert any((gradient.abs() > 0.02).any() for gradient in found)
    assert any((gradient.abs() < 0.02).any() for gradient in found)
    with torch.no_grad():
        for parameter, gradient in zip(reference.parameters(), found, strict=True):
            parameter -= 0.1 * gradient.clamp(-0.02, 0.02)
    close(model, reference)
    assert record.gradient_norm == pytest.approx(math.sqrt(sum(float(g.square().sum()) for g in found)))


@pytest.mark.parametrize(
    ("optimizer", "decay"),
    [
        ("sgd", lambda weight, gradient: weight - 0.1 * (gradient + 0.5 * weight)),
        ("adamw", lambda weight, gradient: weight * (1 - 0.1 * 0.5) - 0.1 * gradient / (gradient.abs() + 1e-8)),
        ("adam", lambda w, g: w - 0.1 * (g + 0.5 * w) / ((g + 0.5 * w).abs() + 1e-8)),
    ],
)
def test_weight_decay_by_hand(optimizer, decay):
    model, reference = build(), build()
    learn(model, steps=1, optimizer=optimizer, lr=0.1, weight_decay=0.5)
    found = gradients(reference)
    with torch.no_grad():
        for parameter, gradient in zip(reference.parameters(), found, strict=True):
            parameter.copy_(decay(parameter, gradient))
    close(model, reference, 1e-6)


@pytest.mark.parametrize(
    ("judged", "patience", "steps", "best"),
    [
        ([5.0, 4.0, 4.0, 4.5, 3.0], 2, 4, (2, 4.0)),
        ([5.0, 4.0, 4.0, 3.0, 2.0, 1.0], 2, 6, (6, 1.0)),
        ([5.0, 6.0], 1, 2, (1, 5.0)),
        ([5.0, 6.0, 4.0, 6.0, 6.0, 6.0], 3, 6, (3, 4.0)),
        ([5.0, 6.0, 7.0, 8.0, 9.0, 9.0], None, 6, (1, 5.0)),
    ],
)
def test_training_ends_when_patience_is_spent(judged, patience, steps, best):
    task = Sums()
    task.judged = list(judged)
    training = Training(build(), task, steps=6, validate_every=1, patience=patience)
    records = list(training.records())
    assert (len(records), training.best) == (steps, best)
    assert training.done
    assert records[-1].validation.metric == judged[steps - 1]


def test_patience_knows_which_metrics_are_better_higher():
    task = Sums()
    task.higher_is_better, task.judged = True, [0.5, 0.4, 0.6, 0.7, 0.2, 0.2]
    training = Training(build(), task, steps=6, validate_every=1, patience=2)
    assert len(list(training.records())) == 6
    assert training.best == (4, pytest.approx(0.7))


def test_patience_counts_validations_not_updates():
    task = Sums()
    task.judged = [5.0, 6.0, 7.0, 8.0]
    assert len(learn(build(), task, steps=20, validate_every=3, patience=2)) == 9


def test_validation_judges_the_averaged_weights():
    model = build()
    training = Training(model, Sums(), steps=5, average=0.5, optimizer="sgd", lr=0.5, clip=None, validate_every=1)
    mean = None
    for record in training.records():
        now = weights(model)
        mean = now if mean is None else [0.5 * a + 0.5 * b for a, b in zip(mean, now, strict=True)]
        averaged = build()
        with torch.no_grad():
            for parameter, value in zip(averaged.parameters(), mean, strict=True):
                parameter.copy_(value)
        close(training.eval_model, averaged)
        assert record.validation.loss == pytest.approx(rnnkit.evaluate(averaged, Sums()).loss, rel=1e-12)
    assert record.validation.loss != pytest.approx(rnnkit.evaluate(model, Sums()).loss, rel=1e-6)


def test_averaging_does_not_change_what_is_learnt():
    plain, averaged = build(), build()
    learn(plain)
    learn(averaged, average=0.9, validate_every=1)
    close(plain, averaged, 0.0)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"schedule": "cosine"}, [Schedule("cosine", 4).factor(step) for step in (1, 2, 3, 4)]),
        ({"schedule": "cosine", "warmup": 2}, [1 / 3, 2 / 3, 1.0, 0.5]),
        ({"warmup": 3}, [0.25, 0.5, 0.75, 1.0]),
        ({}, [1.0] * 4),
    ],
    ids=str,
)
def test_the_schedule_sets_the_rate_of_each_update(options, expected):
    model, reference = build(), build()
    records = learn(model, optimizer="sgd", lr=0.2, **options)
    assert [record.lr for record in records] == pytest.approx([0.2 * factor for factor in expected])
    for factor in expected:
        found = gradients(reference)
        with torch.no_grad():
            for parameter, gradient in zip(reference.parameters(), found, strict=True):
                parameter -= 0.2 * factor * gradient
    close(model, reference)


def test_a_plateau_cuts_the_rate():
    class Flat(Sums):
        def loss(self, outputs, targets):
            return super().loss(outputs, targets) * 0 + 1.0

    records = learn(build(), Flat(), steps=7, schedule="plateau", validate_every=1, lr=0.8)
    assert [record.lr for record in records] == pytest.approx([0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2])


def test_an_optimizer_of_one_s_own_is_scheduled_group_by_group():
    model = build()
    groups = [{"params": model.layer.parameters(), "lr": 0.4}, {"params": model.readout.parameters(), "lr": 0.1}]
    mine = torch.optim.SGD(groups)
    for record in rnnkit.train(model, Sums(), steps=4, optimizer=mine, schedule="cosine", warmup=1):
        factor = Schedule("cosine", 4, 1).factor(record.step)
        assert [group["lr"] for group in mine.param_groups] == pytest.approx([0.4 * factor, 0.1 * factor])
        assert record.lr == pytest.approx(0.4 * factor)


def test_a_rate_that_is_changed_between_two_records_holds():
    model = build()
    mine = torch.optim.SGD(model.parameters(), lr=0.4)
    rates = []
    for record in rnnkit.train(model, Sums(), steps=3, optimizer=mine):
        rates.append(record.lr)
        mine.param_groups[0]["lr"] /= 2
    assert rates == [0.4, 0.2, 0.1]


class Spy(rnnkit.Model):
    """Notes the dtypes of its outputs and states."""

    def forward(self, xs, state=None, *, lengths=None):
        outputs, after = super().forward(xs, state, lengths=lengths)
        if self.training:
            self.seen = outputs.dtype, [part.dtype for part in (after if isinstance(after, tuple) else (after,))]
        return outputs, after


def test_autocast_computes_in_bfloat16_and_adds_up_in_float32():
    torch.manual_seed(0)
    model = Spy(Singles(), "lstm", 8, unroller="loop")
    (record,) = learn(model, Singles(), steps=1, autocast=torch.bfloat16)
    outputs, (h, c) = model.seen
    assert outputs == torch.bfloat16  # what the readout's product gives
    assert c == torch.float32
    assert h in (torch.float32, torch.bfloat16)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    assert {parameter.grad.dtype for parameter in model.parameters()} == {torch.float32}
    assert isinstance(record.loss, float)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("truncate", [None, (2, 4)])
@pytest.mark.parametrize(("dtype", "nearly"), [(torch.bfloat16, 0.1), (torch.float16, 0.2)])  # some left out
def test_autocast_trains_nearly_as_float32_does(cell, truncate, dtype, nearly):
    options = {"steps": 60, "lr": 0.02, "truncate": truncate, "batch_size": 8}
    runs = []
    for autocast in (None, dtype):
        model = build(Singles(), cell, torch.float32)
        runs.append(learn(model, Singles(), autocast=autocast, **options))
    exact, rough = runs
    assert rough[-1].loss < 0.5 * rough[0].loss
    assert rough[0].loss == pytest.approx(exact[0].loss, rel=0.02)
    assert rough[-1].validation.loss == pytest.approx(exact[-1].validation.loss, rel=nearly)
    assert [record.loss for record in rough] != [record.loss for record in exact]


REFUSED = {
    "accumulate": [0, -1, 1.5],
    "patience": [0, -1],
    "weight_decay": [-0.1, math.nan, math.inf, "much"],
    "clip": [-1.0, math.inf],
    "clip_by": ["size"],
    "schedule": ["cosin", "plateau"],
    "warmup": [-1, 2, 0.5],
    "average": [0.0, 1.0, -0.5, math.nan, "much"],
    "autocast": ["bfloat16", torch.float32, torch.int64, 16],
    "optimizer": ["adma"],
}


@pytest.mark.parametrize(("argument", "value"), [(key, value) for key, values in REFUSED.items() for value in values])
def test_arguments_are_checked_at_the_call(argument, value):
    with pytest.raises(UsageError, match=argument):
        rnnkit.train(build(), Sums(), **{"steps": 2, argument: value})


def test_options_of_an_optimizer_that_is_made_already_are_refused():
    model = build()
    mine = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(UsageError, match="optimizer_options"):
        rnnkit.train(model, Sums(), steps=1, optimizer=mine, optimizer_options={"momentum": 0.9})


def test_the_loss_of_any_window_may_be_the_one_that_diverges():
    class Sudden(Sums):
        def loss(self, outputs, targets):
            self.taken = getattr(self, "taken", 0) + 1
            return super().loss(outputs, targets) * (math.inf if self.taken == 5 else 1)

        def metric(self, outputs, targets):
            return torch.zeros(())

    model, reference = build(), build()
    with pytest.raises(DivergedError, match=r"step 3: the loss is inf"):
        learn(model, Sudden(), accumulate=2)
    learn(reference, steps=2, accumulate=2)
    close(model, reference, 0.0)


def test_a_task_that_runs_out_of_batches_is_named():
    class Ending(Sums):
        def batches(self, size, generator):
            for _ in range(3):
                yield self.batch(size, generator)

    model = build()
    with pytest.raises(PluginError, match="task 'ending' has run out of batches"):
        learn(model, Ending(), accumulate=2)


def test_a_model_without_weights_is_refused():
    class Nothing(nn.Module):
        def forward(self, xs, state=None, *, lengths=None):
            return xs[..., :1], None

    with pytest.raises(UsageError, match="empty parameter list"):
        rnnkit.train(Nothing(), Sums(), steps=1)


def test_one_call_takes_and_shows_every_option_of_a_training():
    shown, taken = inspect.signature(rnnkit.train).parameters, inspect.signature(Training).parameters
    assert list(shown.values()) == list(taken.values())


def test_one_call_hands_every_option_on(monkeypatch):
    options = [name for name, one in inspect.signature(Training).parameters.items() if one.kind is one.KEYWORD_ONLY]

    def check(training, model, task, **given):
        assert given == {name: name for name in options}
        raise UsageError("all are here")

    monkeypatch.setattr(Training, "__init__", check)
    with pytest.raises(UsageError, match="all are here"):
        rnnkit.train(None, None, **{name: name for name in options})
