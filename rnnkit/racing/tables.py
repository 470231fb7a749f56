"""The tables of a race, as text: those that the command prints, and those of its page."""

import math
from typing import NamedTuple

from rnnkit.racing.bootstrap import CONFIDENCE, attainable, enough_seeds, percent
from rnnkit.racing.leaderboard import Place
from rnnkit.racing.standings import Standings

NONE = "—"
"""Where there is no figure: none was reached, or trainings failed."""


class Table(NamedTuple):
    """Headings, rows of texts, and which columns hold figures."""

    headings: list[str]
    rows: list[list[str]]
    numbers: list[str]


def figure(value: float, digits: int = 4) -> str:
    """Return a figure with so many significant digits."""
    return f"{value:.{digits}g}" if math.isfinite(value) else NONE


def heading(result: Standings) -> str:
    """Return one line about the race: task, metric, seeds, steps."""
    task, settings = result.task, result.settings
    better = "higher" if task.higher_is_better else "lower"
    seeds = "1 seed" if settings.seeds == 1 else f"{settings.seeds} seeds"
    return (
        f"{task.name}: validation {task.metric_name} after {settings.run.steps:,} updates, {better} is better; "
        f"equal {settings.equal}, {seeds}"
    )


def places(result: Standings) -> Table:
    """Return the leaderboard."""
    metric, interval = result.task.metric_name, _claimed(result.settings.seeds)
    numbers = [metric, "lowest", "highest", "vs first"]
    rows = []
    for place in result.leaderboard:
        finished = [value for value in place.values if math.isfinite(value)]
        ends = [figure(min(finished), 3), figure(max(finished), 3)] if finished else [NONE, NONE]
        ahead = place is result.leaderboard[0]
        apart = ["", ""] if ahead else [_signed(place.difference), _interval(place)]
        rows.append([str(place.rank), _name(place), figure(place.median), *ends, *apart])
    return Table(["#", "cell", *numbers, interval], rows, numbers)


def target(result: Standings) -> str:
    """Return what `reached` is about."""
    return f"how soon validation {result.task.metric_name} {result.settings.target:g} is reached"


def costs(result: Standings) -> Table:
    """Return what each cell comes to, its learning rate, and the time of a training."""
    numbers = ["hidden", "parameters", "flops", "off", "lr", "seconds"]
    rows = []
    for place in result.leaderboard:
        size = place.size
        off = "" if size.cell == result.settings.labels[0] else f"{100 * size.off:+.1f} %"
        cost = [str(size.hidden), f"{size.parameters:,}", f"{size.flops:,}", off]
        rows.append([place.cell, *cost, f"{place.lr:g}", figure(place.seconds, 3)])
    return Table(["cell", *numbers], rows, numbers)


def tuning(result: Standings) -> Table:
    """Return the median of each learning rate that a cell tried; a star is at the one that was chosen."""
    rates = result.settings.rates
    numbers = [f"lr {rate:g}" for rate in rates]
    rows = [[place.cell, *(_tried(place, rate) for rate in rates)] for place in result.leaderboard]
    return Table(["cell", *numbers], rows, numbers)


def reached(result: Standings) -> Table:
    """Return how soon each cell reaches the target."""
    numbers = ["seeds", "updates", "tokens", "seconds"]
    rows = []
    for place in result.leaderboard:
        assert place.reached is not None  # there is a target
        steps, tokens, seconds, seeds = place.reached
        figures = [_count(steps), _count(tokens), figure(seconds, 3)]
        rows.append([place.cell, f"{seeds} of {result.settings.seeds}", *figures])
    return Table(["cell", *numbers], rows, numbers)


def _name(place: Place) -> str:
    failed = sum(place.failed.values())
    return f"{place.cell} ({failed} failed)" if failed else place.cell


def _tried(place: Place, rate: float) -> str:
    return f"{'* ' if rate == place.lr else ''}{figure(place.tried[rate], 3)}"


def _signed(value: float) -> str:
    return f"{value:+.3g}" if math.isfinite(value) else NONE


def _claimed(seeds: int) -> str:
    """Return what the interval is called: few seeds can claim less than it is drawn for."""
    if seeds >= enough_seeds():
        return f"{percent(CONFIDENCE)} interval"
    return f"interval, {percent(attainable(seeds))} at most"


def _interval(place: Place) -> str:
    if place.interval is None:
        return NONE
    return f"{_signed(place.interval.low)} to {_signed(place.interval.high)}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else NONE
