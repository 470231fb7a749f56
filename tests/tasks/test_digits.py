"""Handwritten digits: a split without overlap, in rows or pixels."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError

Digits = rnnkit.tasks["digits"]


@pytest.mark.parametrize(("layout", "steps", "features"), [("rows", 8, 8), ("pixels", 64, 1)])
def test_layouts(layout, steps, features):
    task = Digits(layout=layout)
    batch = task.batch(5, torch.Generator().manual_seed(0))
    assert task.input_size == features
    assert batch.xs.shape == (steps, 5, features)
    assert batch.targets.shape == (5,)
    assert 0 <= batch.xs.min() < batch.xs.max() <= 1


def test_both_layouts_show_the_same_images():
    rows, pixels = (next(iter(Digits(layout=layout).validation())) for layout in ("rows", "pixels"))
    assert torch.equal(rows.targets, pixels.targets)
    assert torch.equal(rows.xs.transpose(0, 1).flatten(1), pixels.xs.transpose(0, 1).flatten(1))


def test_training_never_shows_what_is_held_out():
    task = Digits()
    held_out = {tuple(image) for image in next(iter(task.validation())).xs.transpose(0, 1).flatten(1).tolist()}
    batch = task.batch(20_000, torch.Generator().manual_seed(0))
    shown = {tuple(image) for image in batch.xs.transpose(0, 1).flatten(1).tolist()}
    assert len(shown) + len(held_out) == 1797
    assert len(held_out) == 1797 - 1797 * 4 // 5
    assert not shown & held_out


def test_logistic_regression_is_a_baseline_worth_beating():
    assert 0.9 < Digits().baselines()["logistic regression"] < 1


def test_accuracy_counts_what_is_told_right():
    outputs = torch.eye(10)[[3, 1, 4, 1]]
    assert float(Digits().metric(outputs, torch.tensor([3, 1, 4, 5]))) == 0.75


def test_an_unknown_layout():
    with pytest.raises(UsageError, match=r"task 'digits': layout is 'columns'; it must be rows or pixels"):
        Digits(layout="columns")
