"""What cannot be trained on is refused in one line that names it, before anything is computed from it."""

import math

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset, TensorDataset

import rnnkit
from rnnkit.errors import DataError, KindError, UsageError

XS, YS = torch.ones(6, 5, 3), torch.zeros(5).long()


def with_nan(shape, *at):
    tensor = torch.zeros(shape)
    tensor[at] = math.nan
    return tensor


class Spent:
    """Gives its batches once, although it can be iterated again."""

    def __init__(self, *batches):
        self.items = iter(batches)

    def __iter__(self):
        return self.items


class Unmeasured(Dataset):
    def __getitem__(self, number):
        return XS, YS


BATCHES = {
    "no pair": (XS, "task 'own': the loader: a batch is a Tensor; it must be (xs, targets), (xs, targets, lengths)"),
    "a dict": ({"x": XS}, "task 'own': the loader: a batch is a dict; it must be (xs, targets)"),
    "four parts": ((XS, YS, YS, YS), "task 'own': the loader: a batch is a tuple of 4; it must be"),
    "no targets": ((XS, None), "task 'own': the loader: a batch has no targets, but None; it must be (xs, targets), "),
    "text": (("ab", YS), "task 'own': the loader: a batch is wrong: the inputs is a str, which is no tensor"),
    "one dimension": ((torch.ones(6), YS), "task 'own': the loader: a batch has inputs of shape (6,); they must have"),
    "four dimensions": ((torch.ones(6, 5, 3, 2), YS), "a batch has inputs of shape (6, 5, 3, 2); they must have two"),
    "a single sequence": (
        (torch.ones(6, 3), torch.tensor(1)),
        "a batch has inputs of shape (6, 3) and one target, so it is a single sequence; make a Dataset of them, "
        "or batches by rnnkit.collate",
    ),
    "other rows": (
        (XS, torch.zeros(4).long()),
        "a batch has inputs of shape (6, 5, 3) and targets of shape (4,); give one target a step, (time, batch, ...), "
        "or one a sequence, (batch, ...), or batch_first=True if the dimensions are the other way round",
    ),
    "classes in vectors": (
        (XS, torch.zeros(5, 2).long()),
        "a batch has integer targets of shape (5, 2); give one",
    ),
    "inputs of nan": (
        (with_nan((6, 5, 3), 2, 4, 1), YS),
        "a batch has inputs that are not finite: nan at [2, 4, 1] of (6, 5, 3), time first; leave them out or fill",
    ),
    "targets of nan": ((XS, with_nan((5,), 3)), "a batch has targets that are not finite: nan at [3] of (5,)"),
    "nan before the end": (
        (XS, with_nan((6, 5), 1, 0), torch.tensor([2, 3, 3, 3, 6])),
        "a batch has targets that are not finite: nan at [1, 0] of (6, 5)",
    ),
    "lengths that are too long": ((XS, YS, torch.tensor([7] * 5)), "a batch is wrong: lengths runs from 7 to 7"),
    "too few lengths": ((XS, YS, torch.tensor([1])), "a batch is wrong: lengths has shape (1,)"),
}


@pytest.mark.parametrize("kind", BATCHES)
def test_a_first_batch(kind):
    batch, sentence = BATCHES[kind]
    with pytest.raises(DataError) as caught:
        rnnkit.tasks.from_loader([batch], name="own")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


ONE = torch.ones(7, 3)
SINGLE = {
    "a class": (ONE, 1),
    "a number": (ONE, torch.tensor(0.5)),
    "a class in a vector": (ONE, torch.tensor([1])),
    "classes at every step": (ONE, torch.zeros(7).long()),
    "numbers at every step": (ONE, torch.zeros(7)),
    "vectors at every step": (ONE, torch.zeros(7, 2)),
    "a vector": (ONE, torch.zeros(4)),
    "arrays": (ONE.numpy(), torch.zeros(7).numpy()),
    "one feature": (ONE[:, 0], torch.zeros(7)),
    "one feature and a class": (ONE[:, 0], 1),
    "symbols and a class": (ONE[:, 0].long(), torch.tensor(1)),
    "symbols at every step": (ONE[:, 0].long(), ONE[:, 0].long()),
    "symbols of features": (ONE.long(), torch.zeros(7).long()),
    "a list": ([1.0, 2.0, 3.0], 1),
    "a list of rows": ([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], 1),
    "a ragged list": ([[1.0, 2.0], [3.0]], 1),
    "a ragged array": (np.array([[1.0, 2.0], [3.0]], dtype=object), 1),
    "sequences in a list": ([ONE, ONE[:5]], [0, 1]),
    "equal sequences in a list": ([ONE, ONE], [ONE, ONE]),
    "lists in a list": ([[1.0, 2.0], [1.0, 2.0, 3.0]], [0, 1]),
}


@pytest.mark.parametrize("kind", SINGLE)
@pytest.mark.parametrize("every_step", [None, True, False])
def test_samples_in_a_list_are_no_batches(kind, every_step):
    with pytest.raises(DataError) as caught:
        rnnkit.tasks.from_loader([SINGLE[kind]] * 5, every_step=every_step, name="own")
    said = str(caught.value)
    assert said.startswith("task 'own': the loader: a batch has ")
    assert said.endswith(" make a Dataset of them, or batches by rnnkit.collate")
    assert "\n" not in said


def test_a_later_sample_is_no_batch():
    samples = [(torch.ones(steps, 3), torch.zeros(steps)) for steps in (3, 5)]
    task = rnnkit.tasks.from_loader(samples, name="own")
    with pytest.raises(
        DataError, match=r"^task 'own': the loader: a batch has targets of shape \(5,\); .* by rnnkit.col"
    ):
        list(rnnkit.train(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=2))


