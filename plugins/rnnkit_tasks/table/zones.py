"""Local times of a zone whose clocks are put forward and back, and the seconds since 1970 that they stand for."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import UsageError, nearest

Seconds = NDArray[np.float64]

EPOCH = datetime(1970, 1, 1)


def zone_of(name: object) -> str:
    """Return the name of a zone of the tz database, as given.

    Raises:
        UsageError: there is none of the name.
    """
    try:
        return ZoneInfo(str(name)).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = available_timezones()
        raise UsageError(
            f"task 'csv': zone is {name!r}, which no time zone is called{nearest(str(name), known)}; "
            "give one such as Europe/Berlin"
        ) from None


def universal(local: Seconds, zone: str, before: float = -np.inf) -> Seconds:
    """Return seconds since 1970 in UTC of local times (N,), in their order; NaN stays.

    Of an hour that the clocks go through twice, rows lie in the second one where they would else not come after the row
    before; `before` is the time of the row before the first one, in UTC.
    """
    area, found = ZoneInfo(zone), np.full(len(local), np.nan)
    for row in np.flatnonzero(np.isfinite(local)).tolist():
        moment = EPOCH + timedelta(seconds=float(local[row]))
        seconds = moment.replace(tzinfo=area).timestamp()
        if seconds <= before:
            later = moment.replace(tzinfo=area, fold=1).timestamp()
            seconds = later if later > before else seconds
        found[row] = before = seconds
    return found


def local(seconds: Seconds, zone: str) -> Seconds:
    """Return the local times (N,) of seconds since 1970 in UTC, as seconds that a clock without a zone would count."""
    area = ZoneInfo(zone)
    shifts = {hour: _offset(hour * 3600.0, area) for hour in np.unique(_hours(seconds[np.isfinite(seconds)])).tolist()}
    hours = np.where(np.isfinite(seconds), _hours(np.nan_to_num(seconds)), 0)
    return np.asarray(seconds + np.array([shifts.get(hour, 0.0) for hour in hours.tolist()]), dtype=np.float64)


def offset_at(seconds: float, zone: str) -> float:
    """Return by how many seconds a zone is ahead of UTC at a time in seconds since 1970."""
    return _offset_of_hour(int(seconds // 3600), zone)


@lru_cache(maxsize=4096)
def _offset_of_hour(hour: int, zone: str) -> float:
    return _offset(hour * 3600.0, ZoneInfo(zone))


def _hours(seconds: Seconds) -> NDArray[np.int64]:
    """Return the whole hours of UTC, at which clocks change (but for Lord Howe Island's)."""
    hours: NDArray[np.int64] = np.floor(seconds / 3600).astype(np.int64)
    return hours


def _offset(seconds: float, area: ZoneInfo) -> float:
    moment = datetime.fromtimestamp(seconds, tz=UTC).astimezone(area)
    offset = moment.utcoffset()
    return 0.0 if offset is None else offset.total_seconds()
