"""Brackets: every string is taken by a stack; closing accuracy, by depth."""

import pytest
import torch
from torch.nn.functional import one_hot

import rnnkit
from rnnkit.errors import UsageError
from rnnkit_tasks._brackets import bracket_strings
from rnnkit_tasks._targets import LEFT_OUT

Dyck = rnnkit.tasks["dyck"]


def deepest(symbols, kinds):
    """Read brackets with a stack; return how deep it became, and fail where they do not match."""
    stack, most = [], 0
    for symbol in symbols:
        if symbol <= kinds:
            assert symbol >= 1
            stack.append(symbol)
        else:
            assert stack.pop() == symbol - kinds
        most = max(most, len(stack))
    assert stack == []
    return most


@pytest.mark.parametrize(("kinds", "depth"), [(2, 1), (2, 5), (7, 3)])
def test_a_stack_takes_every_string(kinds, depth):
    task = Dyck(kinds=kinds, depth=depth)
    batch = task.batch(300, torch.Generator().manual_seed(0))
    assert batch.xs.shape == batch.targets.shape == (41, 300)
    assert task.input_size == task.output_size == 2 * kinds + 1
    depths = []
    for read, told, length in zip(batch.xs.t().tolist(), batch.targets.t().tolist(), batch.lengths, strict=True):
        assert read[0] == told[length - 1] == 0
        assert read[1:length] == told[: length - 1]
        assert not any(read[length:])
        assert set(told[length:]) <= {LEFT_OUT}
        depths.append(deepest(read[1:length], kinds))
    assert max(depths) == depth
    assert set(batch.lengths.tolist()) == set(range(3, 42, 2))


def test_a_depth_beyond_the_length_bounds_nothing():
    lengths = torch.full((2000,), 6)
    draws = [bracket_strings(lengths, 6, 2, depth, torch.Generator().manual_seed(0)) for depth in (3, 10**9)]
    assert torch.equal(*draws)


def test_all_strings_of_a_length_come():
    text = bracket_strings(torch.full((2000,), 6), 6, 2, 3, torch.Generator().manual_seed(0))
    assert len({tuple(row) for row in text.t().tolist()}) == 5 * 2**3  # the third Catalan number, and kinds


def test_longer_strings_validate():
    (batch,) = Dyck(train_len=10, test_len=16).validation()
    assert set(batch.lengths.tolist()) == {13, 15, 17}
    assert Dyck(train_len=10, test_len=16).batch(2000, torch.Generator().manual_seed(0)).lengths.max() == 11


def remembered(batch, task, change):
    """Return outputs that say `change(kind, depth)` of what a stack would give back."""
    outputs = torch.zeros(*batch.xs.shape, task.output_size)
    for row, read in enumerate(batch.xs.t().tolist()):
        stack = []
        for at, symbol in enumerate(read):
            if 1 <= symbol <= task.kinds:
                stack.append(symbol)
            elif symbol > task.kinds:
                stack.pop()
            if stack:
                outputs[at, row, task.kinds + change(stack[-1], len(stack))] = 1
    return outputs


def test_a_stack_is_always_right_whatever_it_says_of_opening():
    task = Dyck()
    (batch,) = task.validation()
    outputs = remembered(batch, task, lambda kind, depth: kind)
    outputs[..., : task.kinds + 1] = 9
    assert float(task.metric(outputs, batch.targets)) == 1


class ShortStack(torch.nn.Module):
    """Knows the kind of brackets down to a depth, and says 1 below."""

    def __init__(self, task, depth):
        super().__init__()
        self.task, self.depth = task, depth
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, xs, state=None, *, lengths=None):
        batch = rnnkit.Batch(xs, xs)
        said = remembered(batch, self.task, lambda kind, depth: kind if depth <= self.depth else 1)
        return said + self.weight, None


def test_further_figures_are_by_depth():
    task = Dyck(kinds=3, depth=4)
    figures = task.further_figures(ShortStack(task, 2))
    assert list(figures) == [f"closing accuracy, depth {depth}" for depth in (1, 2, 3, 4)]
    shares = list(figures.values())
    assert shares[:2] == [1, 1]
    assert all(abs(share - 1 / 3) < 0.1 for share in shares[2:])


def test_baselines():
    task = Dyck(kinds=4)
    (batch,) = task.validation()
    figures = task.baselines()
    chance = torch.zeros(*batch.xs.shape, 9)
    chance[..., 5 + torch.randint(4, ())] = 1
    closing = int((batch.targets > 4).sum())
    assert figures["chance"] == 0.25
    assert abs(float(task.metric(chance, batch.targets)) - 0.25) < 4 * (0.25 * 0.75 / closing) ** 0.5
    # Right where it closes at once; else, the kind of a bracket that is closed already says nothing.
    at_once = int(((batch.targets > 4) & (batch.xs <= 4)).sum()) / closing
    expected = at_once + (1 - at_once) / 4
    assert abs(figures["the last opened"] - expected) < 4 * (0.25 * 0.75 / closing) ** 0.5


def test_the_loss_is_the_cross_entropy_of_every_next_symbol():
    task = Dyck()
    batch = task.batch(50, torch.Generator().manual_seed(0))
    outputs = torch.zeros(*batch.xs.shape, 5)
    assert float(task.loss(outputs, batch.targets)) == pytest.approx(torch.tensor(5.0).log())
    assert float(task.loss(50.0 * one_hot(batch.targets.clamp(min=0), 5), batch.targets)) < 1e-6


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kinds": 1}, "kinds is 1; it must be a whole number >= 2"),
        ({"kinds": 1001}, "kinds is 1001; it must be 1000 or less"),
        ({"depth": 0}, "depth is 0; it must be a whole number >= 1"),
        ({"train_len": 1}, "train_len is 1; it must be a whole number >= 2"),
        ({"train_len": 9}, "train_len is 9; it must be even, for brackets come in pairs"),
        ({"test_len": 41}, "test_len is 41; it must be even, for brackets come in pairs"),
        ({"test_len": 40}, "test_len is 40; it must be more than train_len, which is 40"),
        ({"test_len": 10_002}, "test_len is 10002; it must be 10000 or less"),
    ],
)
def test_options_that_make_no_sense(options, sentence):
    with pytest.raises(UsageError, match=f"task 'dyck': {sentence}"):
        Dyck(**options)
