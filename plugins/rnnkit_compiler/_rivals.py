"""Which of two ways to run a call takes less time: by the models of both, corrected by what was measured here.

Where the models are far apart they are believed. Else both ways run on the call's own numbers when the first such call
comes, forward and, in training, back; what they took is kept in the cache folder, by device, driver and versions, by
cell and by the sizes, each up to a power of two.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, State
from rnnkit.errors import first_line
from rnnkit_compiler.backends.cpp.building.findings import Findings
from rnnkit_compiler.backends.triton.trust import device_facts
from rnnkit_compiler.trace.random_states import kept
from rnnkit_compiler.trace.saved_tensors import shielded

logger = logging.getLogger("rnnkit")

CLEAR = 8.0
"""How many times as long one way has to take, by the models, for nothing to be measured."""

ROUNDS = 3
"""Runs of each way, in turn, after one that is not counted; the shortest counts."""

Run = Callable[[Tensor], tuple[Tensor, State]]


class Measured(NamedTuple):
    """What two ways took."""

    what: str
    own: float
    """Seconds of the kernels."""

    rival: float
    """Seconds of the other way."""

    @property
    def text(self) -> str:
        """Say it in words."""
        return f"{self.what}: kernels {1e3 * self.own:.3g} ms, the other way {1e3 * self.rival:.3g} ms"


MEASUREMENTS = Findings("rivals", Measured, lambda measured: measured.own > 0 and measured.rival > 0)
"""All that were kept."""

_known: dict[Path, Measured | None] = {}
"""None: it could not be measured."""


def clear() -> int:
    """Forget all measurements; return their bytes."""
    _known.clear()
    return MEASUREMENTS.clear()


def is_faster(cell: Cell, xs: Tensor, run: Run, nanoseconds: float, rival: rnnkit.Rival) -> bool:
    """Tell whether kernels run a call faster than another way.

    Args:
        cell: which is run.
        xs: (T, B, D), the input of the call.
        run: runs the call in kernels on another input.
        nanoseconds: of that, by a model.
        rival: the other way.
    """
    by_model = nanoseconds < rival.nanoseconds
    if max(nanoseconds, rival.nanoseconds) > CLEAR * min(nanoseconds, rival.nanoseconds):
        return by_model
    weights: list[Tensor] = [parameter for parameter in cell.parameters() if parameter.requires_grad]
    training = torch.is_grad_enabled() and bool(weights or xs.requires_grad)
    sizes = ", ".join(f"{1 << (size - 1).bit_length()}" for size in xs.shape[:2])
    how = "training" if training else "inference"
    dtype = str(xs.dtype).removeprefix("torch.")
    what = f"cell {cell.name!r} of {cell.hidden_size} units, {sizes} steps and rows, {dtype}, {how}; {rival.name}"
    path = MEASUREMENTS.path(what, *device_facts(xs.device))
    if path not in _known:
        _known[path] = MEASUREMENTS.read(path) or _measured(
            path, what, xs, (run, rival.run), weights if training else None
        )
    measured = _known[path]
    return by_model if measured is None else measured.own < measured.rival


def _measured(
    path: Path, what: str, xs: Tensor, ways: tuple[Run, Run], weights: list[Tensor] | None
) -> Measured | None:
    try:
        taken: list[list[float]] = [[], []]
        with kept(xs):  # what is drawn meanwhile would be missing from the caller's draws
            for _ in range(1 + ROUNDS):
                for k, run in enumerate(ways):
                    taken[k].append(_seconds(run, xs.detach(), weights))
    except Exception as error:  # of memory, of a compiler: then the models are all there is
        logger.debug("%s: nothing could be measured (%s)", what, first_line(error))
        return None
    measured = Measured(what, *(min(seconds[1:]) for seconds in taken))
    MEASUREMENTS.keep(path, measured)
    return measured


def _seconds(run: Run, xs: Tensor, weights: list[Tensor] | None) -> float:
    """Return what one run takes, forward and, with weights, back."""
    _wait(xs.device)
    begin = time.perf_counter()
    if weights is None:
        with torch.no_grad():
            run(xs)
    else:
        given = xs.clone().requires_grad_()
        with shielded():
            ys, _ = run(given)
        torch.autograd.grad(ys.sum(), [given, *weights], allow_unused=True)
    _wait(xs.device)
    return time.perf_counter() - begin


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
