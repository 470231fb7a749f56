"""What is told of each update of the weights."""

from dataclasses import dataclass

from rnnkit.training.evaluation import Evaluation


@dataclass(frozen=True)
class Record:
    """What one update of the weights did."""

    step: int
    """Updates so far, this one included."""
    loss: float
    """Mean loss of the steps that this update learnt from, before it."""
    metric: float
    """The task's metric over the same."""
    gradient_norm: float
    """Euclidean norm over all parameters, before clipping."""
    tokens: int
    """Time steps x rows learnt from so far."""
    seconds: float
    """Since training began, validation left out."""
    lr: float
    """The learning rate of this update."""
    validation: Evaluation | None = None
    """On the steps where it is due."""
    skipped: int = 0
    """Updates so far that were left out, as their gradients overflowed float16; that of this one is then no number."""
