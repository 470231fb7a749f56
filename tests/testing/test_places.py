"""Each broken promise is told in a sentence that ends with the line of the author's file."""

import inspect
from pathlib import Path

import pytest

from rnnkit import testing

from ..slow_cases import slow_but
from . import broken_cells
from .broken_cells import BROKEN, Whole

QUICK = [kind for kind, (promise, _) in BROKEN.items() if promise in ("shapes and state", "purity")]
"""What is decided before gradients are taken."""


def place_of(kind):
    """Return FILE:LINE of the line of a class that is marked."""
    lines, first = inspect.getsourcelines(kind)
    (marked,) = [number for number, line in enumerate(lines, first) if line.rstrip().endswith("# here")]
    return f"{Path(broken_cells.__file__).relative_to(Path.cwd())}:{marked}"


@pytest.mark.parametrize("kind", slow_but(QUICK, BROKEN), ids=lambda kind: kind.__name__)
def test_a_broken_promise_is_a_sentence_with_its_line(kind, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    promise, sentence = BROKEN[kind]
    broken = {label: said for label, said in testing.inspect_cell(kind).promises.items() if said}
    assert broken.keys() == {promise}
    (said,) = broken[promise]
    assert sentence in said
    assert said.endswith(f" ({place_of(kind)})"), said


def test_a_whole_cell_is_told_nothing():
    assert testing.check_cell(Whole).ok
