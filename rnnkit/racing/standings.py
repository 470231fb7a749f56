"""The standings of a race: the leaderboard, the curves behind it, and how far they can be trusted."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from io import StringIO
from typing import Any

from rnnkit.core.task import Task
from rnnkit.racing.bootstrap import CONFIDENCE, attainable, enough_seeds, percent
from rnnkit.racing.leaderboard import Place, leaderboard
from rnnkit.racing.plan import Plan
from rnnkit.racing.trial import Result
from rnnkit.support.paths import AnyPath, as_path


class Standings:
    """What a race has shown, in figures.

    Args:
        plan: of a race whose trainings all have a result.
        task: what was learnt.
        folder: where all of it is kept.
    """

    def __init__(self, plan: Plan, task: Task, folder: AnyPath) -> None:
        self.settings, self.task, self.folder = plan.settings, task, as_path(folder)
        self.baselines: Mapping[str, float] = task.baselines()
        """What simple methods reach, in the task's metric."""

        self.leaderboard: list[Place] = leaderboard(plan)
        """The best first."""

        self.curves: Mapping[str, list[Result]] = {
            size.cell: [plan.results[trial.name] for trial in plan.ranking(number)]
            for number, size in enumerate(plan.sizes)
        }
        """By cell, its trainings, one a seed."""

        said = dict.fromkeys(f"{result.label}: {note}" for result in plan.results.values() for note in result.notes)
        self.warnings = tuple(said)
        """What was warned of in trainings, each once."""

    def notes(self) -> list[str]:
        """Return what is to be known beside the figures, a sentence each: how sure they are, and what failed."""
        return [*self._order(), *self._failures(), *self._edges(), *self._chance(), *self.warnings]

    def _order(self) -> Iterator[str]:
        """Yield what the order of the cells is worth."""
        first, seeds = self.leaderboard[0], self.settings.seeds
        close = [place.cell for place in self.leaderboard[1:] if place.interval and not place.interval.parts]
        if close:
            yield f"Not told apart from {first.cell} by these seeds: {', '.join(close)}."
        if seeds == 1:
            yield "One seed: there is no interval, and the order may be chance."
        elif seeds < enough_seeds():
            yield (
                f"{seeds} seeds: no interval of a median can claim more than {percent(attainable(seeds))} from them; "
                f"{enough_seeds()} or more can claim {percent(CONFIDENCE)}."
            )

    def _failures(self) -> Iterator[str]:
        for place in self.leaderboard:
            for outcome, count in place.failed.items():
                why = next(result.message for result in self.curves[place.cell] if result.outcome == outcome)
                yield f"{place.cell}: {count} of {self.settings.seeds} trainings {ENDINGS[outcome]} ({why})."

    def _edges(self) -> Iterator[str]:
        """Yield the cells whose learning rate is at an end of what was tried."""
        cells: dict[tuple[float, str, str], list[str]] = {}
        for place in self.leaderboard:
            rates = sorted(place.tried)
            if len(rates) > 1 and place.lr in (rates[0], rates[-1]):
                words = ("lowest", "lower") if place.lr == rates[0] else ("highest", "higher")
                cells.setdefault((place.lr, *words), []).append(place.cell)
        for (rate, end, more), names in cells.items():
            them = "it" if len(names) == 1 else "them"
            yield f"{', '.join(names)} took the {end} learning rate, {rate:g}; a {more} one may suit {them} better."

    def _chance(self) -> Iterator[str]:
        """Yield the cells that are no better than a simple method."""
        sign = -1 if self.task.higher_is_better else 1
        cells: dict[str, list[str]] = {}
        for place in self.leaderboard:
            if better := [name for name, value in self.baselines.items() if sign * value <= sign * place.median]:
                cells.setdefault(", ".join(better), []).append(place.cell)
        for baselines, names in cells.items():
            yield f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} no better than {baselines}."

    def as_plain(self) -> dict[str, Any]:
        """Return all figures as plain values; what is infinite or not known becomes None."""
        settings, task = self.settings, self.task
        about = {
            "folder": str(self.folder),
            "task": task.name,
            "metric": task.metric_name,
            "higher_is_better": task.higher_is_better,
            "baselines": dict(self.baselines),
            "equal": settings.equal,
            "seeds": list(settings.ranking_seeds),
            "tuning_seeds": list(settings.choosing_seeds),
            "rates": list(settings.rates),
            "target": settings.target,
            "settings": asdict(settings.run),
            "notes": self.notes(),
            "places": [self.place(place) for place in self.leaderboard],
        }
        plain: dict[str, Any] = _finite(about)
        return plain

    def place(self, place: Place) -> dict[str, Any]:
        """Return a place as plain values."""
        values = {**asdict(place), **place.size._asdict()}
        del values["size"]
        values["tried"] = [{"lr": rate, "median": value} for rate, value in place.tried.items()]
        values["interval"] = None if place.interval is None else list(place.interval)
        values["reached"] = None if place.reached is None else place.reached._asdict()
        plain: dict[str, Any] = _finite(values)
        return plain

    def to_json(self) -> str:
        """Return all figures as one line of JSON; what is infinite or not known is null."""
        return json.dumps(self.as_plain(), ensure_ascii=False)

    def to_csv(self) -> str:
        """Return the leaderboard as CSV, a line a cell; what is infinite or not known is empty."""
        sheet = StringIO()
        names = ("rank", "cell", "hidden", "parameters", "flops", "lr", "median", "low", "high", "difference")
        writer = csv.writer(sheet, lineterminator="\n")
        writer.writerow([*names, "interval_low", "interval_high", "failed", "seconds"])
        for place in self.leaderboard:
            plain = self.place(place)
            interval = plain["interval"] or [None, None]
            failed = sum(place.failed.values())
            writer.writerow([*(plain[name] for name in names), *interval, failed, plain["seconds"]])
        return sheet.getvalue()


ENDINGS = {"diverged": "diverged", "out of memory": "ran out of memory", "killed": "were killed"}
"""How a sentence goes on where trainings ended early, by their outcome."""


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
