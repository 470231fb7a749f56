"""a^n b^n and a^n b^n c^n: strings written down one letter after another, longer ones held out."""

import pytest
import torch
from torch.nn.functional import one_hot

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks._targets import LEFT_OUT

LETTERS = {"anbn": "ab", "anbncn": "abc"}
both = pytest.mark.parametrize("name", LETTERS)


def written(name, n):
    """Return what is read, and what is to be told: "." where it is not determined."""
    letters = LETTERS[name]
    text = "$" + "".join(letter * n for letter in letters) + "$"
    return text[:-1], "." * (n + 1) + text[n + 2 :]


def rows(name, batch):
    signs = {LEFT_OUT: ".", **dict(enumerate("$" + LETTERS[name]))}
    for read, told, length in zip(batch.xs.t(), batch.targets.t(), batch.lengths, strict=True):
        yield "".join(signs[int(s)] for s in read[:length]), "".join(signs[int(s)] for s in told[:length])
        assert not read[length:].any()
        assert (told[length:] == LEFT_OUT).all()


@both
@pytest.mark.parametrize("train_n", [1, 2, 50])
def test_strings_are_as_they_are_written(name, train_n):
    task = rnnkit.tasks[name](train_n=train_n)
    batch = task.batch(100, torch.Generator().manual_seed(0))
    assert batch.xs.shape == batch.targets.shape == (len(LETTERS[name]) * train_n + 1, 100)
    n = (batch.lengths - 1) // len(LETTERS[name])
    assert list(rows(name, batch)) == [written(name, int(k)) for k in n]


@both
def test_every_n_trains_as_often(name):
    n = rnnkit.tasks[name](train_n=5).batch(20_000, torch.Generator().manual_seed(0)).lengths // len(LETTERS[name])
    counts = torch.bincount(n, minlength=6)[1:] / 20_000
    assert (counts - 0.2).abs().max() < 4 * (0.2 * 0.8 / 20_000) ** 0.5


@both
def test_every_longer_n_validates_once(name):
    (batch,) = rnnkit.tasks[name](train_n=5, test_n=9).validation()
    assert list(rows(name, batch)) == [written(name, n) for n in (6, 7, 8, 9)]


def told(task, batch, change):
    """Return outputs that say what `change` makes of the targets."""
    return one_hot(change(batch.targets.clamp(min=0)), task.output_size).float()


@both
def test_one_symbol_that_is_wrong_spoils_the_string(name):
    task = rnnkit.tasks[name](train_n=5, test_n=9)
    (batch,) = task.validation()
    outputs = told(task, batch, lambda targets: targets)
    assert float(task.metric(outputs, batch.targets)) == 1
    outputs[0] += 9 * torch.randn(outputs.shape[1:])  # nothing is determined there
    assert float(task.metric(outputs, batch.targets)) == 1
    outputs[int(batch.lengths[0]) - 1, 0, 0] = -1  # the mark at the end of the first
    assert float(task.metric(outputs, batch.targets)) == 0.75
    assert float(task.loss(outputs, batch.targets)) > 0


@both
def test_who_always_says_one_n_reaches_the_baseline(name):
    task = rnnkit.tasks[name]()
    (batch,) = task.validation()
    said = batch.targets[:, 20].clamp(min=0)  # n = 71
    shares = []
    for row in range(150):
        after_a = batch.xs[:, row].eq(1).sum() - 71  # moved to where this row's letters end
        shares.append(bool(((said.roll(int(after_a)) == batch.targets[:, row]) | (batch.targets[:, row] < 0)).all()))
    assert sum(shares) / 150 == pytest.approx(task.baselines()["one n for all"])


class LastSymbols(torch.nn.Module):
    """Tells what followed the last `order` symbols most often in the strings up to `train_n`."""

    def __init__(self, name, order, train_n):
        super().__init__()
        self.order, self.weight = order, torch.nn.Parameter(torch.zeros(1))
        self.counts = {}
        (batch,) = rnnkit.tasks[name](train_n=1, test_n=train_n).validation()
        for read, targets, length in zip(batch.xs.t().tolist(), batch.targets.t().tolist(), batch.lengths, strict=True):
            for at in range(int(length)):
                if targets[at] >= 0:
                    seen = self.counts.setdefault(tuple(read[max(0, at + 1 - order) : at + 1]), {})
                    seen[targets[at]] = seen.get(targets[at], 0) + 1
        self.kinds = max(max(seen) for seen in self.counts.values()) + 1

    def forward(self, xs, state=None, *, lengths=None):
        outputs = torch.zeros(*xs.shape, self.kinds)
        for row, read in enumerate(xs.t().tolist()):
            for at in range(len(read)):
                seen = self.counts.get(tuple(read[max(0, at + 1 - self.order) : at + 1]), {0: 1})
                outputs[at, row, max(seen, key=seen.get)] = 1
        return outputs + self.weight, None


@both
@pytest.mark.parametrize(("order", "least", "most"), [(4, 0, 0.2), (61, 0.95, 1)])
def test_a_model_of_the_last_symbols_gets_nothing_right_beyond(name, order, least, most):
    task, model = rnnkit.tasks[name](train_n=20, test_n=30), LastSymbols(name, order, 20)
    trained, *beyond = task.further_figures(model).items()
    assert trained[0] == "strings right, n = 1 to 20"
    assert least <= trained[1] <= most
    names = [f"strings right, n = {n}" for n in ("21 to 23", "24 to 26", "27 to 30")]
    assert beyond == [(name, 0) for name in names]
    assert rnnkit.evaluate(model, task).metric == task.baselines()["n-gram"] == 0


@both
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"train_n": 200}, "test_n is 200; it must be more than train_n, which is 200"),
        ({"test_n": 10_001}, "test_n is 10001; it must be 10000 or less"),
        ({"test_n": 2.5}, r"test_n is 2\.5; it must be a whole number >= 1"),
    ],
)
def test_options_that_make_no_sense(name, options, sentence):
    with pytest.raises(UsageError, match=f"task '{name}': {sentence}"):
        rnnkit.tasks[name](**options)
