"""Sequences of different lengths in one batch: nothing of a sequence is lost, and what pads it is told from it."""

import random

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader

import rnnkit
from rnnkit.errors import DataError

LENGTHS = (3, 1, 5)


def ragged(*shape, dtype=torch.float32):
    return [torch.arange(1, 1 + n * max(1, torch.Size(shape).numel())).reshape(n, *shape).to(dtype) for n in LENGTHS]


def test_real_inputs_and_one_target_a_sequence():
    sequences = ragged(2)
    batch = rnnkit.collate([(xs, k % 2) for k, xs in enumerate(sequences)])
    assert batch.xs.shape == (5, 3, 2)
    assert batch.targets.tolist() == [0, 1, 0]
    assert batch.lengths.tolist() == list(LENGTHS)
    for row, xs in enumerate(sequences):
        assert torch.equal(batch.xs[: len(xs), row], xs)
        assert not batch.xs[len(xs) :, row].any()


@pytest.mark.parametrize("kind", ["classes", "numbers", "vectors"])
def test_targets_at_every_step_are_marked_past_the_end(kind):
    targets = {"classes": ragged(dtype=torch.int32), "numbers": ragged(), "vectors": ragged(3)}[kind]
    batch = rnnkit.collate(list(zip(ragged(2), targets, strict=True)))
    assert batch.targets.shape[:2] == (5, 3)
    for row, ys in enumerate(targets):
        past = batch.targets[len(ys) :, row]
        assert torch.equal(batch.targets[: len(ys), row].to(ys), ys)
        assert (past == -100).all() if kind == "classes" else past.isnan().all()
    assert batch.targets.dtype == (torch.int64 if kind == "classes" else torch.float32)


def test_torch_s_cross_entropy_passes_over_the_marks():
    batch = rnnkit.collate(list(zip(ragged(2), [torch.zeros(n).long() for n in LENGTHS], strict=True)))
    outputs = torch.randn(5, 3, 2)
    each = [F.cross_entropy(outputs[:n, row], torch.zeros(n).long(), reduction="sum") for row, n in enumerate(LENGTHS)]
    torch.testing.assert_close(F.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten()), sum(each) / 9)


def test_symbols_and_series_of_one_number():
    assert rnnkit.collate(list(zip(ragged(dtype=torch.int64), b"abc", strict=True))).xs.shape == (5, 3)
    assert rnnkit.collate([(np.ones(n), 0.5) for n in LENGTHS]).xs.shape == (5, 3, 1)
    assert rnnkit.collate([([1.0, 2.0], 0.5)]).xs.tolist() == [[[1.0]], [[2.0]]]


def test_equally_long_ones_need_no_lengths():
    assert rnnkit.collate([(torch.ones(4, 2), 0)] * 3).lengths is None


def test_vectors_that_are_as_long_as_the_sequences():
    samples = [(torch.ones(4, 2), torch.ones(4))] * 3
    assert rnnkit.collate(samples).targets.shape == (4, 3)
    assert rnnkit.collate(samples, every_step=False).targets.shape == (3, 4)


def test_it_is_a_collate_fn():
    samples = [(torch.randn(random.Random(k).randint(1, 6), 2), k % 3) for k in range(10)]
    batches = list(DataLoader(samples, batch_size=4, collate_fn=rnnkit.collate))
    assert [type(batch) for batch in batches] == [rnnkit.Batch] * 3
    assert [batch.xs.shape[1] for batch in batches] == [4, 4, 2]
    layer = rnnkit.RNN("gru", 2, 3, unroller="loop")
    outputs, _ = layer(batches[0].xs, lengths=batches[0].lengths)
    alone, _ = layer(samples[1][0].unsqueeze(1))
    torch.testing.assert_close(outputs[: len(alone), 1], alone[:, 0])


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        ([], "there is no sequence to put into a batch; give at least one"),
        ([torch.ones(3)], "sample 0 is a Tensor; it must be a pair (sequence, target)"),
        ([(torch.ones(3), 1, 2)], "sample 0 is a tuple; it must be a pair (sequence, target)"),
        ([("abc", 1)], "sample 0: the sequence is a str, which is no tensor; give one, or a list"),
        (
            [(torch.ones(3), 1), (torch.ones(0), 1)],
            "sequence 1 has shape (0,); it must be (steps,) or (steps, features), one step or more",
        ),
        (
            [(torch.ones(3, 2), 1), (torch.ones(3, 4), 1)],
            "sequence 1 has shape (4,) a step, sequence 0 has (2,); they must be the same",
        ),
        (
            [(torch.ones(3), 1), (torch.ones(3).double(), 1)],
            "sequence 1 has dtype torch.float64, sequence 0 has torch.float32; they must be the same",
        ),
        (
            [(torch.ones(3), torch.ones(2)), (torch.ones(3), torch.ones(4))],
            "target 1 has shape (4,), target 0 has (2,); they must be the same",
        ),
        ([(torch.ones(3), 1), (torch.ones(3), 1.5)], "target 1 has dtype torch.float32, target 0 has torch.int64"),
    ],
)
def test_what_cannot_be_put_together(samples, sentence):
    with pytest.raises(DataError) as caught:
        rnnkit.collate(samples)
    assert str(caught.value).startswith(sentence)


def test_a_target_that_is_too_short():
    with pytest.raises(DataError, match=r"^target 1 has shape \(2,\), its sequence 3 steps; give one a step$"):
        rnnkit.collate([(torch.ones(3), torch.ones(3)), (torch.ones(3), torch.ones(2))], every_step=True)
