"""Parity: sums modulo 2, of strings whose lengths differ, longer ones held out."""

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks._targets import LEFT_OUT

Parity = rnnkit.tasks["parity"]


def draw(size, **options):
    return Parity(**options).batch(size, torch.Generator().manual_seed(0))


def strings(batch):
    """Return each row's bits, as far as it is long, and its targets."""
    rows = zip(batch.xs[..., 0].t().tolist(), batch.targets.t().tolist(), batch.lengths.tolist(), strict=True)
    return [(bits[:length], targets[:length]) for bits, targets, length in rows]


@pytest.mark.parametrize("train_len", [1, 2, 40])
def test_targets_are_sums_modulo_two(train_len):
    batch = draw(200, train_len=train_len)
    assert batch.xs.shape == (train_len, 200, 1)
    assert batch.targets.shape == (train_len, 200)
    for bits, targets in strings(batch):
        assert targets == [sum(bits[: step + 1]) % 2 for step in range(len(bits))]
    past = torch.arange(train_len).unsqueeze(1) >= batch.lengths
    assert (batch.targets[past] == LEFT_OUT).all()
    assert not batch.xs[past].any()


def test_a_final_answer_is_asked_for_after_the_last_bit_alone():
    running, final = draw(200), draw(200, answers="final")
    assert torch.equal(running.xs, final.xs)
    for (_, whole), (_, last) in zip(strings(running), strings(final), strict=True):
        assert last == [LEFT_OUT] * (len(whole) - 1) + whole[-1:]


def test_bits_are_even_and_lengths_uniform():
    batch = draw(20_000, train_len=10)
    counts = torch.bincount(batch.lengths, minlength=11)[1:] / 20_000
    assert (counts - 0.1).abs().max() < 4 * (0.1 * 0.9 / 20_000) ** 0.5
    count = int(batch.lengths.sum())
    assert abs(float(batch.xs.sum()) / count - 0.5) < 4 * 0.5 / count**0.5


@pytest.mark.parametrize("answers", ["running", "final"])
def test_longer_strings_validate_ten_of_each_length(answers):
    (batch,) = Parity(answers=answers, train_len=4, test_len=9).validation()
    assert torch.bincount(batch.lengths).tolist() == [0] * 5 + [10] * 5
    assert draw(5000, train_len=4).lengths.max() == 4


def test_the_metric_is_the_share_of_last_answers_that_are_right():
    task = Parity(train_len=3, test_len=4)
    targets = torch.tensor([[1, 0, 1], [0, LEFT_OUT, 1], [LEFT_OUT, LEFT_OUT, 0]])
    said = torch.tensor([[0, 0, 0], [0, 1, 0], [1, 1, 0]])
    outputs = torch.nn.functional.one_hot(said, 2).float()
    assert float(task.metric(outputs, targets)) == 1.0
    outputs[1, 0] = outputs[1, 0].flip(0)
    assert float(task.metric(outputs, targets)) == pytest.approx(2 / 3)


def test_who_misses_a_bit_is_at_chance():
    task = Parity(train_len=20, test_len=60)
    (batch,) = task.validation()
    missed = batch.xs[3].long().t()
    outputs = torch.nn.functional.one_hot((batch.targets.clamp(min=0) + missed) % 2, 2).float()
    deviation = 0.5 / len(batch.lengths) ** 0.5
    assert abs(float(task.metric(outputs, batch.targets)) - task.baselines()["chance"]) < 4 * deviation


class Counter(torch.nn.Module):
    """Right for so many bits, then always odd."""

    def __init__(self, bits):
        super().__init__()
        self.bits = bits
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, xs, state=None, *, lengths=None):
        odd = (xs[..., 0].cumsum(0) % 2).long()
        odd[self.bits :] = 1
        return torch.nn.functional.one_hot(odd, 2).float() + self.weight, None


def test_further_figures_are_by_length():
    task = Parity(train_len=10, test_len=40)
    figures = task.further_figures(Counter(20))
    assert list(figures) == [f"accuracy, {part} bits" for part in ("11 to 20", "21 to 30", "31 to 40")]
    first, *others = figures.values()
    assert first == 1
    assert all(0.3 < other < 0.7 for other in others)
    mean = sum(figures.values()) / 3
    assert rnnkit.evaluate(Counter(20), task).metric == pytest.approx(mean)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"answers": "last"}, "task 'parity': answers is 'last'; it must be running or final"),
        ({"train_len": 9, "test_len": 9}, "test_len is 9; it must be more than train_len, which is 9"),
        ({"test_len": 10_001}, "test_len is 10001; it must be 10000 or less"),
    ],
)
def test_options_that_make_no_sense(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        Parity(**options)


@pytest.mark.parametrize("answers", ["running", "final"])
def test_a_batch_without_a_target_has_no_loss_and_its_gradient_is_zero(answers):
    outputs = torch.randn(3, 2, 2, requires_grad=True)
    loss = Parity(answers=answers).loss(outputs, torch.full((3, 2), LEFT_OUT))
    assert float(loss.detach()) == 0
    assert not torch.autograd.grad(loss, outputs)[0].any()
