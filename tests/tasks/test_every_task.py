"""Every registered task keeps its promises, and a model can be trained on it."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError

SIZES = {
    "adding": "seq_len",
    "anbn": "train_n",
    "anbncn": "train_n",
    "chars": "seq_len",
    "classify": "max_len",
    "copy": "seq_len",
    "csv": "window",
    "dyck": "train_len",
    "firing": "interval",
    "lorenz": "seq_len",
    "mackey-glass": "seq_len",
    "parity": "train_len",
    "tag": "max_len",
    "timing": "interval",
}


@pytest.mark.parametrize("name", list(rnnkit.tasks))
def test_keeps_every_promise(name):
    assert rnnkit.testing.check_task(rnnkit.tasks[name]).ok


@pytest.mark.parametrize("name", list(rnnkit.tasks))
def test_one_update_ends_with_a_validation(name):
    options = {SIZES[name]: 8} if name in SIZES else {}
    task = rnnkit.tasks[name](**options)
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 4, embedding_size=4)
    (record,) = rnnkit.train(model, task, steps=1, batch_size=4)
    assert record.tokens == task.batch(4, torch.Generator()).xs.shape[:2].numel()
    assert record.validation.loss > 0


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "100"])
@pytest.mark.parametrize("name", SIZES)
def test_a_length_is_a_whole_number(name, value):
    size = SIZES[name]
    with pytest.raises(UsageError, match=rf"task '{name}': {size} is {value!r}; it must be a whole number >= \d"):
        rnnkit.tasks[name](**{size: value})
