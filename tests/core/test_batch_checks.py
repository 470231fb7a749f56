"""A batch that no model can learn from is refused with a sentence, whether it is trained, validated or tested on."""

import pytest
import torch
from torch import zeros
from torch.nn import functional as F

import rnnkit
from rnnkit.core.batch_checks import check_batch, loss_of
from rnnkit.errors import DataError

T, B, D = 5, 3, 2
LONG = torch.long


class Judged(rnnkit.Task):
    """Gives the batch that it was told to."""

    name = "judged"
    metric_name = "loss"
    input_size, output_size = D, 4

    def __init__(self, given=None, *, every_step=True, symbols=False):
        self.given, self.every_step, self.symbols = given, every_step, symbols

    def batch(self, size, generator):
        return self.given

    def loss(self, outputs, targets):
        return F.cross_entropy(outputs.flatten(0, -2), targets.flatten())

    metric = loss


def batch(xs=None, targets=None, lengths=None):
    return rnnkit.Batch(
        zeros(T, B, D) if xs is None else xs, zeros(T, B, dtype=LONG) if targets is None else targets, lengths
    )


WHOLE, WORDS = {"every_step": False}, {"symbols": True}
REFUSED = {
    "no steps": (batch(zeros(0, B, D)), {}, "inputs of shape (0, 3, 2); give at least one step and one row"),
    "no rows": (batch(zeros(T, 0, D)), {}, "inputs of shape (5, 0, 2); give at least one step and one row"),
    "too wide": (batch(zeros(T, B, 7)), {}, "7 features a step; correct it, or input_size, which is 2"),
    "flat": (batch(zeros(T, B)), {}, "inputs of shape (5, 3); they must be (time, batch, input_size)"),
    "no symbols": (batch(zeros(T, B)), WORDS, "symbols of torch.float32; they must be torch.int64"),
    "symbols as vectors": (batch(zeros(T, B, D, dtype=LONG)), WORDS, "they must be (time, batch)"),
    "a symbol too high": (
        batch(torch.full((T, B), 2)),
        WORDS,
        "symbols from 2 to 2; they must be at least 0 and",
    ),
    "a symbol too low": (batch(torch.full((T, B), -1)), WORDS, "symbols from -1 to -1; they must be at least 0"),
    "a length too long": (batch(lengths=torch.tensor([1, 6, 5])), {}, "lengths runs from 1 to 6; each must be from 1"),
    "a length below one": (batch(lengths=torch.tensor([1, 0, 5])), {}, "lengths runs from 0 to 5"),
    "lengths of other rows": (batch(lengths=torch.tensor([1, 2])), {}, "one integer for each of the 3 rows"),
    "targets of other steps": (batch(targets=zeros(T + 1, B)), {}, "targets of shape (6, 3); give one for each step"),
    "targets of other rows": (batch(targets=zeros(B + 1)), WHOLE, "targets of shape (4,); give one for each row"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind):
    given, options, sentence = REFUSED[kind]
    with pytest.raises(DataError) as caught:
        check_batch(Judged(**options), given)
    assert str(caught.value).startswith("task 'judged': a batch ")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (batch(), {}),
        (batch(targets=zeros(T, B, 4)), {}),
        (batch(targets=zeros(B)), WHOLE),
        (batch(torch.ones(T, B, dtype=torch.int32)), WORDS),
        (batch(lengths=torch.tensor([1, 5, 3])), {}),
    ],
    ids=["plain", "vectors as targets", "a target a row", "symbols", "lengths in no order"],
)
def test_what_is_fit(given, options):
    assert check_batch(Judged(**options), given) is given


def test_training_looks():
    task = Judged(REFUSED["too wide"][0])
    with pytest.raises(DataError, match="7 features"):
        next(rnnkit.train(rnnkit.Model(task, "lstm", 3), task, steps=1))


def test_evaluation_looks():
    task = Judged(REFUSED["too wide"][0])
    with pytest.raises(DataError, match="7 features"):
        rnnkit.evaluate(rnnkit.Model(task, "lstm", 3), task)


@pytest.mark.parametrize("label", [4, -1])
def test_a_class_that_there_is_not(label):
    task = Judged(batch(targets=torch.full((T, B), label)))
    with pytest.raises(DataError, match=rf"Target {label} is out of bounds\); correct them, or output_size"):
        next(rnnkit.train(rnnkit.Model(task, "lstm", 3), task, steps=1))
    with pytest.raises(DataError, match=rf"Target {label} is out of bounds"):
        loss_of(task, zeros(T, B, 4), task.given.targets)
