"""The pictures of the tasks' page are those that the tool draws."""

import re
from pathlib import Path

import pytest
import task_figures

PAGE = Path(__file__).parents[2] / "docs" / "tasks.md"


@pytest.mark.parametrize("name", task_figures.FIGURES)
def test_a_picture_is_as_it_is_drawn(name):
    path = task_figures.FOLDER / f"task-{name}.svg"
    assert path.read_text(encoding="utf-8") == task_figures.FIGURES[name](), (
        "draw it again: python tools/task_figures.py"
    )


def test_every_picture_is_on_the_page_and_said_in_words():
    shown = dict(re.findall(r"^!\[(.*)\]\(assets/task-(.*)\.svg\)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert sorted(shown.values()) == sorted(task_figures.FIGURES)
    assert all(len(words) > 40 for words in shown)
