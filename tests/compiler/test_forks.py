"""Processes that are forked while the compiler is in use: right results, and never a hang."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import rnnkit_compiler

from ..slow_cases import slow_but

PROBE = Path(__file__).with_name("fork_probe.py")
SOURCES = Path(rnnkit_compiler.__file__).parent

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks")


WORKS = {
    "results": ("pool", "executor", "queues", "loader"),
    "forks": ("fork_of_others", "fork_after_torch", "fork", "fork_while_locked", "fork_while_running"),
}
"""What is done in one process, in this order: threads that were used once stay."""


@pytest.mark.parametrize("works", slow_but(["forks"], WORKS))
def test_a_fork_has_right_results_and_never_hangs(works):
    command, environment = [sys.executable, PROBE, *WORKS[works]], {**os.environ, "OMP_NUM_THREADS": "2"}
    process = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert process.stdout.split() == list(WORKS[works]), process.stderr


def test_every_lock_of_the_compiler_is_made_so_that_a_fork_frees_it():
    made = re.compile(r"(?<!def )\b(?:R?Lock|Condition|(?:Bounded)?Semaphore|Barrier)\(\)")
    for path in SOURCES.rglob("*.py"):
        if path.name != "_forks.py":
            assert not made.search(path.read_text(encoding="utf-8")), path
            assert path.read_text(encoding="utf-8").count("    @cached_property") == 0 or (
                "@fork_safe_properties" in path.read_text(encoding="utf-8")
            ), path
