"""Tasks of a user's own data: what is found from the first batch, how it is judged, and that all else takes them."""

import logging
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import rnnkit
from rnnkit import testing

N, T, D = 20, 6, 3


def real(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def whole(high, *shape, seed=0):
    values = torch.randint(high, shape, generator=torch.Generator().manual_seed(seed))
    values.flatten()[0] = high - 1
    return values


def alternating(xs, ys, rows=5):
    """Return a loader of our own, batch first: a list."""
    return [(xs[k : k + rows], ys[k : k + rows]) for k in range(0, len(xs), rows)]


XS = real(N, T, D)
KINDS = {
    "classes a sequence": (XS, whole(4, N), {"every_step": False, "output_size": 4, "metric_name": "accuracy"}),
    "classes a step": (XS, whole(4, N, T), {"every_step": True, "output_size": 4, "metric_name": "accuracy"}),
    "numbers a sequence": (XS, real(N), {"every_step": False, "output_size": 1, "metric_name": "MSE"}),
    "vectors a sequence": (XS, real(N, 2), {"every_step": False, "output_size": 2, "metric_name": "MSE"}),
    "numbers a step": (XS, real(N, T), {"every_step": True, "output_size": 1, "metric_name": "MSE"}),
    "vectors a step": (XS, real(N, T, 2), {"every_step": True, "output_size": 2, "metric_name": "MSE"}),
    "flags": (XS, whole(2, N).bool(), {"every_step": False, "output_size": 2, "metric_name": "accuracy"}),
    "symbols": (whole(7, N, T), whole(2, N), {"symbols": True, "input_size": 7, "output_size": 2}),
    "a series": (real(N, T), real(N), {"symbols": False, "input_size": 1}),
    "bytes of pictures": (whole(256, N, T, D).byte(), whole(2, N), {"symbols": False, "output_size": 2}),
}


def trained(task, steps=2, **options):
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 4, unroller="loop")
    return model, list(rnnkit.train(model, task, steps=steps, lr=0.01, **options))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("source", ["batch first", "time first", "data set"])
def test_what_the_batches_are_is_found(kind, source):
    xs, ys, expected = KINDS[kind]
    every_step = expected.get("every_step")
    if source == "data set":
        task = rnnkit.tasks.from_loader(TensorDataset(xs, ys), validation=TensorDataset(xs[:7], ys[:7]))
    elif source == "batch first":
        loader = DataLoader(TensorDataset(xs, ys), batch_size=5, shuffle=True)
        classes = {} if ys.is_floating_point() else {"output_size": expected["output_size"]}
        classes |= {"input_size": 7} if expected.get("symbols") else {}  # which the first batch may lack
        task = rnnkit.tasks.from_loader(loader, batch_first=True, validation=alternating(xs, ys, 7)[:1], **classes)
    else:
        turned = [(x.transpose(0, 1), y.transpose(0, 1) if every_step else y) for x, y in alternating(xs, ys)]
        task = rnnkit.tasks.from_loader(turned, validation=turned[:2])
    for name, value in expected.items():
        assert getattr(task, name) == value, name
    if expected.get("metric_name"):
        assert task.higher_is_better is (expected["metric_name"] == "accuracy")
    testing.check_task(task)
    model, records = trained(task)
    assert records[-1].validation == rnnkit.evaluate(model, task)
    assert all(math.isfinite(record.loss) and math.isfinite(record.metric) for record in records)


@pytest.mark.parametrize("every_step", [False, True])
def test_the_loss_is_torch_s_own(every_step):
    """Of rows of different lengths: the mean over those steps that there are."""
    lengths = torch.tensor([2, 6, 4, 6, 1])
    xs, outputs = real(T, 5, D), real(*[T, 5, 4][not every_step :], seed=1)
    shape = (T, 5) if every_step else (5,)
    there = (torch.arange(T).unsqueeze(1) < lengths) if every_step else torch.ones(5, dtype=torch.bool)
    for ys, function in ((whole(4, *shape), F.cross_entropy), (real(*shape, 4), F.mse_loss)):
        task = rnnkit.tasks.from_loader([(xs, ys, lengths)])
        (batch,) = task.validation()
        torch.testing.assert_close(task.loss(outputs, batch.targets), function(outputs[there], ys[there]))
        leaf = outputs.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(task.loss(leaf, batch.targets), leaf)
        assert gradient.isfinite().all()
        assert gradient[there].any()
        assert not gradient[~there].any()
        metric = (outputs[there].argmax(-1) == ys[there]).double().mean() if ys.ndim < outputs.ndim else None
        if metric is not None:
            torch.testing.assert_close(task.metric(outputs, batch.targets), metric)


