"""Learning of a table what its columns are for, their scales, and which rows train."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rnnkit.errors import UsageError
from rnnkit_tasks.forecast.asked import AUTO, FROM_LAST, FROM_MEAN, Asked
from rnnkit_tasks.forecast.calendar import useful
from rnnkit_tasks.forecast.features import MEASURED, NUMBER, Feature, encoded, features_of, flags_of
from rnnkit_tasks.forecast.frame import Frame, known_stops, truth
from rnnkit_tasks.forecast.learnt import Learnt, check_gaps
from rnnkit_tasks.forecast.overlap import check_overlap
from rnnkit_tasks.forecast.parts import Parts, check_enough, check_known, listed, told
from rnnkit_tasks.forecast.pinball import squared
from rnnkit_tasks.forecast.roles import Roles, quoted, roles
from rnnkit_tasks.forecast.scaling import Scales, check_size
from rnnkit_tasks.forecast.standing import told_gaps
from rnnkit_tasks.table.series import Series, laid
from rnnkit_tasks.table.source import Reading


def learn(reading: Reading, asked: Asked) -> tuple[Learnt, Frame]:
    """Learn of a table what its columns are for, and their scales.

    Raises:
        UsageError: what is asked for makes no sense of this table.
        DataError: it is unfit, or too short.
    """
    table, time = reading.table, reading.time
    stops = _stops(reading, asked)
    series = [Series(one.name, range(one.rows.start, stop)) for one, stop in zip(reading.series, stops, strict=True)]
    cuts = asked.split.cuts(table.source, series, time)
    parts = Parts.made(series, cuts, asked.window, asked.horizon, asked.span)
    check_enough(table.source, parts, series, asked.split, (asked.window + asked.horizon, asked.span))
    out_of_order = check_overlap(reading, asked, series, cuts)
    training = np.concatenate([np.arange(s.rows.start, first) for s, (first, _) in zip(series, cuts, strict=True)])
    made = roles(reading, asked, training)
    made.calendar = _calendar(reading, asked, training)
    kinds = {name: made.kinds.get(name, NUMBER) for name in made.inputs}
    features = features_of(table, kinds, training, made.calendar, made.ahead)
    raw = encoded(reading, features, leave=True)
    check_gaps(reading, features, raw, stops, asked.missing, leave=True)
    if asked.missing == "mask":
        features += flags_of(features, raw)
        raw = encoded(reading, features, leave=True)
    values = truth(reading, made.targets, stops, leave=True)
    check_known(table.source, parts, made.targets, values, asked.span)
    check_size(table.source, [feature.name for feature in features], raw)
    check_size(table.source, made.targets, values)
    inputs = Scales.measured(raw, series, training, [feature.kind not in MEASURED for feature in features])
    targets = Scales.measured(values, series, training, [False] * len(made.targets))
    made.notes += _told(reading, features, raw, stops, asked, parts)
    made.notes += [*out_of_order, told(series, cuts, time)]
    learnt = Learnt(
        asked.source.as_read(reading),
        asked.window,
        asked.horizon,
        asked.steps,
        asked.missing,
        asked.quantiles,
        made,
        tuple(features),
        inputs,
        targets,
        tuple((one.name, len(one.rows)) for one in series),
        _moved_cuts(series, cuts),
        _places(asked, made, features),
    )
    frame = learnt.frame(reading.taken(series), [one.rows.stop for one in learnt.series], leave=True)
    if asked.level == AUTO and learnt.level and not _is_near(learnt, frame):
        learnt = learnt._replace(level=())
    if learnt.level:
        nearer = "" if asked.level == AUTO else " (as asked)"
        made.notes.append(f"forecasts are changes from the last value{nearer}")
    return learnt, frame


def _calendar(reading: Reading, asked: Asked, training: NDArray[np.int64]) -> list[str]:
    """Return the parts of the date that are inputs.

    Raises:
        UsageError: some are asked for, and there is no time.
    """
    if asked.calendar is None:
        return list(useful(reading.time, training))
    if asked.calendar and reading.time is None:
        parts, source = ",".join(asked.calendar), reading.table.source
        raise UsageError(f"task 'csv': calendar is {parts}, and no column of {source} tells the time")
    return list(asked.calendar)


def _moved_cuts(series: Sequence[Series], cuts: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return where parts begin, counted over the known rows alone."""
    new = laid((one.name, len(one.rows)) for one in series)
    return tuple(
        (first - one.rows.start + other.rows.start, second - one.rows.start + other.rows.start)
        for one, other, (first, second) in zip(series, new, cuts, strict=True)
    )


def _places(asked: Asked, made: Roles, features: Sequence[Feature]) -> tuple[int, ...]:
    """Return the places of the features that the targets may be told as changes from; () where one is no input.

    Raises:
        UsageError: changes are asked for, and a target is no input.
    """
    if asked.level == FROM_MEAN:
        return ()
    numbers = {feature.name: at for at, feature in enumerate(features) if feature.kind == NUMBER}
    strange = [name for name in made.targets if name not in numbers]
    if strange and asked.level == FROM_LAST:
        raise UsageError(
            f"task 'csv': level is {FROM_LAST!r}, and target {strange[0]!r} is no input; add it to columns"
        )
    return () if strange else tuple(numbers[name] for name in made.targets)


def _is_near(learnt: Learnt, frame: Frame) -> bool:
    """Tell whether the last value is nearer to what comes than the mean is, over the rows that train."""
    rows = listed(learnt.parts.train)
    truth = frame.normal.double()[rows.unsqueeze(1) + torch.arange(1 - learnt.span, 1)]
    last = learnt.levels(frame.windows, rows - learnt.horizon).double()
    return float(squared(last.expand_as(truth), truth)) < float(squared(torch.zeros_like(truth), truth))


def _stops(reading: Reading, asked: Asked) -> list[int]:
    """Return where the known part of each series ends: before rows that have but what is known ahead."""
    if not asked.known:
        return [one.rows.stop for one in reading.series]
    apart = {*asked.known, *asked.leave_out, asked.key, *(reading.time.names if reading.time else [])}
    return known_stops(reading, [name for name in reading.table.columns if name not in apart])


def _told(
    reading: Reading,
    features: Sequence[Feature],
    raw: NDArray[np.float64],
    stops: Sequence[int],
    asked: Asked,
    parts: Parts,
) -> list[str]:
    """Say what was filled in, which series there are, and which rows are to come."""
    known = [Series(one.name, range(one.rows.start, stop)) for one, stop in zip(reading.series, stops, strict=True)]
    notes = told_gaps(features, raw, known, asked.missing)
    later = sum(one.rows.stop - stop for one, stop in zip(reading.series, stops, strict=True))
    if asked.key is not None:
        short = [one.name for one, rows in zip(reading.series, parts.train, strict=True) if not rows]
        left = f", of which {len(short)} too short to train, such as {short[0]!r}" if short else ""
        notes.append(f"{len(reading.series)} series by {quoted(asked.key)}, each with its own scale{left}")
    if later:
        notes.append(f"{later} row(s) at the end hold but what is known ahead")
    return notes
