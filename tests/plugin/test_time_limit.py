"""Code that takes too long is ended, in whatever it catches; code that is through in time notices nothing."""

import subprocess
import sys
import threading
import time

import pytest

from rnnkit.plugin.time_limit import TimeIsUpError, time_limit


def spin(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


def test_a_loop_without_end():
    began = time.monotonic()
    with pytest.raises(TimeIsUpError), time_limit(0.2, 60):
        spin(600)
    assert time.monotonic() - began < 20


def test_one_that_sleeps_uses_no_processor_and_is_ended_by_the_clock():
    with pytest.raises(TimeIsUpError), time_limit(60, 0.2):
        all(time.sleep(0.01) is None for _ in range(60_000))


def test_one_that_catches_every_exception():
    def stubborn():
        while True:
            try:
                spin(0.05)
                raise RuntimeError
            except Exception:
                continue

    with pytest.raises(TimeIsUpError), time_limit(0.2, 60):
        stubborn()


def test_what_others_use_does_not_count():
    over = threading.Event()
    other = threading.Thread(target=lambda: over.wait() or None)
    busy = threading.Thread(target=lambda: [spin(0.05) for _ in iter(over.is_set, True)])
    for thread in (other, busy):
        thread.start()
    try:
        with time_limit(0.3, 60):
            time.sleep(1)
    finally:
        over.set()


def test_in_time():
    with time_limit(60, 60):
        spin(0.3)
    spin(0.3)


def test_in_another_thread():
    found = []

    def work():
        try:
            with time_limit(0.2, 60):
                spin(600)
        except TimeIsUpError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert len(found) == 1


def test_nothing_comes_afterwards(monkeypatch):
    """The block ends about when its time is up; then the error comes in it, or not at all."""
    monkeypatch.setattr("rnnkit.plugin.time_limit.LOOK", 1e-4)
    before = threading.active_count()
    late = 0
    for trial in range(400):
        try:
            with time_limit(60, 2e-3):
                spin(2e-3 + (trial % 20 - 10) * 1e-4)
        except TimeIsUpError:
            late += 1
        spin(5e-4)
    assert 0 < late < 400
    time.sleep(0.1)
    assert threading.active_count() == before


PROFILED = """
import sys
from rnnkit.plugin.time_limit import TimeIsUpError, time_limit

try:
    with time_limit({processor}, {clock}):
        {block}
except TimeIsUpError:
    pass
sys.setprofile(lambda *about: None)
print(sum(map(abs, [1, 2])), (lambda: 3)())
"""


@pytest.mark.parametrize(
    ("processor", "block"),
    [(10, "pass"), (0.1, "while True: pass"), (0.1, "sum(range(10**8))")],
    ids=["in time", "ended", "ended in C"],
)
def test_a_profiler_works_afterwards(processor, block):
    """An error that is dropped by CPython's own means keeps its loop busy, under a profiler for ever."""
    program = PROFILED.format(processor=processor, clock=10, block=block)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.stdout, done.stderr) == ("3 3\n", "")
