"""An imagined house: hourly temperature outdoors, and the load of heating, cooling and the office inside."""

import numpy as np
from numpy.typing import NDArray

HOURS = 4000
COMFORT = 18.0  # degrees, where neither heating nor cooling runs


def house() -> dict[str, NDArray[np.float64]]:
    """Return `temperature` in degrees and `load` in kilowatts, (4000,) each, the same at every call."""
    draw = np.random.default_rng(0)
    hours = np.arange(HOURS)
    gusts, weather = draw.normal(size=HOURS), np.zeros(HOURS)
    for hour in hours[1:]:
        weather[hour] = 0.98 * weather[hour - 1] + gusts[hour]
    temperature = 16 + 6 * np.sin(2 * np.pi * (hours - 9) / 24) + weather
    office = (hours // 24 % 7 < 5) & (hours % 24 >= 8) & (hours % 24 < 18)
    load = 10 + np.abs(temperature - COMFORT) + 5 * office + 0.5 * draw.normal(size=HOURS)
    return {"temperature": temperature, "load": load}
