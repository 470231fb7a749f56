"""Runs side by side: which of their settings differ, how far each came, and how well."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnnkit.core.task import Task
from rnnkit.plugin.registry import tasks
from rnnkit.plugin.resolve import resolve
from rnnkit.runs.history import RunHistory, read_history
from rnnkit.runs.parameter_count import parameter_count
from rnnkit.runs.setting_fields import CHANGEABLE_ON_RESUME
from rnnkit.runs.settings import Settings
from rnnkit.support.paths import AnyPath, as_path

SHOWN_ANYWAY = ("cell", "task", "steps")
"""Settings that stand in a comparison whether they differ or not."""


OF_NO_ACCOUNT = frozenset(CHANGEABLE_ON_RESUME) - {"steps"}
"""Settings that say only how safely a run is kept and what is recorded of it: no figure depends on them."""


class Contender(NamedTuple):
    """A run of a comparison; NaN stands for what is not known."""

    label: str
    """Its folder's name, or its path where two folders have the same name."""
    path: Path
    history: RunHistory
    settings: dict[str, Any]
    """By name, options as `cell.NAME`; without those that stand in a comparison anyway."""
    last: float
    """The validation metric at the end."""
    best: float
    """The best validation metric, in the task's sense."""
    best_step: int | None
    parameters: int | None
    """Of the whole model."""

    @property
    def steps(self) -> int:
        """Updates so far."""
        return int(self.history.step[-1]) if len(self.history.step) else 0

    @property
    def tokens(self) -> int:
        """Time steps x rows learnt from so far."""
        return int(self.history.tokens[-1]) if len(self.history.tokens) else 0

    @property
    def seconds(self) -> float:
        """Trained so far."""
        return self._pace()[1]

    @property
    def speed(self) -> float:
        """Tokens per second."""
        tokens, seconds = self._pace()
        return tokens / seconds if seconds > 0 else math.nan

    def _pace(self) -> tuple[float, float]:
        """Return tokens and seconds at the last step whose time is known."""
        timed = np.flatnonzero(np.isfinite(self.history.seconds))
        if not len(timed):
            return math.nan, math.nan
        return float(self.history.tokens[timed[-1]]), float(self.history.seconds[timed[-1]])


class Comparison(NamedTuple):
    """Runs of one task and metric."""

    task: type[Task]
    metric: str
    """What is measured."""
    differing: list[str]
    """Names of the settings that are not the same in all runs."""
    runs: list[Contender]

    @property
    def telling(self) -> list[str]:
        """Those of them that figures may depend on."""
        return [name for name in self.differing if name not in OF_NO_ACCOUNT]

    @property
    def same(self) -> dict[str, Any]:
        """What all runs have: cell, steps, and every other setting that does not differ."""
        cells = {run.history.settings.cell for run in self.runs}
        steps = {run.history.settings.steps for run in self.runs}
        same: dict[str, Any] = {"cell": cells.pop()} if len(cells) == 1 else {}
        same |= {"steps": steps.pop()} if len(steps) == 1 else {}
        return same | {name: value for name, value in self.runs[0].settings.items() if name not in self.differing}


def compare(paths: Sequence[AnyPath]) -> list[Comparison]:
    """Read runs and put those of a task and metric together, in the order given.

    Raises:
        CheckpointError: a folder is no run's, or damaged. UnknownNameError: a run's task is not known here.
    """
    folders = [as_path(path) for path in paths]
    histories = [read_history(path) for path in folders]
    names = [history.name for history in histories]
    labels = names if len(set(names)) == len(names) else [str(path) for path in folders]
    parts: dict[tuple[type[Task], str], list[Contender]] = {}
    for label, path, history in zip(labels, folders, histories, strict=True):
        kind = resolve(history.settings.task, Task, tasks, "task")
        metric = kind.metric_named(**history.settings.task_options)
        parts.setdefault((kind, metric), []).append(_contender(label, path, history, kind))
    return [Comparison(*judged, _differing(run.settings for run in runs), runs) for judged, runs in parts.items()]


def _contender(label: str, path: Path, history: RunHistory, kind: type[Task]) -> Contender:
    metrics = history.validation.metric
    known = np.flatnonzero(np.isfinite(metrics))
    best, best_step = math.nan, None
    if len(known):
        at = known[(np.argmax if kind.higher_is_better else np.argmin)(metrics[known])]
        best, best_step = float(metrics[at]), int(history.validation.step[at])
    return Contender(
        label,
        path,
        history,
        _flat(history.settings),
        last=float(metrics[-1]) if len(metrics) else math.nan,
        best=best,
        best_step=best_step,
        parameters=parameter_count(path),
    )


def _flat(settings: Settings) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in asdict(settings).items():
        if isinstance(value, dict):
            flat |= {f"{name.removesuffix('_options')}.{key}": item for key, item in value.items()}
        elif name not in SHOWN_ANYWAY:
            flat[name] = value
    return flat


def _differing(settings: Iterable[dict[str, Any]]) -> list[str]:
    tables = list(settings)
    names = dict.fromkeys(name for table in tables for name in table)
    return [name for name in names if len({repr(table.get(name)) for table in tables}) > 1]
