"""How a sequence is cut for truncated BPTT."""

from itertools import product

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.training.truncation import Window, check_truncation, windows

CUTS = [(steps, k1, k2) for steps, k1, k2 in product(range(1, 14), range(1, 8), range(1, 16)) if k1 <= k2]


def test_every_loss_is_counted_once_and_reaches_back_far_enough():
    for steps, k1, k2 in CUTS:
        cut = windows(steps, (k1, k2))
        assert [t for window in cut for t in range(window.loss_from, window.stop)] == list(range(steps))
        for window in cut:
            assert 0 <= window.start <= window.loss_from < window.stop <= steps
            assert window.stop - window.start <= k2
            assert window.loss_from - window.start >= min(window.loss_from, k2 - k1)


def test_windows_only_go_forward():
    for steps, k1, k2 in CUTS:
        starts = [window.start for window in windows(steps, (k1, k2))]
        assert starts == sorted(starts)


def test_a_window_reaches_back_over_k2_steps_where_there_are_as_many():
    for steps, k1, k2 in CUTS:
        for window in windows(steps, (k1, k2)):
            assert window.stop - window.start == min(k2, window.stop), (steps, k1, k2)


def test_without_truncation_there_is_one_window():
    assert windows(9) == windows(9, (9, 9)) == windows(9, (12, 20)) == [Window(0, 0, 9)]


def test_by_hand():
    assert windows(6, (2, 4)) == [Window(0, 0, 2), Window(0, 2, 4), Window(2, 4, 6)]
    assert windows(6, (3, 3)) == [Window(0, 0, 3), Window(3, 3, 6)]


def test_with_one_target_a_sequence_there_is_one_window_at_its_end():
    assert windows(9, (2, 4), every_step=False) == [Window(5, 8, 9)]
    assert windows(9, (2, 20), every_step=False) == [Window(0, 8, 9)]


@pytest.mark.parametrize(("steps", "k1"), [(12, 1), (12, 3), (12, 4), (10, 4), (7, 5)])
def test_windows_that_reach_the_start_add_up_to_the_full_gradient(steps, k1):
    torch.manual_seed(0)
    layer = rnnkit.RNN("lstm", 3, 4, dtype=torch.float64)
    xs = torch.randn(steps, 2, 3, dtype=torch.float64)
    targets = torch.randn(steps, 2, 4, dtype=torch.float64)

    def gradient(start, loss_from, stop):
        output, _ = layer(xs[start:stop], None if start == 0 else pytest.fail(f"a window starts at {start}"))
        loss = (output[loss_from - start :] - targets[loss_from:stop]).square().sum()
        return torch.autograd.grad(loss, list(layer.parameters()))

    parts = [gradient(*window) for window in windows(steps, (k1, steps))]
    whole = gradient(0, 0, steps)
    torch.testing.assert_close([sum(part) for part in zip(*parts, strict=True)], list(whole), rtol=0, atol=1e-12)


@pytest.mark.parametrize("truncate", [(0, 4), (-1, 4), (1.5, 4), (2, 0), (True, 4), ("2", 4)])
def test_k1_and_k2_are_whole_numbers_above_zero(truncate):
    with pytest.raises(UsageError, match=r"truncate: k\d is .*; it must be a whole number >= 1"):
        check_truncation(truncate)


def test_k2_below_k1_is_refused():
    with pytest.raises(UsageError, match=r"\(k1, k2\) = \(4, 2\); .* k2 must be at least 4"):
        check_truncation((4, 2))
