"""Small races, real ones and ones that nobody ran."""

import pytest

import rnnkit
from rnnkit.racing import entry, page
from rnnkit.racing.equal_cost import Size
from rnnkit.racing.plan import Plan
from rnnkit.racing.result import RaceResult
from rnnkit.racing.settings import composed
from rnnkit.racing.trial import DIVERGED, Result

SMALL = {
    "steps": 4,
    "hidden": 16,
    "batch": 2,
    "unroller": "loop",
    "task_options": {"seq_len": 4},
}


@pytest.fixture
def no_pictures(monkeypatch):
    """Do as if there were no matplotlib: drawing takes longer than all the rest of a small race."""
    for module in (entry, page):
        monkeypatch.setattr(module, "find_spec", lambda name: None)


@pytest.fixture
def small_race(tmp_path, monkeypatch, no_pictures):
    """Race in this process, without pictures: small_race(["lstm", "gru"], seeds=2) -> a RaceResult."""
    monkeypatch.chdir(tmp_path)

    def run(cells=("lstm", "gru"), task="adding", **given):
        words = {"seeds": 2, "lr": [0.01, 0.03], "jobs": 0, **SMALL, **given}
        return rnnkit.race(list(cells) if isinstance(cells, tuple) else cells, task, **words)

    return run


@pytest.fixture
def small_settings():
    """Return settings: small_settings(("lstm", "gru"), seeds=3) -> RaceSettings."""

    def settings(cells=("lstm", "gru"), rates=(0.01, 0.03), task="adding", run=(), **given):
        options = {} if task != "adding" else {"task_options": {"seq_len": 4}}
        values = {"task": task, "steps": 4, "hidden": 16, "batch": 2, "unroller": "loop", **options, **dict(run)}
        return composed({"cells": cells, "rates": rates, **given}, ("a test", values))

    return settings


@pytest.fixture
def told_race(small_settings, tmp_path):
    """Return the result of a race that nobody ran, from the figures of each cell's seeds.

    told_race({"lstm": [0.1, 0.2], "gru": [0.3, None]}): None diverges. `tuning` has those of each rate, by cell.
    """

    def tell(figures, tuning=None, rates=(0.01,), higher_is_better=False, baselines=None, **given):
        cells, seeds = tuple(figures), len(next(iter(figures.values())))
        settings = small_settings(cells, rates, seeds=seeds, **given)
        sizes = [Size(cell, 16, 100 + k, 1000 + k, k / 100) for k, cell in enumerate(cells)]
        plan = Plan(settings, sizes, higher_is_better)
        while not plan.done:
            for trial in list(plan.due()):
                of = tuning[trial.label][trial.settings.lr] if trial.tuning else figures[trial.label]
                first = settings.choosing_seeds[0] if trial.tuning else settings.ranking_seeds[0]
                plan.add(outcome(trial, of[trial.settings.seed - first]))
        result = RaceResult(plan, settings.run.make_task(), tmp_path)
        if baselines is not None:
            result.baselines = baselines
        return result

    return tell


def outcome(trial, value):
    """Return a result of three validations, the last one as it is told; None: it diverged before the last one."""
    result = Result.of(trial)
    end = 1.0 if value is None else value
    for step, metric in [(0, 1.0), (2, (1.0 + end) / 2), *([] if value is None else [(4, end)])]:
        result.append(step, 8 * step, step / 10, (metric, metric))
    if value is None:
        result.outcome, result.message = DIVERGED, "step 3: the loss is nan"
    return result
