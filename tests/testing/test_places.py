"""Each broken promise is told in a sentence that ends with the line of the author's file."""

import inspect
from pathlib import Path

import pytest
import torch

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


class Scripted(Whole):
    """Steps by a function that no watch bears."""

    def step(self, p, state):
        if torch.overrides._get_current_function_mode_stack():
            raise RuntimeError("not under watch")
        return super().step(p, state)


class ScriptedAndNarrow(Scripted):
    def step(self, p, state):
        y, state = super().step(p, state)
        return y[:, :-1], state


def test_what_bears_no_watch_is_no_worse_for_it():
    assert testing.check_cell(Scripted).ok
    (said,) = testing.inspect_cell(ScriptedAndNarrow).failures
    assert "step() returns an output of shape (3, 4); output_size says (3, 5)" in said
    assert "test_places.py:" in said


def test_a_step_that_ends_the_program_ends_no_check():
    said = testing.inspect_cell(broken_cells.EndsTheProgram).failures
    assert any("the code ends the program (SystemExit); raise an error instead" in sentence for sentence in said)
