"""A small text, and small runs."""

import json

import pytest

SMALL = ("--steps", 3, "--hidden", 8, "--batch", 2, "--seq-len", 16, "--quiet")
PANGRAM = "The quick brown fox jumps over the lazy dog, again. "


@pytest.fixture
def text(tmp_path):
    """Give a text of 3,016 characters."""
    path = tmp_path / "text.txt"
    path.write_text(PANGRAM * 58, encoding="utf-8")
    return path


@pytest.fixture
def train(cli, tmp_path):
    """Run `rnnkit run` small, into the folder "run": train("--task", "adding") -> a click Result."""
    return lambda *words: cli("run", *SMALL, "--out", tmp_path / "run", *words)


@pytest.fixture
def run(train, text, tmp_path):
    """Give the folder of a small finished run on the text; so large a rate that its model minds what it reads."""
    assert train("--text", text, "--lr", 0.3).exit_code == 0
    return tmp_path / "run"


@pytest.fixture
def lines():
    """Read JSON lines: every line of the text must be one."""
    return lambda text: [json.loads(line) for line in text.splitlines()]
