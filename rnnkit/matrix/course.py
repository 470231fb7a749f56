"""The course of a matrix: what is recorded already is taken over, the rest is examined, each record kept at once."""

import time
from collections.abc import Generator, Sequence
from typing import Any

from rnnkit.core.unroller import Unroller
from rnnkit.matrix.case import Case
from rnnkit.matrix.certificate import Effort, certificate
from rnnkit.matrix.examiners import records
from rnnkit.matrix.folder import MatrixFolder
from rnnkit.matrix.record import Record
from rnnkit.matrix.sources import digest
from rnnkit.matrix.verdict import FAILED
from rnnkit.plugin.cell_spec import choose
from rnnkit.plugin.registry import unrollers
from rnnkit.plugin.resolve import resolve


class Course:
    """A matrix that is under way.

    Args:
        cases: those of one cell together.
        seed: of all problems; each has its own by its name.
        folder: where records are kept; None: nowhere.
    """

    def __init__(self, cases: Sequence[Case], seed: int, folder: MatrixFolder | None) -> None:
        self.cases, self.seed, self.folder = list(dict.fromkeys(cases)), seed, folder
        self.found: dict[Case, Record] = {}
        wanted = set(self.cases)
        for record in folder.records() if folder else ():
            # What failed is examined again: whoever asks wants to see it, and it may have been the machine.
            holds = record.case in wanted and record.digest == digest(record.case, seed)
            if holds and record.verdict.outcome != FAILED:
                self.found[record.case] = record
        self.taken_over = len(self.found)
        self.seconds = 0.0
        self.jobs = 0

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

    def certificate(self) -> dict[str, Any]:
        """Return the certificate of what has been found."""
        effort = Effort(self.seconds, self.jobs, len(self.found) - self.taken_over)
        return certificate(self.records, self.seed, effort)


def check_names(cases: Sequence[Case]) -> None:
    """Look up all cells and unrollers before anything is done.

    Raises:
        UsageError: one cannot be found.
    """
    for cell in dict.fromkeys(case.cell for case in cases):
        choose(cell)
    for unroller in dict.fromkeys(case.unroller for case in cases):
        resolve(unroller, Unroller, unrollers, "unroller")
