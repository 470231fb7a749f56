"""Settings at which cells learn a task, or one does and another does not: a minute or so a seed on one core."""

from collections.abc import Mapping
from typing import NamedTuple


class Learner(NamedTuple):
    """A cell, and the function of `rnnkit.init` that it begins with, and its value; without one, as it draws itself."""

    cell: str
    init: str = ""
    value: int = 0


class Ordering(NamedTuple):
    """Who learns a task and who does not, by the medians of five seeds."""

    task: str
    better: tuple[Learner, ...]
    worse: tuple[Learner, ...]
    reached: float
    """What each of the better has, or better; none of the worse has it."""
    options: Mapping[str, int]
    hidden: int
    steps: int
    lr: float
    batch: int = 32


RNN, LSTM, GRU = Learner("rnn"), Learner("lstm"), Learner("gru")

ORDERINGS = (
    Ordering("parity", (RNN, LSTM), (), 1.0, {}, hidden=32, steps=1500, lr=3e-3),
    Ordering("anbn", (LSTM,), (GRU,), 0.5, {}, hidden=16, steps=1000, lr=1e-2),
    Ordering(
        "adding",
        (Learner("lstm", "chrono_", 200), GRU),
        (RNN,),
        0.01,
        {"seq_len": 200},
        hidden=32,
        steps=2500,
        lr=1e-2,
    ),
    Ordering(
        "copy",
        (Learner("lstm", "chrono_", 120),),
        (LSTM,),
        0.155,
        {"seq_len": 100},
        hidden=64,
        steps=1000,
        lr=3e-3,
    ),
    Ordering(
        "firing",
        (Learner("peephole", "chrono_", 49),),
        (Learner("lstm", "chrono_", 49),),
        0.2,
        {"interval": 49},
        hidden=1,
        steps=15_000,
        lr=1e-2,
        batch=1,
    ),
)
