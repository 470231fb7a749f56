"""The units of a table in operations of torch's, so that an exported model has them inside.

A raw row holds, in this order: each number, yes (1) or no (0), and for a category 1 where its word stands; those that
are known ahead, again for each of the next rows; the time in seconds since 1970 on the clock of the table, where the
date is an input; and of several series the number of the row's own, as the run counts them from 0.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

import rnnkit
from rnnkit_tasks.forecast.asked import ALL
from rnnkit_tasks.forecast.dates import date_part
from rnnkit_tasks.forecast.features import ANSWER, CALENDAR, CATEGORY, MISSING, NUMBER, Feature
from rnnkit_tasks.forecast.learnt import Learnt
from rnnkit_tasks.forecast.scaling import Scales

MASK = "mask"
MEDIAN = 0.5
DATES = (1_577_836_800.0, 1_893_456_000.0)
"""From 2020 to 2030, in seconds since 1970: ordinary ones, whatever the table has."""


class ScaleOfRow(nn.Module):
    """The mean and the scale of each row: those of its series, or of all where it is none that the run knows.

    Args:
        scales: of the series.
        places: (C,) which columns of theirs are asked for.
    """

    means: Tensor
    scales: Tensor

    def __init__(self, scales: Scales, places: Sequence[int]) -> None:
        super().__init__()
        every = [*scales.of.values(), scales.whole]
        for name in ("mean", "scale"):
            table = np.stack([getattr(one, name)[list(places)] for one in every])
            self.register_buffer(f"{name}s", torch.from_numpy(table))

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return both (..., C), or (C,) where there is one series; the last column of `raw` is its number."""
        strange = len(self.means) - 1
        if not strange:
            return self.means[0], self.scales[0]
        number = torch.floor(raw[..., -1])
        known = (number >= 0) & (number < strange)
        place = torch.where(known, number, float(strange)).long()
        return self.means[place], self.scales[place]


class FromTable(nn.Module):
    """Makes what a model reads of raw rows.

    Args:
        learnt: of the run.
    """

    order: Tensor

    def __init__(self, learnt: Learnt) -> None:
        super().__init__()
        features = learnt.features
        read = [at for at, feature in enumerate(features) if feature.kind not in (CALENDAR, MISSING)]
        dated = [at for at, feature in enumerate(features) if feature.kind == CALENDAR]
        flags = [at for at, feature in enumerate(features) if feature.kind == MISSING]
        later = learnt.ahead * learnt.horizon
        self.scale = ScaleOfRow(learnt.inputs, [*read, *later])
        self.width, self.mask = len(read) + len(later), learnt.missing == MASK
        self.parts = [(features[at].name, features[at].face) for at in dated]
        self.flagged = [_source(features, [features[k] for k in read], features[at].name) for at in flags]
        made = [*read, *dated, *flags]  # then those ahead
        places = [made.index(at) for at in range(len(features))]
        self.register_buffer("order", torch.tensor([*places, *range(len(made), len(made) + len(later))]))
        self.read = len(read)

    def forward(self, raw: Tensor) -> Tensor:
        """Map raw rows (..., C) to inputs (..., D), normalised, float64."""
        raw = raw.double()
        plain = raw[..., : self.width]
        mean, scale = self.scale(raw)
        normal = (plain - mean) / scale
        if self.mask:
            normal = torch.where(normal.isnan(), 0.0, normal)
        made = [normal[..., : self.read]]
        made += [date_part(raw[..., self.width], *part).unsqueeze(-1) for part in self.parts]
        made += [plain[..., at : at + 1].isnan().double() for at in self.flagged]
        made.append(normal[..., self.read :])
        return torch.cat(made, -1).index_select(-1, self.order)


class Ordered(nn.Module):
    """Puts a quantile that lies beyond the median to it, as forecasts do.

    Args:
        quantiles: of each number that is forecast, the median among them.
        count: numbers that are forecast.
    """

    median: Tensor
    below: Tensor
    above: Tensor

    def __init__(self, quantiles: Sequence[float], count: int) -> None:
        super().__init__()
        width, middle = len(quantiles), list(quantiles).index(MEDIAN)
        self.register_buffer("median", torch.arange(count).repeat_interleave(width) * width + middle)
        self.register_buffer("below", torch.tensor([q < MEDIAN for q in quantiles] * count))
        self.register_buffer("above", torch.tensor([q > MEDIAN for q in quantiles] * count))

    def forward(self, said: Tensor) -> Tensor:
        """Map quantiles (..., count x Q) to those."""
        median = said.index_select(-1, self.median)
        lower = torch.where(self.below, torch.minimum(said, median), said)
        return torch.where(self.above, torch.maximum(said, median), lower)


