"""Over a limit: what is too much, and what would fit."""

from collections.abc import Callable
from math import isfinite, isqrt
from typing import Any, NamedTuple

import torch
from torch import nn

from rnnkit.core.task import Task
from rnnkit.errors import ResourceError
from rnnkit.memory.gauge import available_memory, gauge_of
from rnnkit.memory.prediction import Prediction, Predictor
from rnnkit.plugin.registry import unrollers
from rnnkit.support.byte_size import show_bytes

PROPOSALS = 2
PRECISION = 1.05
"""Of a budget."""

OPTION = "--memory-limit"
REMEDY = "take shorter sequences or a smaller --hidden"


class Proposal(NamedTuple):
    """Other options, and what is predicted of them."""

    options: str
    prediction: Prediction

    def __str__(self) -> str:
        runs = self.prediction.runs
        often = "" if runs == 1 else f", each step run forward {runs:.1f} times"
        return f"{self.options} (about {show_bytes(self.prediction.update)}{often})"


def check_memory(
    model: nn.Module,
    task: Task,
    *,
    limit: int,
    batch_size: int = 32,
    truncate: tuple[int, int] | None = None,
    optimizer: str | torch.optim.Optimizer = "adam",
    name: str = OPTION,
) -> Prediction:
    """Predict the memory that `rnnkit.train` will take with the same arguments, and refuse what is over the limit.

    Args:
        model: as in `rnnkit.train`.
        task: as in `rnnkit.train`.
        limit: bytes.
        batch_size: rows B.
        truncate: None or (k1, k2).
        optimizer: "adam", "sgd", or an optimizer.
        name: what the limit is called in the error.

    Raises:
        ResourceError: it is over the limit, in a sentence with what would fit; or it cannot be predicted here.
    """
    predictor = Predictor(model, task, optimizer)
    if predictor.fixed > limit:  # a trial might not fit either
        raise ResourceError(_weights_alone(predictor, f"{name} {show_bytes(limit)}"))
    prediction = predictor.predict(batch_size, truncate)
    complaint = refusal(predictor, prediction, limit, name)
    if complaint is not None:
        raise ResourceError(complaint)
    return prediction


def memory_warning(
    model: nn.Module,
    task: Task,
    *,
    batch_size: int = 32,
    truncate: tuple[int, int] | None = None,
    optimizer: str | torch.optim.Optimizer = "adam",
) -> str | None:
    """Return the sentence to warn with if training will take more than there is; None: it fits, or nobody can tell."""
    device = next(model.parameters()).device
    available = available_memory(device)
    if available is None or gauge_of(device) is None:
        return None
    predictor = Predictor(model, task, optimizer)
    limit = available + predictor.parameters  # which are there already
    if predictor.fixed > limit:
        return _weights_alone(predictor, f"the {show_bytes(limit)} that there are")
    return refusal(predictor, predictor.predict(batch_size, truncate), limit, None)


def refusal(predictor: Predictor, prediction: Prediction, limit: int, name: str | None = OPTION) -> str | None:
    """Say in a sentence that a prediction is over a limit, and what fits; None: it is not.

    Args:
        predictor: which made the prediction, and makes those of other options.
        prediction: of training.
        limit: in bytes.
        name: what the limit is called; None: it is what there is.
    """
    most = f"the {show_bytes(limit)} that there are" if name is None else f"{name} {show_bytes(limit)}"
    rows, steps = prediction.validation_rows, prediction.validation_steps
    validation = f"validation over T = {steps} steps of {rows} rows needs about {show_bytes(prediction.validating)}"
    if prediction.update <= limit:
        return f"{validation}, more than {most}; {REMEDY}" if prediction.validating > limit else None
    fits = advice(predictor, prediction, limit)
    remedy = f"no unroller, window or batch fits; {REMEDY}" if fits is None else f"take {fits}"
    sentence = f"{_update(prediction)} needs about {show_bytes(prediction.update)}, more than {most}; {remedy}"
    if prediction.validating > limit:
        sentence += f"; {validation} in any case" + (f": {REMEDY}" if fits else "")
    return sentence


