"""The start: what the first pass costs beyond the later ones, with nothing on disk and with all of it."""

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from torch import nn

from rnnkit.benchmark.candidates import ours
from rnnkit.benchmark.clock import clock_of
from rnnkit.benchmark.machine import seconds_of
from rnnkit.benchmark.process import Conditions, in_new_process
from rnnkit.benchmark.sizes import Size
from rnnkit.benchmark.workload import Workload, one_pass
from rnnkit.core.unroller import Unroller
from rnnkit.plugin.cell_spec import CellLike, choose
from rnnkit.plugin.class_import import is_path
from rnnkit.plugin.registry import installed

LATER = 5
"""Passes after the first, the quickest of which counts: the first one's cost is rather given too high than too low."""


class Start(NamedTuple):
    """One process: seconds of each part of its beginning."""

    unroller: str
    plugins: float
    """Loading the plugins, which every program does once."""

    first: float
    """Building the layer and its first pass."""

    later: float
    """The quickest pass after it."""

    @property
    def cost(self) -> float:
        """What the first pass costs beyond the others."""
        return self.first - self.later


@dataclass(frozen=True)
class Startup:
    """One size: what starting costs, in seconds."""

    cell: str
    unroller: str
    size: Size
    cold: float
    """With an empty cache: the first pass beyond a later one."""

    warm: float
    """The same with a filled cache; if an earlier size has the same D and H, filled by that."""

    later: float
    """A pass after the first."""

    plugins: float
    """Loading the plugins, with a filled cache."""

    def as_plain(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**asdict(self), "size": str(self.size)}


def startups(
    cell: CellLike, unroller: str | Unroller, workloads: Sequence[Workload], conditions: Conditions, repeats: int = 3
) -> Iterator[Startup]:
    """Start anew for each workload: once with an empty cache, then `repeats` times with a filled one, as a median.

    Each start is a process of its own. Before it counts, it runs a pass of nn.LSTM: what torch itself sets up is
    in no figure.
    """
    with TemporaryDirectory() as folder:
        filled: dict[tuple[int, int], str] = {}
        for k, workload in enumerate(workloads):
            empty = f"{folder}/{k}"
            cold = in_new_process(_start, cell, unroller, workload, replace(conditions, cache=empty))
            cache = filled.setdefault(workload.size[2:], empty)
            warm = [
                in_new_process(_start, cell, unroller, workload, replace(conditions, cache=cache))
                for _ in range(repeats)
            ]
            yield Startup(
                cell=cell if isinstance(cell, str) and not is_path(cell) else str(choose(cell)),
                unroller=cold.unroller,
                size=workload.size,
                cold=cold.cost,
                warm=median(start.cost for start in warm),
                later=median(start.later for start in warm),
                plugins=median(start.plugins for start in warm),
            )


def _start(cell: CellLike, unroller: str | Unroller, workload: Workload, conditions: Conditions) -> Start:
    conditions.settle()
    xs, clock = workload.input(), clock_of(workload.device)
    other = nn.LSTM(workload.size.input_size, workload.size.hidden_size).to(workload.device, workload.dtype)
    one_pass(other, xs, workload.training)()
    plugins = seconds_of(installed)
    clock.wait()
    gc.collect()  # what imports left is gone through once in any case, by whoever allocates next
    marks = [time.perf_counter()]
    layer = ours(cell, unroller)(workload.size).to(workload.device, workload.dtype)
    run = one_pass(layer, xs, workload.training)
    for _ in range(1 + LATER):
        run()
        clock.wait()
        marks.append(time.perf_counter())
    first, *later = (after - before for before, after in pairwise(marks))
    return Start(str(layer.unroller), plugins, first, min(later))
