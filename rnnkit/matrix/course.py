"""The course of a matrix: what is recorded already is taken over, the rest is examined, each record kept at once."""

import time
from collections.abc import Generator, Sequence
from typing import Any

from rnnkit.core.unroller import Unroller
from rnnkit.errors import RnnkitError, UsageError
from rnnkit.matrix.case import Case, product_of
from rnnkit.matrix.certificate import Effort, certificate
from rnnkit.matrix.examiners import records
from rnnkit.matrix.folder import MatrixFolder
from rnnkit.matrix.record import Record
from rnnkit.matrix.sources import digest
from rnnkit.matrix.verdict import FAILED
from rnnkit.plugin.cell_spec import choose
from rnnkit.plugin.registry import cells, unrollers
from rnnkit.plugin.resolve import resolve


class Course:
    """A matrix that is under way.

    Args:
        cases: those of one cell together.
        seed: of all problems; each has its own by its name.
        folder: where records are kept; None: nowhere.

    Raises:
        UsageError: the folder has records of other cases that do not hold any more, so that its certificate would lose
            them.
    """

    def __init__(self, cases: Sequence[Case], seed: int, folder: MatrixFolder | None) -> None:
        self.cases, self.seed, self.folder = list(dict.fromkeys(cases)), seed, folder
        self.found: dict[Case, Record] = {}
        self.beside: dict[Case, Record] = {}
        """What the folder has of other cases."""
        if folder is not None:
            self._take_over(folder)
        self.taken_over = len(self.found)
        self.seconds = 0.0
        self.jobs = 0

    def _take_over(self, folder: MatrixFolder) -> None:
        """Take what still holds of the records of a folder."""
        wanted, outdated = set(self.cases), dict[Case, None]()
        for record in folder.records():
            if not _holds(record, self.seed):
                outdated[record.case] = None
            elif record.case not in wanted:
                self.beside[record.case] = record
            # What failed is examined again: whoever asks wants to see it, and it may have been the machine.
            elif record.verdict.outcome != FAILED:
                self.found[record.case] = record
        if lost := [case for case in outdated if case not in wanted and case not in self.beside]:
            raise UsageError(
                f"--out {folder.path} has records of other cases that no longer hold ({len(lost)}, such as {lost[0]}): "
                "their seed, version or source is another; ask for these too, or name another folder"
            )

    @property
    def left(self) -> list[Case]:
        """What has no record that holds."""
        return [case for case in self.cases if case not in self.found]

    @property
    def records(self) -> list[Record]:
        """What has been found, in the order of the cases."""
        return [self.found[case] for case in self.cases if case in self.found]

    @property
    def failures(self) -> list[Record]:
        """What is wrong."""
        return [record for record in self.records if record.verdict.outcome == FAILED]

    def run(self, jobs: int) -> Generator[Record | None]:
        """Examine what is left, and yield each record once it is kept, and None now and then."""
        began, self.jobs = time.monotonic(), jobs
        for record in records(self.left, self.seed, jobs):
            if record is not None:
                self.found[record.case] = record
                if self.folder is not None:
                    self.folder.add(record)
            self.seconds = time.monotonic() - began
            yield record

    def summary(self) -> dict[str, Any]:
        """Return what a certificate would say of what was asked for alone."""
        return self._certificate(self.records)

    def certificate(self) -> dict[str, Any]:
        """Return the certificate of what was asked for and what the folder has beside, in the order of the product."""
        found = {**self.beside, **self.found}
        known = dict.fromkeys((*cells, *(case.cell for case in found)))
        ways = dict.fromkeys((*unrollers, *(case.unroller for case in found)))
        return self._certificate([found[case] for case in product_of(known, list(ways)) if case in found])

    def _certificate(self, records: Sequence[Record]) -> dict[str, Any]:
        return certificate(records, self.seed, Effort(self.seconds, self.jobs, len(self.found) - self.taken_over))


def _holds(record: Record, seed: int) -> bool:
    """Tell whether all that a record depends on is as it was; a cell that is gone is not."""
    try:
        return record.digest == digest(record.case, seed)
    except RnnkitError:
        return False


def check_names(cases: Sequence[Case]) -> None:
    """Look up all cells and unrollers before anything is done.

    Raises:
        UsageError: one cannot be found.
    """
    for cell in dict.fromkeys(case.cell for case in cases):
        choose(cell)
    for unroller in dict.fromkeys(case.unroller for case in cases):
        resolve(unroller, Unroller, unrollers, "unroller")
