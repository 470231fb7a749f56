"""Progress in Python: records pass through as they are, and a bar is shown where one can be."""

import io

import pytest
from rich.console import Console

import rnnkit
from rnnkit.training import progress_bar


def records(steps):
    task = rnnkit.tasks["adding"](seq_len=4)
    return rnnkit.train(rnnkit.Model(task, "rnn", 2), task, steps=steps, batch_size=2)


def test_records_pass_through(capsys):
    assert [record.step for record in rnnkit.progress(records(3), 3)] == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_bar_has_figures_in_one_line(width):
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    assert [record.step for record in progress_bar.bar(records(3), 3, "MSE", console)] == [1, 2, 3]
    shown = console.file.getvalue()
    assert "3/3" in shown
    assert "loss" in shown
    assert ("MSE" in shown) == (width > 60)


def test_in_jupyter_without_widgets_it_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    monkeypatch.setattr(progress_bar, "find_spec", lambda name: None)
    assert [record.step for record in rnnkit.progress(records(2), 2)] == [1, 2]
    assert capsys.readouterr().err == "no progress bar: pip install 'rnnkit[notebook]'\n"


def test_steps_are_a_count():
    with pytest.raises(rnnkit.errors.UsageError, match="steps"):
        rnnkit.progress([], 0)
