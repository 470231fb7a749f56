"""A process that examines: it takes the cases of one cell after the other, and sends a record of each.

What goes over the connection is JSON, a line each. It ends when the one that started it is gone, within a case.
"""

import json
import os
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection

from rnnkit.matrix.case import Case
from rnnkit.matrix.examination import examined
from rnnkit.matrix.record import Record
from rnnkit.matrix.sources import digest


def recorded(cases: Sequence[Case], seed: int) -> Iterator[Record]:
    """Examine cases, and yield a record of each."""
    began = time.perf_counter()
    for case, verdict in examined(cases, seed):
        now = time.perf_counter()
        yield Record(case, verdict, now - began, digest(case, seed))
        began = time.perf_counter()


def main(descriptor: int) -> None:
    """Serve the connection of that number until it is closed."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the one that started this, which ends it
    parent = os.getppid()
    torch.set_num_threads(1)
    connection = Connection(descriptor)
    try:
        while True:
            cases, seed = json.loads(connection.recv_bytes())
            for record in recorded([Case(*case) for case in cases], seed):
                if os.getppid() != parent:
                    return
                connection.send_bytes(record.to_json().encode())
    except (EOFError, ConnectionError):
        return
