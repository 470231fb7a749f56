"""The measurement: a cell and unroller against each rival, size by size."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

import torch

from rnnkit.benchmark import flops
from rnnkit.benchmark.candidates import SAME_CELL, Build, ours, rival
from rnnkit.benchmark.clock import Call, Clock, clock_of
from rnnkit.benchmark.machine import product_peak
from rnnkit.benchmark.memory import fresh_memory, peak_memory
from rnnkit.benchmark.process import Conditions
from rnnkit.benchmark.sizes import Size
from rnnkit.benchmark.timing import Ratio, in_turns, mean_ratio, ratio
from rnnkit.benchmark.workload import Workload, one_pass
from rnnkit.core.unroller import Unroller
from rnnkit.errors import UsageError, check_whole
from rnnkit.plugin.cell_spec import CellLike, choose
from rnnkit.plugin.class_import import is_path

PAIRS = 30

Memory = Literal["pass", "process", "none"]
"""Where memory is measured: around a pass in this process, in a new process for each candidate, or not at all."""


@dataclass(frozen=True)
class Outcome:
    """One workload: what a pass of ours takes, and how many times as long each rival's takes."""

    cell: str
    unroller: str
    size: Size
    training: bool
    dtype: str
    ragged: bool
    pairs: int
    seconds: float
    """Median of a pass: forward, and if training backward with all gradients."""

    flops: int
    """Of the matrix products of a pass."""

    share: float
    """Of the machine's measured product peak, matrix products alone counted."""

    bytes: int | None
    """Resident memory at the peak of a pass; None where it is not measured."""

    rivals: dict[str, Ratio]
    """How many times as long a rival takes; above one, ours is the faster."""

    rival_flops: dict[str, int]
    """The same products of each rival."""

    rival_bytes: dict[str, int | None]
    """The same memory of each rival."""

    wall: float | None = None
    """Median of a pass by the wall's clock, where `seconds` and `rivals` are by events that a device has passed."""

    rival_walls: dict[str, Ratio] = field(default_factory=dict)
    """How many times as long a rival takes by that clock."""

    def scaled(self, label: str) -> Ratio:
        """Return how many times as long a rival takes for each of its operations as ours for each of its own."""
        return self.rivals[label].times(self.flops / self.rival_flops[label])

    def as_plain(self) -> dict[str, Any]:
        """Return plain values, for JSON; those of events where there are any."""
        values = asdict(self)
        if self.wall is None:
            del values["wall"], values["rival_walls"]
        else:
            values["rival_walls"] = {label: ratio._asdict() for label, ratio in self.rival_walls.items()}
        return {
            **values,
            "size": str(self.size),
            "rivals": {label: ratio._asdict() for label, ratio in self.rivals.items()},
            "scaled": {label: self.scaled(label)._asdict() for label in self.rivals},
        }


def compete(
    cell: CellLike,
    unroller: str | Unroller,
    workloads: Sequence[Workload],
    against: Sequence[str],
    pairs: int = PAIRS,
    memory: Memory = "pass",
    conditions: Conditions | None = None,
) -> Iterator[Outcome]:
    """Time a cell against each rival, one workload after the other, interleaved; see `Outcome`.

    Args:
        cell: as in `rnnkit.RNN`.
        unroller: a registered name, or an instance.
        workloads: what is run, in this order.
        against: names of `RIVALS`.
        pairs: rounds that are timed, after two that are not.
        memory: where memory is measured.
        conditions: put in force in the new processes that measure memory; in this one it is the caller's to do.

    Raises:
        UsageError: a rival that there is not, or that takes no packed input.
    """
    check_whole("pairs", pairs)
    if "torchrecurrent" in against and any(workload.ragged for workload in workloads):
        raise UsageError("torchrecurrent takes no PackedSequence; leave it out, or the ragged rows")
    named = {label: (name, build) for name in against for label, build in [rival(name, cell)]}
    if len(named) < len(against):
        raise UsageError("a rival is named twice; name each once")
    builds = [ours(cell, unroller), *(build for _, build in named.values())]
    peaks = {kind: product_peak(kind[0], device=kind[1]) for kind in {(w.dtype, w.device) for w in workloads}}
    for workload in workloads:
        torch.manual_seed(0)
        xs = workload.input()
        modules = [build(workload.size).to(workload.device, workload.dtype) for build in builds]
        passes = [one_pass(module, xs, workload.training) for module in modules]
        times, walls = _times(passes, pairs, clock_of(workload.device))
        taken = _memory(memory, passes, builds, workload, conditions or Conditions())
        seconds, work = median(times[0]), flops.of_cell(cell, workload)
        yield Outcome(
            cell=cell if isinstance(cell, str) and not is_path(cell) else str(choose(cell)),
            unroller=str(modules[0].unroller),
            size=workload.size,
            training=workload.training,
            dtype=str(workload.dtype).removeprefix("torch."),
            ragged=workload.ragged,
            pairs=pairs,
            seconds=seconds,
            flops=work,
            share=work / seconds / peaks[workload.dtype, workload.device],
            bytes=taken[0],
            rivals={label: ratio(theirs, times[0]) for label, theirs in zip(named, times[1:], strict=True)},
            rival_flops={
                label: work if name in SAME_CELL else flops.of_weights(module, workload)
                for (label, (name, _)), module in zip(named.items(), modules[1:], strict=True)
            },
            rival_bytes=dict(zip(named, taken[1:], strict=True)),
            wall=median(walls[0]) if walls else None,
            rival_walls={label: ratio(theirs, walls[0]) for label, theirs in zip(named, walls[1:], strict=False)},
        )


def _times(passes: Sequence[Call], pairs: int, clock: Clock) -> tuple[list[list[float]], list[list[float]]]:
    """Return the seconds of each pass, and by the wall's clock too where that is another one."""
    taken = in_turns(passes, pairs, clock=clock)
    seconds = [[one.seconds for one in row] for row in taken]
    return seconds, [[one.wall for one in row] for row in taken] if clock.has_events else []


def _memory(
    where: Memory, passes: Sequence[Any], builds: Sequence[Build], workload: Workload, conditions: Conditions
) -> list[int | None]:
    if where == "pass":
        return [peak_memory(run, device=workload.device) for run in passes]
    if where == "process":
        return [fresh_memory(build, workload, conditions) for build in builds]
    return [None] * len(passes)


def means(outcomes: Sequence[Outcome]) -> dict[str, Ratio]:
    """Return the geometric mean of each rival's ratios over all sizes, with its interval."""
    labels = outcomes[0].rivals if outcomes else ()
    return {label: mean_ratio([outcome.rivals[label] for outcome in outcomes]) for label in labels}
