"""What is known of cells and tasks holds here: who learns what, by the medians of five seeds and never one figure."""

import json
from statistics import median

import pytest
from ordering_settings import ORDERINGS
from orderings import REACHED, SEEDS, TABLE, key_of, reached, table

import rnnkit

every_ordering = pytest.mark.parametrize("ordering", ORDERINGS, ids=lambda ordering: ordering.task)


def in_order(ordering, figures_of):
    """Tell whether the better learners have what is wanted in the median, and the others have not."""
    sign = -1 if rnnkit.tasks[ordering.task].higher_is_better else 1
    medians = {learner: sign * median(figures_of(learner)) for learner in (*ordering.better, *ordering.worse)}
    return all(
        (figure <= sign * ordering.reached) == (learner in ordering.better) for learner, figure in medians.items()
    )


@pytest.mark.slow
@pytest.mark.timeout(3600)
@every_ordering
def test_who_learns_what(ordering):
    assert in_order(ordering, lambda learner: [reached(ordering, learner, seed) for seed in SEEDS])


@every_ordering
def test_what_is_written_down_is_in_order(ordering):
    known = json.loads(REACHED.read_text())
    assert in_order(ordering, lambda learner: known[key_of(ordering, learner)].values())


def test_the_page_has_what_is_written_down():
    assert TABLE.read_text() == table() + "\n", "python tools/orderings.py table"


@every_ordering
def test_what_is_wanted_beats_the_baselines(ordering):
    task = rnnkit.tasks[ordering.task](**ordering.options)
    sign = 1 if task.higher_is_better else -1
    assert all(sign * ordering.reached > sign * value for value in task.baselines().values())
