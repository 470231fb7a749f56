"""Random tables for streams: uneven times, gaps, offsets, clocks that change, several series, what is known ahead."""

import random
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import torch

import rnnkit

ZONE = "Europe/Berlin"
SPRING, AUTUMN = datetime(2024, 3, 31, 1, tzinfo=UTC), datetime(2024, 10, 27, 1, tzinfo=UTC)
"""When the clocks of Berlin are changed."""

MINUTES = {None: 60, "1h": 20, "30min": 25, "day": 400, "month": 9000}
"""Between rows, about, by the step that they are brought to."""


class Draw:
    """What is drawn of a table, and the options by which a run reads it."""

    def __init__(self, seed):
        draw = self.draw = random.Random(seed)
        self.every = draw.choice([*MINUTES])
        self.missing = draw.choice(["forward", "interpolate", "mask"])
        self.keyed, self.known = draw.random() < 0.5, draw.random() < 0.5
        self.zone = ZONE if draw.random() < 0.5 else None
        self.form = draw.choice(["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%Y-%m-%dT%H:%M%z", "%m/%d/%y %I:%M %p"])
        self.comma = draw.random() < 0.3
        self.options = {
            "target": "a,b",
            "every": self.every,
            "missing": self.missing,
            "zone": self.zone,
            "key": "shop" if self.keyed else None,
            "known": "holiday,warmth" if self.known else None,
            "decimal": "," if self.comma else None,
            "dates": "day-first" if "%d.%m" in self.form else "month-first" if "%m/" in self.form else None,
            "window": draw.choice([1, 3, 6]),
            "horizon": draw.choice([1, 2, 4]),
            "steps": draw.choice(["all", "last"]),
            "calendar": draw.choice([None, "none", "hour,weekday"]),
            "quantiles": draw.choice([None, "0.05,0.5,0.95"]),
        }

    def when(self, moment):
        """Return a time as the table writes it."""
        if "%z" in self.form:
            local = moment.astimezone(ZoneInfo(ZONE) if self.zone else timezone(timedelta(hours=2)))
            text = local.strftime(self.form)
            return f"{text[:-2]}:{text[-2:]}"
        return moment.astimezone(ZoneInfo(ZONE) if self.zone else UTC).strftime(self.form)

    def number(self, mean, gap=0.1):
        if self.draw.random() < gap:
            return self.draw.choice(["", "NA"])
        text = f"{self.draw.gauss(mean, 3):.2f}"
        return text.replace(".", ",") if self.comma else text

    def lines(self, rows, change=None, ahead=0):
        """Return a table with so many rows a series, of which the last `ahead` hold but what is known ahead."""
        minutes, series = MINUTES[self.every], ["x", "y", "NA"] if self.keyed else [""]
        change = change or self.draw.choice([SPRING, AUTUMN])
        made = []
        for name in series:
            moment = change - timedelta(minutes=minutes * rows // 2 - minutes * self.draw.random())
            for row in range(rows):
                uneven = self.every is not None
                moment += timedelta(minutes=minutes * (self.draw.choice([0.2, 0.6, 1, 1, 1.3, 7]) if uneven else 1))
                moment = moment.replace(second=0, microsecond=0)
                blank = ahead and row >= rows - ahead
                cells = [self.when(moment), *(["", ""] if blank else [self.number(10), self.number(500)])]
                if self.known:
                    gap = 0.1 if self.every or not blank else 0.0
                    cells += [self.draw.choice(["yes", "no"]), self.number(-4, gap)]
                cells += ["" if blank else self.draw.choice(["sun", "rain"])]
                made.append((moment, [*cells, name] if self.keyed else cells))
        made.sort(key=lambda row: row[0])
        head = [
            "when",
            "a",
            "b",
            *(["holiday", "warmth"] if self.known else []),
            "sky",
            *(["shop"] if self.keyed else []),
        ]
        return [";".join(cells) for cells in (head, *(cells for _, cells in made))]

    def predictor(self, path):
        """Train nothing, and return what forecasts as a model drawn by its seed would."""
        path.write_text("\n".join(self.lines(250)) + "\n")
        task = rnnkit.tasks["csv"](file=str(path), delimiter=";", **self.options)
        torch.manual_seed(0)
        model = rnnkit.Model(task, "gru", hidden_size=5, unroller="loop").eval()
        kept = rnnkit.tasks["csv"].from_data_state(task.data_state(), file=str(path), **self.options)
        return kept.predictor(model, task.calibration(model))
