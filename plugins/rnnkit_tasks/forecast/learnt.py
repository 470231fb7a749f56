"""What a run learnt of its table, beside its weights: all that is needed to forecast another one."""

from typing import NamedTuple

from rnnkit_tasks.forecast.roles import Roles
from rnnkit_tasks.forecast.scaling import Scale
from rnnkit_tasks.table.source import Source


class Learnt(NamedTuple):
    """Of a table: how it is read, what its columns are for, their scales, and what is asked of it."""

    source: Source
    rows: int
    test: range
    """Rows kept for a test."""
    roles: Roles
    inputs: Scale
    targets: Scale
    window: int
    horizon: int

    @property
    def reading(self) -> str:
        """How its dates were read, where days and months could change places: "day first", "month first"; else ""."""
        return next((note for note in ("day first", "month first") if self.roles.pace.startswith(note)), "")
