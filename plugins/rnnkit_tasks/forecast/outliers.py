"""Numbers far from all that trained, of which a forecast is no more than a guess."""

from collections.abc import Sequence

import numpy as np

from rnnkit_tasks.forecast.features import MEASURED
from rnnkit_tasks.forecast.frame import Frame
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.roles import quoted
from rnnkit_tasks.table.source import Reading

FAR = 20.0
"""Deviations from the mean of the rows that train."""


def outliers(learnt: Learnt, reading: Reading, frame: Frame, firsts: Sequence[int]) -> list[str]:
    """Say of each column that a model reads which cell lies farthest from the rows that train, if it lies far.

    Args:
        learnt: of the run.
        reading: the table.
        frame: the same as numbers.
        firsts: of each series, the first row that is read.
    """
    table, notes = reading.table, []
    for at, feature in enumerate(learnt.features):
        if feature.kind not in MEASURED:
            continue
        stops = frame.ends if feature.ahead else frame.stops
        parts = [np.arange(first, max(first, stop)) for first, stop in zip(firsts, stops, strict=True)]
        rows = np.concatenate(parts)
        numbers = table.columns[feature.name].numbers[rows]
        away = np.abs(frame.windows.rows[rows, at].double().numpy())
        away[~np.isfinite(numbers)] = 0.0  # what was filled in is none of its own
        if not (away > FAR).any():
            continue
        worst, count = int(away.argmax()), int((away > FAR).sum())
        owner = np.repeat(np.arange(len(parts)), [len(part) for part in parts])[worst]
        mean = learnt.inputs.of.get(frame.series[owner].name, learnt.inputs.whole).mean[at]
        others = (
            f", and so are those from {count - 1} other cell(s), which lie more than {FAR:g} away" if count > 1 else ""
        )
        notes.append(
            f"line {table.lines[int(rows[worst])]}, column {quoted(feature.name)}: {numbers[worst]:.6g} is "
            f"{away[worst]:.3g} deviations away from {mean:.6g}, the mean of the rows that train, so forecasts from it "
            f"are a guess{others}"
        )
    return notes