class IntoTable(nn.Module):
    """Brings what a model says into the table's units.

    Args:
        learnt: of the run.
    """

    def __init__(self, learnt: Learnt) -> None:
        super().__init__()
        targets = range(len(learnt.roles.targets))
        quantiles = range(max(1, len(learnt.quantiles)))
        places = [at for _ in range(learnt.span) for at in targets for _ in quantiles]
        count = learnt.span * len(targets)
        self.ordered = Ordered(learnt.quantiles, count) if learnt.quantiles else nn.Identity()
        self.scale = ScaleOfRow(learnt.targets, places)
        read = [at for at, feature in enumerate(learnt.features) if feature.kind not in (CALENDAR, MISSING)]
        self.level = [read.index(learnt.level[at]) for at in places] if learnt.level else []

    def forward(self, outputs: Tensor, raw: Tensor) -> Tensor:
        """Map outputs (..., O) of raw rows (..., C) to the table's units, float64: changes and the row's own."""
        mean, scale = self.scale(raw)
        begin = mean
        if self.level:
            last = torch.stack([raw[..., at].double() for at in self.level], -1)
            begin = torch.where(last.isnan(), mean, last)
        made: Tensor = self.ordered(outputs.double() * scale + begin)
        return made


def units_of(learnt: Learnt) -> rnnkit.Units:
    """Return the units of a run over a table."""
    columns, low, high = _columns(learnt)
    return rnnkit.Units(
        inputs=FromTable(learnt),
        outputs=IntoTable(learnt),
        columns=tuple(columns),
        targets=tuple(_targets(learnt)),
        span=torch.tensor([low, high], dtype=torch.float64),
    )


def _source(features: Sequence[Feature], read: Sequence[Feature], name: str) -> int:
    """Return the place among raw columns whose being missing is told."""
    return next(at for at, feature in enumerate(read) if feature.name == name and feature.kind in (NUMBER, ANSWER))


def _columns(learnt: Learnt) -> tuple[list[str], list[float], list[float]]:
    """Return the names of raw columns, and two ordinary numbers of each."""
    names, low, high = [], [], []
    whole, features = learnt.inputs.whole, learnt.features
    read = [at for at, feature in enumerate(features) if feature.kind not in (CALENDAR, MISSING)]
    ahead = [(at, step) for step in range(1, learnt.horizon + 1) for at in learnt.ahead]
    for at, step in [*((at, 0) for at in read), *ahead]:
        names.append(f"{features[at]}, {step} row(s) ahead" if step else str(features[at]))
        between = (0.0, 1.0) if features[at].kind in (ANSWER, CATEGORY) else _around(whole.mean[at], whole.scale[at])
        low.append(between[0])
        high.append(between[1])
    if any(feature.kind == CALENDAR for feature in features):
        clock = f" on the clock of {learnt.source.zone}" if learnt.source.zone else ""
        names.append(f"{' + '.join(learnt.roles.time)} (seconds since 1970{clock})")
        low.append(DATES[0])
        high.append(DATES[1])
    if learnt.inputs.of:
        names.append(f"{learnt.source.key} (number of the series)")
        low.append(0.0)
        high.append(float(len(learnt.inputs.of)))
    return names, low, high


def _around(mean: float, scale: float) -> tuple[float, float]:
    return float(mean - scale), float(mean + scale)


def _targets(learnt: Learnt) -> list[str]:
    """Return the names of what comes out: step by step, target by target, quantile by quantile."""
    names = []
    for step in range(1, learnt.span + 1):
        ahead = f", {step} row(s) ahead" if learnt.steps == ALL and learnt.horizon > 1 else ""
        for target in learnt.roles.targets:
            names += [f"{target}{ahead}, quantile {q:g}" for q in learnt.quantiles] or [f"{target}{ahead}"]
    return names
