"""What stands in the place of numbers that are missing, in words: as a run learns, and as it forecasts."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.forecast.features import ANSWER, CALENDAR, MISSING, Feature
from rnnkit_tasks.forecast.gaps import POLICIES
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.roles import quoted
from rnnkit_tasks.table.series import Series

Numbers = NDArray[np.float64]
Rows = NDArray[np.int64]

MEAN = "the mean of the rows that train"


def told_gaps(features: Sequence[Feature], raw: Numbers, series: Sequence[Series], policy: str) -> list[str]:
    """Say how many numbers are missing, and what stands for them.

    Args:
        features: of the table.
        raw: (N, F) their numbers, NaN where one is missing.
        series: known rows.
        policy: one of `POLICIES`.
    """
    if policy == POLICIES[0]:
        return []
    measured = {at: feature for at, feature in enumerate(features) if feature.kind not in (CALENDAR, MISSING)}
    parts = [raw[one.rows.start : one.rows.stop] for one in series]
    gaps = {at: sum(int((~np.isfinite(part[:, at])).sum()) for part in parts) for at in measured}
    first = {at: sum(_leading(part[:, at]) for part in parts) for at in measured}
    if not any(gaps.values()):
        return []
    counts, leading = _counts(gaps, measured), _counts(first, measured)
    nothing = _nothing([measured[at] for at, count in (gaps if policy == "mask" else first).items() if count])
    how = {
        "forward": "the last one before stands for them",
        "interpolate": (
            "a line between their neighbours stands for them, where a window ends within the gap the last one before"
        ),
        "mask": f"{nothing} stands for them, and an input says so",
    }[policy]
    if leading and policy == "forward":
        how += f", and before the first one ({leading}) {nothing}"
    if leading and policy == "interpolate":
        how += f", and before the first one ({leading}) that one, where a window ends there {nothing}"
    return [f"missing: {counts}: {how} (as asked), none is a target"]


def told_empty(learnt: Learnt, known: Numbers, ends: Rows) -> list[str]:
    """Say of how many forecasts the window holds no number of a target that the run reads.

    Args:
        learnt: of the run.
        known: (N, K) what the table holds of the targets, NaN where it holds nothing.
        ends: (M,) the last rows of windows, one for each forecast.
    """
    if learnt.missing == POLICIES[0]:
        return []
    seen = np.concatenate([np.zeros((1, known.shape[1])), np.isfinite(known).cumsum(axis=0)])
    empty = seen[ends + 1] == seen[ends + 1 - learnt.window]
    counts = dict(zip(learnt.roles.targets, empty.sum(axis=0).tolist(), strict=True))
    return [empty_windows(learnt, name, count) for name, count in counts.items() if count and _read(learnt, name)]


def empty_windows(learnt: Learnt, name: str, count: int) -> str:
    """Say that so many forecasts are from windows without a number of a target."""
    stands = MEAN if learnt.missing == "mask" else f"the last one before (where there is none, {MEAN})"
    return f"{count} forecast(s) of {name!r} are from windows without a number of it: {stands} stands in all their rows"


def _read(learnt: Learnt, name: str) -> bool:
    return name in learnt.roles.inputs


def _leading(column: Numbers) -> int:
    """Return how many numbers are missing before the first one."""
    known = np.isfinite(column)
    return int(np.argmax(known)) if known.any() else len(column)


def _counts(counts: Mapping[int, int], features: Mapping[int, Feature]) -> str:
    return ", ".join(f"{quoted(features[at].name)} {count}" for at, count in counts.items() if count)


def _nothing(features: Sequence[Feature]) -> str:
    """Say what stands where nothing is known yet: 0 of what is normalised, or of yes and no."""
    answers = [feature.kind == ANSWER for feature in features]
    return "no" if answers and all(answers) else f"{MEAN} (of yes/no: no)" if any(answers) else MEAN