def test_the_user_s_own_loss_and_metric():
    def furthest(outputs, targets):
        return float((outputs - targets).abs().max())

    ys = real(N, 2)
    loader = DataLoader(TensorDataset(XS, ys), batch_size=5)
    task = rnnkit.tasks.from_loader(loader, batch_first=True, loss=nn.L1Loss(), metric=furthest)
    outputs = real(5, 2, seed=3)
    torch.testing.assert_close(task.loss(outputs, ys[:5]), F.l1_loss(outputs, ys[:5]))
    assert (task.metric_name, task.higher_is_better) == ("furthest", False)
    assert float(task.metric(outputs, ys[:5])) == pytest.approx(furthest(outputs, ys[:5]))
    task = rnnkit.tasks.from_loader(loader, batch_first=True, loss=nn.L1Loss(), metric_name="L1", higher_is_better=True)
    assert (task.metric_name, task.higher_is_better) == ("L1", True)
    assert torch.equal(task.metric(outputs, ys[:5]), task.loss(outputs, ys[:5]))
    trained(task)


def test_targets_of_a_loss_of_one_s_own_are_left_alone():
    ys = real(T, 5)
    ys[3:] = math.nan
    task = rnnkit.tasks.from_loader([(real(T, 5, D), ys, torch.tensor([4] * 5))], loss=lambda outs, ys: outs.sum())
    (batch,) = task.validation()
    assert torch.equal(batch.targets.isnan(), ys.isnan())


def test_the_loader_says_how_many_rows():
    task = rnnkit.tasks.from_loader(DataLoader(TensorDataset(XS, real(N)), batch_size=8), batch_first=True)
    assert task.fixed_batch_size == 8
    _, records = trained(task, steps=4)
    assert [record.tokens for record in records] == [8 * T, 16 * T, 20 * T, 28 * T]  # the third is what is left over
    trained(task, batch_size=8)
    with pytest.raises(rnnkit.errors.UsageError, match=r"gives batches of 8 rows; batch_size is 16; leave it out, or "):
        trained(task, batch_size=16)


def test_a_data_set_is_cut_into_what_is_asked_for():
    task = rnnkit.tasks.from_loader(TensorDataset(XS, real(N)))
    assert task.fixed_batch_size is None
    assert [record.tokens for record in trained(task, batch_size=15)[1]] == [15 * T, 20 * T]


def test_every_sample_comes_once_in_a_pass():
    task = rnnkit.tasks.from_loader(TensorDataset(torch.arange(N).float().view(N, 1, 1), torch.arange(N).float()))
    batches = task.batches(6, torch.Generator().manual_seed(0))
    passes = [torch.cat([next(batches).targets for _ in range(4)]) for _ in range(3)]
    assert [sorted(one.tolist()) for one in passes] == [list(range(N))] * 3
    assert not torch.equal(passes[0], passes[1])


def test_a_stream_of_samples():
    class Counting(IterableDataset):
        def __iter__(self):
            yield from ((torch.full((2, 1), float(k)), float(k)) for k in range(7))

    task = rnnkit.tasks.from_loader(Counting())
    batches = task.batches(3, torch.Generator())
    assert [next(batches).targets.tolist() for _ in range(4)] == [[0, 1, 2], [3, 4, 5], [6], [0, 1, 2]]


def test_batches_that_continue_each_other_carry_the_state():
    xs, ys = real(2 * T, 5, D), real(2 * T, 5)
    pieces = [rnnkit.Batch(xs[:T], ys[:T]), rnnkit.Batch(xs[T:], ys[T:], continues=True)]
    model, _ = trained(rnnkit.tasks.from_loader(pieces, validation=pieces))
    whole_one = rnnkit.tasks.from_loader([(xs, ys)])
    cut = rnnkit.evaluate(model, rnnkit.tasks.from_loader(pieces))
    assert cut.loss == pytest.approx(rnnkit.evaluate(model, whole_one).loss, rel=1e-5)