def test_nan_past_the_end_is_padding():
    task = rnnkit.tasks.from_loader([(XS, with_nan((6, 5), slice(2, None), 0), torch.tensor([2, 6, 6, 6, 6]))])
    (batch,) = task.validation()
    assert batch.targets.isnan().sum() == 4


LATER = {
    "another width": (
        (torch.ones(6, 5, 2), YS),
        "a batch has 2 features a step; correct it, or input_size",
    ),
    "a class too many": ((XS, YS + 2), "targets that its loss does not take (Target 2 is out of bounds)"),
    "targets at every step": ((XS, torch.zeros(6, 5).long()), "a batch has targets of shape (6, 5); give one for"),
    "inputs of nan": ((with_nan((6, 5, 3), 0, 0, 0), YS), "task 'own': the loader: a batch has inputs that are not"),
    "empty": ((XS[:0], YS), "a batch has inputs of shape (0, 5, 3); give at least one step and one row"),
}


@pytest.mark.parametrize("kind", LATER)
def test_a_later_batch(kind):
    batch, sentence = LATER[kind]
    task = rnnkit.tasks.from_loader([(XS, YS), batch], validation=[(XS, YS)], output_size=2, name="own")
    records = rnnkit.train(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=2)
    next(records)
    with pytest.raises(DataError) as caught:
        next(records)
    assert sentence in str(caught.value)


def test_targets_of_another_width():
    task = rnnkit.tasks.from_loader([(XS, torch.ones(5, 2)), (XS, torch.ones(5, 3))])
    with pytest.raises(DataError, match=r"loss does not take \(they have shape \(5, 3\), the outputs \(5, 2\)\)"):
        list(rnnkit.train(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=2))


@pytest.mark.parametrize(
    ("loader", "kind", "sentence"),
    [
        (iter([(XS, YS)]), UsageError, "task 'own': the loader is a list_iterator, which can be read once only; give"),
        (
            ((XS, YS) for _ in range(3)),
            UsageError,
            "task 'own': the loader is a generator, which can be read once",
        ),
        (5, KindError, "task 'own': the loader is a int; it must be a DataLoader, a Dataset or a list of batches"),
        (Unmeasured(), UsageError, "task 'own': the loader is a Unmeasured without a length; give it __len__()"),
        ([], DataError, "task 'own': the loader gives no batch; give one that has data"),
        (TensorDataset(XS[:0], YS[:0]), DataError, "task 'own': the loader gives no batch; give one that has data"),
        (
            DataLoader(TensorDataset(XS), num_workers=1, persistent_workers=True),
            UsageError,
            "task 'own': the loader keeps its workers, and one place for all that read it; give persistent_workers=",
        ),
    ],
    ids=["iterator", "generator", "number", "no length", "list", "data set", "workers"],
)
def test_what_is_no_loader(loader, kind, sentence):
    with pytest.raises(kind) as caught:
        rnnkit.tasks.from_loader(loader, name="own")
    assert str(caught.value).startswith(sentence)


def test_validation_that_can_be_read_once():
    with pytest.raises(UsageError, match=r"^task 'own': validation is a list_iterator, which can be read once only"):
        rnnkit.tasks.from_loader([(XS, YS)], validation=iter([(XS, YS)]), name="own")


def test_a_loader_that_is_spent_after_a_pass():
    task = rnnkit.tasks.from_loader(Spent((XS, YS), (XS, YS)), validation=[(XS, YS)], name="own")
    with pytest.raises(DataError, match=r"^task 'own': the loader gives no batch; give one that has data, at every"):
        list(rnnkit.train(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=4))


def test_validation_without_a_batch():
    task = rnnkit.tasks.from_loader([(XS, YS)], validation=[], name="own")
    with pytest.raises(DataError, match="task 'own' gives no batch to evaluate on"):
        list(rnnkit.train(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=1))


@pytest.mark.parametrize(
    ("options", "kind", "sentence"),
    [
        ({"batch_first": 1}, KindError, "batch_first is 1; it must be True or False"),
        ({"every_step": "no"}, KindError, "every_step is 'no'; it must be True or False"),
        ({"loss": "mse"}, KindError, "loss is 'mse'; it must be a function of outputs and targets"),
        ({"metric": 1}, KindError, "metric is 1; it must be a function of outputs and targets"),
        ({"metric_name": 1}, KindError, "metric_name is 1; it must be text"),
        ({"output_size": 0}, UsageError, "output_size is 0; it must be a whole number >= 1"),
        ({"name": "two words"}, UsageError, "name is 'two words'; it must be a word"),
    ],
)
def test_arguments_that_make_no_sense(options, kind, sentence):
    with pytest.raises(kind) as caught:
        rnnkit.tasks.from_loader([(XS, YS)], **options)
    assert str(caught.value) == sentence


def test_a_loss_that_is_no_single_number():
    task = rnnkit.tasks.from_loader([(XS, YS)], loss=lambda outputs, targets: outputs)
    with pytest.raises(UsageError, match=r"^the loss gives a tensor \(5, 1\); it must give one number, a mean$"):
        list(rnnkit.train(rnnkit.Model(task, "rnn", 2, unroller="loop"), task, steps=1))


def test_more_rows_than_there_are():
    task = rnnkit.tasks.from_loader([(XS, YS)], name="own")
    assert task.batch(2, torch.Generator()).xs.shape == (6, 2, 3)
    with pytest.raises(UsageError, match="the loader gives 5 rows at once; 8 are asked for"):
        task.batch(8, torch.Generator())
