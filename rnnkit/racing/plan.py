"""The plan of a race: which trainings there are, and which may begin.

Every cell tries the same learning rates, on seeds that are for nothing else. The rate whose median is the best is then
trained on the seeds that the cells are ranked by, so that no figure of the ranking was chosen for being a good one.
"""

import math
from collections.abc import Iterable, Iterator

from rnnkit.racing.bootstrap import median
from rnnkit.racing.equal_cost import Size
from rnnkit.racing.settings import RaceSettings
from rnnkit.racing.trial import Result, Trial


class Plan:
    """Tells what is due, as results come in.

    Args:
        settings: of the race.
        sizes: of each cell.
        higher_is_better: of the task's metric.
    """

    def __init__(self, settings: RaceSettings, sizes: list[Size], higher_is_better: bool) -> None:
        self.settings, self.sizes, self.higher_is_better = settings, sizes, higher_is_better
        self.results: dict[str, Result] = {}
        self._begun: set[str] = set()

    @property
    def done(self) -> bool:
        """Whether all trainings have a result."""
        return len(self.results) == self.settings.trainings

    def add(self, result: Result) -> None:
        """Take note of a result."""
        self.results[result.name] = result

    def begin(self) -> Trial | None:
        """Return the next training that may begin, or None: then a rate is still to be chosen, or all have begun."""
        for trial in self.due():
            if trial.name not in self._begun:
                self._begun.add(trial.name)
                return trial
        return None

    def due(self) -> Iterator[Trial]:
        """Yield the trainings that have no result and wait for none."""
        numbers = range(len(self.sizes))
        tuning = [trial for seed_rate in self._tuning() for trial in (self._trial(k, *seed_rate) for k in numbers)]
        for trial in (*tuning, *(trial for number in numbers for trial in self.ranking(number))):
            if trial.name not in self.results:
                yield trial

    def _tuning(self) -> list[tuple[float, int, bool]]:
        seeds, rates = self.settings.choosing_seeds, self.settings.rates
        return [(rate, seed, True) for seed in seeds for rate in rates]

    def ranking(self, number: int) -> list[Trial]:
        """Return the trainings that a cell is ranked by; empty while its learning rate is not chosen."""
        rate = self.rate(number)
        return [] if rate is None else [self._trial(number, rate, seed, False) for seed in self.settings.ranking_seeds]

    def rate(self, number: int) -> float | None:
        """Return the learning rate of a cell: that of the best median; of equals, the lowest. None: not known yet."""
        medians = self.tuning(number)
        if any(value is None for value in medians.values()):
            return None
        sign = -1 if self.higher_is_better else 1
        return min(medians, key=lambda rate: (sign * (medians[rate] or 0.0), rate))

    def tuning(self, number: int) -> dict[float, float | None]:
        """Return the median metric of each learning rate that a cell tries; None where a training is still to come.

        Where there is one rate alone it is not tried, and its figure is NaN.
        """
        if not self.settings.tunes:
            return {self.settings.rates[0]: math.nan}
        medians: dict[float, float | None] = {}
        for rate in self.settings.rates:
            scores = self.scores(self._trial(number, rate, seed, True) for seed in self.settings.choosing_seeds)
            medians[rate] = None if scores is None else median(scores)
        return medians

    def scores(self, trials: Iterable[Trial]) -> list[float] | None:
        """Return the last metrics of trainings; None while one has no result."""
        results = [self.results.get(trial.name) for trial in trials]
        known = [result.score(self.higher_is_better) for result in results if result is not None]
        return known if len(known) == len(results) else None

    def _trial(self, number: int, rate: float, seed: int, tuning: bool) -> Trial:
        size = self.sizes[number]
        return Trial(number, size.cell, tuning, self.settings.training(number, size.hidden, rate, seed))
