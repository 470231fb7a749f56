"""Training: what an update learns from, what goes from one to the next, and that a seed decides it all."""

import math
import re

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import DivergedError, UsageError

from ..core_cells import CORE_CELLS

T, B, D = 6, 3, 2


class Stream(rnnkit.Task):
    """Batches that continue each other in pairs: predict a running mean."""

    name = "stream"
    metric_name = "MSE"
    input_size, output_size = D, 1
    lengths = None

    def batch(self, size, generator):
        xs = torch.randn(T, size, D, generator=generator)
        return rnnkit.Batch(xs, xs.mean(-1, keepdim=True).cumsum(0), self.lengths)

    def batches(self, size, generator):
        number = 0
        while True:
            yield self.batch(size, generator)._replace(continues=number % 2 == 1)
            number += 1

    def loss(self, outputs, targets):
        return F.mse_loss(outputs, targets.to(outputs))

    metric = loss


class Last(Stream):
    """One target a sequence."""

    name = "last"
    every_step = False

    def batch(self, size, generator):
        batch = super().batch(size, generator)
        return batch._replace(targets=batch.targets[-1])


class Spy(rnnkit.Model):
    """A model that notes what it is called with and what it returns."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.calls = []

    def forward(self, xs, state=None, *, lengths=None):
        outputs, after = super().forward(xs, state, lengths=lengths)
        if self.training:
            self.calls.append({"xs": xs, "state": state, "lengths": lengths, "after": after})
        return outputs, after


def build(task=None, kind=rnnkit.Model, cell="gru", **options):
    torch.manual_seed(0)
    return kind(task or Stream(), cell, 4, **options)


def learn(model, task=None, steps=4, **options):
    return list(rnnkit.train(model, task or Stream(), steps=steps, batch_size=B, **options))


def weights(model):
    return [parameter.detach().clone() for parameter in model.parameters()]


def same_bits(first, second):
    return all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def without_time(records):
    return [{key: value for key, value in vars(record).items() if key != "seconds"} for record in records]


def test_the_same_seed_gives_the_same_bits():
    runs = []
    for seed in (3, 3, 4):
        model = build(num_layers=2, dropout=0.3)
        runs.append((without_time(learn(model, seed=seed)), weights(model)))
    assert runs[0][0] == runs[1][0]
    assert same_bits(runs[0][1], runs[1][1])
    assert runs[0][0] != runs[2][0]
    assert not same_bits(runs[0][1], runs[2][1])


@pytest.mark.parametrize("truncate", [(T, T), (T, T + 5), (2 * T, 3 * T)])
def test_truncation_beyond_the_sequence_is_full_bptt(truncate):
    whole, truncated = build(), build()
    assert without_time(learn(whole)) == without_time(learn(truncated, truncate=truncate))
    assert same_bits(weights(whole), weights(truncated))


@pytest.mark.parametrize("truncate", [None, (2, 2), (2, 4), (4, 4), (1, 6)])
def test_the_state_goes_on_where_batches_continue(truncate):
    """Frozen at a learning rate near zero, the state before any window is that of an unbroken run."""
    model = build(kind=Spy)
    steps = {None: 1, (2, 2): 3, (2, 4): 3, (4, 4): 2, (1, 6): 6}[truncate] * 4  # four batches
    learn(model, steps=steps, truncate=truncate, lr=1e-30, optimizer="sgd")
    batches = Stream().batches(B, torch.Generator().manual_seed(0))
    stream = []
    for _ in range(2):  # two batches that continue each other, twice
        stream.append(torch.cat([next(batches).xs, next(batches).xs]))
    learnt = [call for call in model.calls if call["after"].requires_grad]
    assert len(learnt) == steps
    for call in learnt:
        whole, start = next(
            (whole, start)
            for whole in stream
            for start in range(2 * T)
            if torch.equal(whole[start : start + len(call["xs"])], call["xs"])
        )
        if start == 0:
            assert call["state"] is None
        else:
            assert not call["state"].requires_grad  # detached at the boundary
            with torch.no_grad():
                _, expected = model.layer(whole[:start])
            torch.testing.assert_close(call["state"], expected)


def test_windows_overlap_by_k2_less_k1():
    model = build(kind=Spy)
    learn(model, steps=3, truncate=(2, 4))
    xs = next(Stream().batches(B, torch.Generator().manual_seed(0))).xs
    learnt = [call["xs"] for call in model.calls if call["after"].requires_grad]
    assert same_bits(learnt, [xs[0:2], xs[0:4], xs[2:6]])


def test_one_target_a_sequence_learns_from_the_last_k2_steps():
    model = build(Last(), kind=Spy)
    records = learn(model, Last(), steps=2, truncate=(2, 4), lr=1e-30, optimizer="sgd")
    xs = next(Last().batches(B, torch.Generator().manual_seed(0))).xs
    advanced, learnt = model.calls[:2]
    assert same_bits([advanced["xs"], learnt["xs"]], [xs[:2], xs[2:]])
    assert torch.equal(learnt["state"], advanced["after"])
    assert [record.tokens for record in records] == [T * B, 2 * T * B]


@pytest.mark.parametrize("clip", [None, 1e-3, 1e6])
def test_an_update_by_hand(clip):
    model, reference = build(), build()
    (record,) = learn(model, steps=1, optimizer="sgd", lr=0.1, clip=clip)
    batch = next(Stream().batches(B, torch.Generator().manual_seed(0)))
    loss = F.mse_loss(reference(batch.xs)[0], batch.targets)
    gradients = torch.autograd.grad(loss, list(reference.parameters()))
    norm = math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients))
    scale = 1.0 if clip is None else min(1.0, clip / norm)
    expected = [parameter - 0.1 * scale * g for parameter, g in zip(reference.parameters(), gradients, strict=True)]
    torch.testing.assert_close(weights(model), [tensor.detach() for tensor in expected])
    assert record.loss == record.metric == pytest.approx(loss.item())
    assert record.gradient_norm == pytest.approx(norm)
    assert (record.step, record.tokens) == (1, T * B)


def test_an_optimizer_of_one_s_own_is_used():
    model = build()
    before = weights(model)
    learn(model, optimizer=torch.optim.SGD([model.readout.bias], lr=0.1), steps=1)
    changed = [
        name for (name, now), was in zip(model.named_parameters(), before, strict=True) if not torch.equal(now, was)
    ]
    assert changed == ["readout.bias"]


def test_validation_changes_nothing_and_comes_when_due():
    often, once = build(num_layers=2, dropout=0.3), build(num_layers=2, dropout=0.3)
    validated = [record.validation is not None for record in learn(often, steps=5, validate_every=2)]
    assert validated == [False, True, False, True, True]
    assert [record.validation is not None for record in learn(once, steps=5)] == [False] * 4 + [True]
    assert same_bits(weights(often), weights(once))
    assert often.training


def test_the_last_validation_is_that_of_the_trained_model():
    model = build()
    *_, last = learn(model, steps=2)
    assert last.validation == rnnkit.evaluate(model, Stream())


def test_lengths_reach_the_model():
    task = Last()
    task.lengths = torch.tensor([6, 2, 4])
    model = build(task, kind=Spy)
    training = rnnkit.train(model, task, steps=2, batch_size=B)
    next(training)
    assert torch.equal(model.calls[0]["lengths"], task.lengths)
    with pytest.raises(UsageError, match=r"task 'last' gives rows of different lengths"):
        list(rnnkit.train(model, task, steps=2, batch_size=B, truncate=(2, 2)))


REFUSED = {
    "steps": [0, -3, 2.0, "many"],
    "batch_size": [0, True],
    "validate_every": [0],
    "truncate": [(4, 2), (0, 2)],
    "lr": [0.0, -1.0, math.nan, math.inf, "small"],
    "clip": [0.0, math.nan],
    "seed": [-1, 2**63, 1.5],
    "optimizer": ["adma"],
}


@pytest.mark.parametrize(("argument", "value"), [(key, value) for key, values in REFUSED.items() for value in values])
def test_arguments_are_checked_at_the_call(argument, value):
    with pytest.raises(UsageError, match=argument):
        rnnkit.train(build(), Stream(), **{"steps": 2, argument: value})


def test_an_unknown_optimizer_offers_the_nearest():
    with pytest.raises(
        UsageError, match=r"unknown optimizer 'adma' \(did you mean 'adam'\?\); there are adam, adamw, rmsprop, sgd"
    ):
        rnnkit.train(build(), Stream(), steps=1, optimizer="adma")


def diverging(model, task=None):
    """Train until it fails: the sentence; the weights are as they were before."""
    before = weights(model)
    with pytest.raises(DivergedError) as caught:
        learn(model, task, steps=3, lr=0.1)
    for parameter, was in zip(model.parameters(), before, strict=True):
        assert torch.allclose(parameter, was, rtol=0, atol=0, equal_nan=True)
    return str(caught.value)


def test_a_loss_that_is_not_finite_names_the_first_tensor_at_fault():
    model = build()
    with torch.no_grad():
        model.layer.weight_hh_l0[5, 1] = math.nan
    assert re.match(r"step 1: the loss is nan; .* layer\.weight_hh_l0 .*\[5, 1\] = nan", diverging(model))


def test_an_input_that_is_not_finite_is_named():
    class Broken(Stream):
        def batch(self, size, generator):
            batch = super().batch(size, generator)
            batch.xs[2, 1, 0] = math.nan
            return batch

    assert re.match(r"step 1: the loss is nan; .* the input .*\[2, 1, 0\] = nan", diverging(build(), Broken()))


def test_a_gradient_that_is_not_finite_is_named():
    class Cusp(Stream):
        def loss(self, outputs, targets):
            return outputs.sub(outputs.detach()).square().sum().sqrt()  # zero, with an infinite slope

        metric = loss

    assert re.match(r"step 1: .* the gradient of layer\.weight_ih_l0 .*\[0, 0\] = nan", diverging(build(), Cusp()))


def test_divergence_later_leaves_the_weights_of_the_update_before():
    class Sudden(Stream):
        drawn = 0

        def batch(self, size, generator):
            self.drawn += 1
            batch = super().batch(size, generator)
            return batch if self.drawn < 3 else batch._replace(targets=batch.targets * math.inf)

    model, reference = build(), build()
    with pytest.raises(DivergedError, match=r"step 3: the loss is (inf|nan)"):
        learn(model, Sudden(), steps=5)
    learn(reference, steps=2)
    assert same_bits(weights(model), weights(reference))


def test_frozen_weights_stay():
    model = build()
    model.layer.weight_hh_l0.requires_grad_(False)
    before = model.layer.weight_hh_l0.clone()
    learn(model)
    assert torch.equal(model.layer.weight_hh_l0, before)


@pytest.mark.parametrize("cell", CORE_CELLS)
def test_every_cell_learns(cell):
    model = build(cell=cell)
    records = learn(model, steps=60, lr=0.03)
    first, last = (sum(record.loss for record in part) for part in (records[:10], records[-10:]))
    assert last < 0.7 * first


def test_evaluation_weighs_batches_by_their_targets_and_leaves_the_mode():
    class Uneven(Stream):
        def validation(self):
            for steps in (2, 6):
                yield rnnkit.Batch(torch.zeros(steps, B, D), torch.full((steps, B, 1), float(steps)))

    model = build()
    nn.init.zeros_(model.readout.weight)
    nn.init.zeros_(model.readout.bias)
    model.eval()
    loss, metric = rnnkit.evaluate(model, Uneven())
    assert loss == metric == pytest.approx((2 * 2**2 + 6 * 6**2) / 8)
    assert not model.training


def test_evaluation_carries_the_state_over_batches_that_continue():
    xs, targets = torch.randn(2 * T, B, D), torch.randn(2 * T, B, 1)

    class Halved(Stream):
        halves = True

        def validation(self):
            if self.halves:
                yield rnnkit.Batch(xs[:T], targets[:T])
                yield rnnkit.Batch(xs[T:], targets[T:], continues=True)
            else:
                yield rnnkit.Batch(xs, targets)

    task, model = Halved(), build(cell="lstm")
    halves = rnnkit.evaluate(model, task)
    task.halves = False
    assert halves.loss == pytest.approx(rnnkit.evaluate(model, task).loss, rel=1e-5)


def test_a_state_may_be_nested():
    class Two(torch.nn.Module):
        def __init__(self, task):
            super().__init__()
            self.embed = torch.nn.Embedding(task.input_size, 4)
            self.first, self.second = rnnkit.RNN("lstm", 4, 4), rnnkit.RNN("lstm", 4, 4)
            self.readout = torch.nn.Linear(4, task.output_size)

        def forward(self, xs, state=None, *, lengths=None):
            one, two = state if state is not None else (None, None)
            ys, one = self.first(self.embed(xs), one)
            ys, two = self.second(ys, two)
            return self.readout(ys), (one, two)

    task = rnnkit.tasks["copy"](seq_len=3)
    assert len(list(rnnkit.train(Two(task), task, steps=3, truncate=(4, 6)))) == 3


def test_evaluation_leaves_each_mode_as_it_was():
    task = rnnkit.tasks["adding"](seq_len=4)
    model = rnnkit.Model(task, "lstm", 4)
    model.train()
    model.readout.eval()
    rnnkit.evaluate(model, task)
    assert model.training
    assert model.layer.training
    assert not model.readout.training


@pytest.mark.parametrize("truncate", [5, (2,), "48"])
def test_a_truncation_that_is_no_pair(truncate):
    task = rnnkit.tasks["adding"](seq_len=4)
    with pytest.raises(UsageError, match="truncate"):
        rnnkit.train(rnnkit.Model(task, "lstm", 4), task, steps=1, truncate=truncate)
