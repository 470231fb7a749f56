"""Those that examine: processes, one torch thread each, or this process itself."""

import json
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from itertools import groupby
from multiprocessing.connection import wait

import torch

from rnnkit.errors import ResourceError
from rnnkit.matrix.case import Case
from rnnkit.matrix.record import Record
from rnnkit.matrix.sources import digest
from rnnkit.matrix.verdict import FAILED, Verdict
from rnnkit.matrix.worker import recorded
from rnnkit.support.worker_process import WorkerProcess

TICK = 0.3
"""Seconds after which something is told at the latest, so that whoever reads can end it all."""


def records(cases: Iterable[Case], seed: int, jobs: int) -> Generator[Record | None]:
    """Yield a record of each case as it comes, and None now and then.

    Args:
        cases: those of one cell together, which one process takes.
        seed: of all problems.
        jobs: processes; 0: this one.

    Raises:
        ResourceError: no process can be started, or one ended by itself.
    """
    lots = [list(lot) for _, lot in groupby(cases, key=lambda case: case.cell)]
    return _there(lots, seed, min(jobs, len(lots))) if jobs else _here(lots, seed)


def _here(lots: list[list[Case]], seed: int) -> Generator[Record | None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for lot in lots:
            yield from recorded(lot, seed)
    finally:
        torch.set_num_threads(threads)


def _there(lots: list[list[Case]], seed: int, jobs: int) -> Generator[Record | None]:
    waiting = deque(lots)
    team: list[_Examiner] = []
    try:
        while waiting or any(examiner.left for examiner in team):
            while waiting and (idle := _idle(team, jobs)) is not None:
                idle.begin(waiting.popleft(), seed)
            by_connection = {examiner.connection: examiner for examiner in team}
            for ready in wait(list(by_connection), TICK):
                examiner = by_connection[ready]  # type: ignore[index]  # no others were given
                record = examiner.take()
                if record is None:  # it has ended, in the midst of the first case that is left
                    team.remove(examiner)
                    record = examiner.last_words(seed)
                    waiting.appendleft(examiner.left) if examiner.left else None
                yield record
            yield None
    finally:
        for examiner in team:
            examiner.end()
        for examiner in team:
            examiner.fate()


def _idle(team: "list[_Examiner]", jobs: int) -> "_Examiner | None":
    idle = next((examiner for examiner in team if not examiner.left), None)
    if idle is None and len(team) < jobs:
        idle = _Examiner()
        team.append(idle)
    return idle


class _Examiner(WorkerProcess):
    """A process that examines, and the cases that it has yet to tell of."""

    def __init__(self) -> None:
        super().__init__("rnnkit.matrix.worker")
        self.left: list[Case] = []

    def begin(self, lot: Sequence[Case], seed: int) -> None:
        """Send the cases of a cell."""
        self.left = list(lot)
        self.send(json.dumps([self.left, seed]).encode())

    def take(self) -> Record | None:
        """Return a record that has come; None: the process has ended."""
        try:
            record = Record.read(self.connection.recv_bytes().decode())
        except (EOFError, ConnectionError):
            return None
        if record is not None:
            self.left.remove(record.case)
        return record

    def last_words(self, seed: int) -> Record:
        """Return the record of the case that has ended the process, which is no longer left.

        Raises:
            ResourceError: it was ended by someone, or by itself: no case has done so.
        """
        fate = self.fate()
        if fate.blameless or not self.left:
            raise ResourceError(f"a process that examines the matrix {fate}")
        case = self.left.pop(0)
        return Record(case, Verdict(FAILED, float("inf"), reason=f"its process {fate}"), 0.0, digest(case, seed))