def test_test_batches():
    ys = real(N)
    task = rnnkit.tasks.from_loader(alternating(XS, ys), batch_first=True, validation=TensorDataset(XS, ys))
    assert task.test() is None
    task = rnnkit.tasks.from_loader(alternating(XS, ys), batch_first=True, test=TensorDataset(XS[:4], ys[:4]))
    assert torch.equal(next(task.test()).targets, ys[:4])
    model, _ = trained(task)
    assert rnnkit.evaluate(model, task, task.test()).loss > 0


def told(caplog):
    return [record.getMessage() for record in caplog.records]


def test_what_is_guessed_is_said(caplog):
    caplog.set_level(logging.WARNING, "rnnkit")
    task = rnnkit.tasks.from_loader([(whole(7, T, 5), whole(3, 5))], name="mine")
    assert told(caplog) == [
        "task 'mine': the loader: a list is taken for one of batches, the first of 5 rows; of single sequences make a "
        "Dataset, and give each batch as a rnnkit.Batch to be sure",
        "task 'mine': input_size is taken to be 7, one above the highest symbol of the first batch; give it if there "
        "are more",
        "task 'mine': output_size is taken to be 3, one above the highest class of the first batch; give it if there "
        "are more",
        "task 'mine': no validation is given, so it is validated on what it is trained on",
    ]
    assert repr(task) == (
        "<task 'mine': 7 symbols, one target a sequence (3 outputs, cross entropy), batches of 5 rows; nothing is held "
        "out: validated on what is trained on>"
    )
    caplog.clear()
    sizes = {"input_size": 9, "output_size": 4}
    batches = [rnnkit.Batch(whole(7, T, 5), whole(3, 5))]
    task = rnnkit.tasks.from_loader(batches, validation=[(whole(7, T, 5), whole(3, 5))], **sizes)
    assert told(caplog) == []
    assert (task.input_size, task.output_size) == (9, 4)


def test_rows_in_place_of_features_are_said(caplog):
    task = rnnkit.tasks.from_loader([(real(T, 3), real(T, 3))] * 2, validation=[(real(T, 3), real(T, 3))])
    assert task.input_size == 1
    assert told(caplog) == [
        "task 'loader': the loader: real inputs of two dimensions are taken for 3 rows of one feature; of single "
        "sequences make a Dataset, and give (time, batch, 1) to be sure"
    ]


def test_a_fingerprint_tells_other_data():
    ys = real(N)
    one, same, other = (
        rnnkit.tasks.from_loader(TensorDataset(xs, ys)).fingerprint() for xs in (XS, XS.clone(), XS + 1)
    )
    assert one == same != other


def test_the_registry_is_what_it_was():
    assert "from_loader" not in rnnkit.tasks
    assert rnnkit.tasks["adding"].name == "adding"


def test_several_lengths_train(caplog):
    samples = [(real(1 + k % 5, D, seed=k), whole(2, 1 + k % 5, seed=k)) for k in range(N)]
    loader = DataLoader(samples, batch_size=6, collate_fn=rnnkit.collate)
    task = rnnkit.tasks.from_loader(loader, validation=loader)
    testing.check_task(task)
    _, records = trained(task, steps=5)
    assert records[-1].validation.metric <= 1
    with pytest.raises(rnnkit.errors.UsageError, match="rows of different lengths; truncated BPTT does not take them"):
        trained(task, truncate=(2, 2))


@pytest.mark.parametrize("given", ["pairs", "batches", "a loader"])
def test_a_list_that_may_be_one_of_sequences_is_told(caplog, given):
    xs, targets = torch.zeros(20, 3, dtype=torch.long), torch.zeros(20, 3, dtype=torch.long)
    pairs = [rnnkit.Batch(xs, targets) if given == "batches" else (xs, targets)] * 4
    loader = torch.utils.data.DataLoader(pairs, batch_size=None) if given == "a loader" else pairs
    rnnkit.tasks.from_loader(loader, validation=loader, input_size=2, output_size=2)
    told = "the loader: a list is taken for one of batches, the first of 3 rows; of single sequences make a Dataset"
    assert (told in caplog.text) == (given == "pairs")
