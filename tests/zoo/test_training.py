"""Each cell of the catalogue learns: the adding problem over 50 steps or a task of its kind, below a constant guess.

`JOBS` has the cells that do not learn the adding problem with the usual settings in 2,000 updates, and why.
"""

from collections import deque
from collections.abc import Mapping
from statistics import fmean
from types import MappingProxyType
from typing import NamedTuple

import pytest
import torch

import rnnkit

pytestmark = pytest.mark.slow

CELLS = [name for name, kind in rnnkit.cells.items() if kind.__module__.startswith(("rnnkit_zoo.", "rnnkit_cells."))]
BATCHES = 50
"""Of 32 rows, over which the error is averaged."""


class Job(NamedTuple):
    """What a cell is to learn, and how."""

    task: str = "adding"
    bar: float = 0.125
    """The error to reach: three quarters of a constant guess's on the adding problem."""
    hidden: int = 32
    lr: float = 1e-2
    steps: int = 2000
    layers: int = 1
    options: Mapping[str, float] = MappingProxyType({})
    why: str = ""


def chaos(why, **changes):
    """Return the job of forecasting a chaotic series with half of a constant guess's error, as a linear model does."""
    return Job(**{"task": "mackey-glass", "bar": 0.5, "lr": 5e-3, "why": why, **changes})


JOBS = {
    "rnn": chaos("its gradient vanishes within 50 steps"),
    "scrn": chaos("its context decays by 0.95 a step: 8 % is left after 50"),
    "cfc": chaos("its gradient vanishes within 50 steps, for it is made for samples that are far apart"),
    "clockwork": chaos("each unit overwrites its state whenever its clock ticks"),
    "lipschitz": chaos("it is a smooth flow, whose step is small against single marks"),
    "mgu3": chaos("its gate is a constant, which sees no mark"),
    "miru": chaos("its gates are constants, which see no mark"),
    "echostate": chaos("nothing but the readout is trained", hidden=128, lr=1e-2),
    "indrnn": Job(layers=2, why="its units see themselves alone, so its paper stacks layers"),
    "irnn": Job(hidden=100, lr=3e-3, steps=4000, why="its paper takes 100 units and small steps"),
    "mclstm": Job(hidden=4, lr=3e-2, why="few units, for its redistribution has the cube of their number"),
    "lmu": Job(lr=3e-3, why="a larger rate lets its memory's encoder explode"),
    "lru": chaos("it is linear, and a marked number is a product", hidden=128, lr=1e-2),
    "unicornn": Job(options={"dt": 0.2, "alpha": 1.0}, why="the default step of time is for sequences of 784 pixels"),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", CELLS)
def test_it_beats_the_trivial_baseline(name):
    job = JOBS.get(name, Job())
    torch.manual_seed(0)
    task = rnnkit.tasks[job.task](**({"seq_len": 50} if job.task == "adding" else {}))
    model = rnnkit.Model(task, name, job.hidden, num_layers=job.layers, **job.options)
    recent = deque(maxlen=BATCHES)
    for record in rnnkit.train(model, task, steps=job.steps, batch_size=32, lr=job.lr):
        recent.append(record.metric)
        if len(recent) == BATCHES and fmean(recent) < job.bar:
            return
    pytest.fail(f"{name} comes to {fmean(recent):.4f} in {job.steps} updates, not to {job.bar}")


def test_jobs_are_of_cells_that_are_there():
    assert not set(JOBS) - set(CELLS)
