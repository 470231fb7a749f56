"""Starting: with an empty cache and with a filled one."""

from importlib import import_module
from pathlib import Path

import pytest

from rnnkit.benchmark.process import Conditions
from rnnkit.benchmark.sizes import Size
from rnnkit.benchmark.startup import startups
from rnnkit.benchmark.workload import Workload

SLOW = '''
import os
import time
from pathlib import Path

import rnnkit


class Caching(rnnkit.unrollers["loop"]):
    """The loop, after a second of compiling that it remembers on disk."""

    def __call__(self, cell, xs, state=None, *, lengths=None, reset=None):
        kept = Path(os.environ["RNNKIT_CACHE"]) / f"{cell.name}-{cell.hidden_size}"
        if not kept.exists():
            time.sleep(1)
            kept.parent.mkdir(exist_ok=True)
            kept.touch()
        return super().__call__(cell, xs, state, lengths=lengths, reset=reset)
'''


@pytest.fixture
def caching(tmp_path, monkeypatch):
    (tmp_path / "slow_unroller.py").write_text(SLOW)
    monkeypatch.syspath_prepend(str(tmp_path))
    return import_module("slow_unroller").Caching()


@pytest.mark.slow
def test_cold_is_what_a_cache_saves_whatever_steps_and_rows(caching, monkeypatch):
    monkeypatch.delenv("RNNKIT_CACHE", raising=False)
    workloads = [Workload(Size(2, 5, 3, 4)), Workload(Size(3, 9, 3, 4))]
    first, second = startups("gru", caching, workloads, Conditions(threads=1), repeats=1)
    for startup, workload in ((first, workloads[0]), (second, workloads[1])):
        assert (startup.cell, startup.unroller, startup.size) == ("gru", "caching", workload.size)
        assert startup.cold > 0.9
        assert startup.warm < 0.5  # of the second: the folder that the first one filled
        assert 0 < startup.later < 0.5
        assert startup.plugins > 0
    assert first.as_plain()["size"] == "2x5x3x4"
    assert not Path("gru-4").exists()