def advice(predictor: Predictor, prediction: Prediction, limit: int) -> str | None:
    """Propose options whose updates fit: replays with the largest budget, the longest windows, the largest batch.

    In this order, the first two that there are; each has been predicted in its turn. None: nothing does, or nothing
    needs to.
    """
    proposals: list[Proposal] = []
    for propose in (_replays, _windows, _batch) if prediction.update > limit else ():
        proposal = propose(predictor, prediction, limit) if len(proposals) < PROPOSALS else None
        if proposal is not None:
            proposals.append(proposal)
    return " or ".join(map(str, proposals)) or None


def _update(prediction: Prediction) -> str:
    steps, full = prediction.steps, prediction.full_steps
    what = f"full BPTT over T = {full}" if steps == full else f"truncated BPTT over {steps} of T = {full}"
    return f"{what} steps of {prediction.rows} row{'s' * (prediction.rows != 1)}"


def _weights_alone(predictor: Predictor, most: str) -> str:
    return (
        f"the weights, their gradients and the optimizer's state take {show_bytes(predictor.fixed)}, more than {most}; "
        "take a smaller --hidden"
    )


def _replays(predictor: Predictor, prediction: Prediction, limit: int) -> Proposal | None:
    """Find the largest budget that fits of an unroller that replays, for then the fewest steps are run again."""
    kinds = [kind for kind in unrollers.values() if kind.replays]
    return next(filter(None, (_largest_budget(kind, predictor, prediction, limit) for kind in kinds)), None)


def _largest_budget(kind: Any, predictor: Predictor, prediction: Prediction, limit: int) -> Proposal | None:
    best, least, most = None, 1, limit
    while most > PRECISION * least:
        budget = _round_down(max(least + 1, isqrt(least * most)))
        if not least < budget < most:
            break
        try:
            fitted = predictor.predict(prediction.rows, prediction.truncate, kind(budget=budget))
        except ResourceError:  # too small for a single step
            least = budget
            continue
        if fitted.update > limit:
            most = budget
            continue
        least, best = budget, Proposal(f"--unroller {kind.name} --set unroller.budget={budget}", fitted)
    # Where there are so many segments, to place them takes longer than to run them.
    return best if best is not None and isfinite(best.prediction.runs) else None


def _windows(predictor: Predictor, prediction: Prediction, limit: int) -> Proposal | None:
    """Find the longest window, as long as the step between updates."""
    if predictor.row.lengths is not None:  # which training does not truncate
        return None

    def predicted(steps: int) -> Prediction:
        return predictor.predict(prediction.rows, (steps, steps))

    steps = _largest(lambda steps: predicted(steps).update <= limit, 2, prediction.steps)
    return None if steps is None else Proposal(f"--tbptt {steps},{steps}", predicted(steps))


def _batch(predictor: Predictor, prediction: Prediction, limit: int) -> Proposal | None:
    """Find the largest batch."""

    def predicted(rows: int) -> Prediction:
        return predictor.predict(rows, prediction.truncate)

    rows = _largest(lambda rows: predicted(rows).update <= limit, 1, prediction.rows)
    return None if rows is None else Proposal(f"--batch {rows}", predicted(rows))


def _largest(fits: Callable[[int], bool], least: int, beyond: int) -> int | None:
    """Find the largest number from `least` below `beyond` that fits, rounded down; None: none does."""
    if beyond <= least or not fits(least):
        return None
    while beyond - least > 1:
        middle = (least + beyond) // 2
        least, beyond = (middle, beyond) if fits(middle) else (least, middle)
    return _round_down(least)


def _round_down(number: int) -> int:
    """Keep the first two digits."""
    unit = 10 ** max(0, len(str(number)) - 2)
    return int(number // unit * unit)
