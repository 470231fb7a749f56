"""A small text, and small runs."""

import json
import shutil

import pytest
import torch

from rnnkit.runs.folder import open_run

SMALL = ("--steps", 3, "--hidden", 8, "--batch", 2, "--seq-len", 16, "--quiet")
PANGRAM = "The quick brown fox jumps over the lazy dog, again. "


@pytest.fixture
def text(tmp_path):
    """Return a text of 3,016 characters."""
    path = tmp_path / "text.txt"
    path.write_text(PANGRAM * 58, encoding="utf-8")
    return path


@pytest.fixture
def train(cli, tmp_path):
    """Run `rnnkit run` small, into the folder "run": train("--task", "adding") -> a click Result."""
    return lambda *words: cli("run", *SMALL, "--out", tmp_path / "run", *words)


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """Return a function that trains once, and returns a copy where it is asked for: trained(folder, text, *words)."""
    from click.testing import CliRunner

    from rnnkit.cli import main

    originals = {}

    def copy(folder, text, *words):
        if words not in originals:
            original = tmp_path_factory.mktemp("trained")
            shutil.copy(text, original / "text.txt")
            line = ("run", *SMALL, "--text", original / "text.txt", *words, "--out", original / "run")
            assert CliRunner().invoke(main, [*map(str, line)]).exit_code == 0
            originals[words] = original
        original = originals[words]
        shutil.copytree(original / "run", folder)
        config = folder / "config.toml"
        config.write_text(config.read_text().replace(str(original / "text.txt"), str(text)))
        return folder

    return copy


@pytest.fixture
def run(trained, text, tmp_path):
    """Return the folder of a small finished run on the text; so large a rate that its model minds what it reads."""
    return trained(tmp_path / "run", text, "--lr", 0.3)


@pytest.fixture
def lines():
    """Read JSON lines: every line of the text must be one."""
    return lambda text: [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def past_its_best(trained, text, tmp_path):
    """Return the folder of a run whose newest checkpoint is not its best; so large a rate that it goes up and down."""
    for steps in range(25, 35):
        words = ("--lr", 3, "--steps", steps, "--validate-every", 1, "--keep", 1)
        folder = trained(tmp_path / f"run{steps}", text, *words)
        best, newest = (open_run(folder, best=best)[2].readout.weight for best in (True, False))
        if not torch.equal(best, newest):
            return folder
    raise AssertionError("each of ten runs ended at its best")
