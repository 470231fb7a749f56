"""The result of a race: its standings, and how they are drawn and shown."""

from typing import TYPE_CHECKING

from rnnkit.racing import curves, page
from rnnkit.racing.standings import Standings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class RaceResult(Standings):
    """What a race has shown. In a notebook it is shown as a table and curves.

    Args:
        plan: of a race whose trainings all have a result.
        task: what was learnt.
        folder: where all of it is kept.
    """

    def plot(self, *, stacked: bool = False) -> "Figure":
        """Draw the validation metric against updates, tokens and seconds.

        Args:
            stacked: panels above each other, for a narrow screen.

        Returns:
            A figure of matplotlib, which the extra `plot` brings.
        """
        return curves.draw(self, stacked=stacked)

    def to_html(self) -> str:
        """Return a page that stands alone: leaderboard, curves, and how the race was run."""
        return page.whole(self)

    def _repr_html_(self) -> str:
        return page.notebook(self)
