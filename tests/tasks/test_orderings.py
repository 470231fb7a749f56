"""What is known of cells and tasks holds here: who learns what, by the medians of five seeds and never one figure."""

from statistics import median

import pytest
import torch

import rnnkit

from .orderings import ORDERINGS

SEEDS = range(5)


def reached(ordering, learner):
    """Return the metric of a learner for each seed, negative where more is better."""
    task = rnnkit.tasks[ordering.task](**ordering.options)
    sign = -1 if task.higher_is_better else 1
    figures = []
    for seed in SEEDS:
        torch.manual_seed(seed)
        model = rnnkit.Model(task, learner.cell, ordering.hidden)
        if learner.init:
            getattr(rnnkit.init, learner.init)(model.layer, learner.value)
        settings = {"steps": ordering.steps, "batch_size": ordering.batch, "lr": ordering.lr, "seed": seed}
        *_, last = rnnkit.train(model, task, **settings)
        figures.append(sign * last.validation.metric)
    return figures


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("ordering", ORDERINGS, ids=lambda ordering: ordering.task)
def test_who_learns_what(ordering):
    wanted = -ordering.reached if rnnkit.tasks[ordering.task].higher_is_better else ordering.reached
    for learner in ordering.better:
        figures = reached(ordering, learner)
        assert median(figures) <= wanted, (learner, figures)
    for learner in ordering.worse:
        figures = reached(ordering, learner)
        assert median(figures) > wanted, (learner, figures)


@pytest.mark.parametrize("ordering", ORDERINGS, ids=lambda ordering: ordering.task)
def test_what_is_wanted_beats_the_baselines(ordering):
    task = rnnkit.tasks[ordering.task](**ordering.options)
    sign = 1 if task.higher_is_better else -1
    assert all(sign * ordering.reached > sign * value for value in task.baselines().values())
