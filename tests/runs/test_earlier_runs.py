"""A run that an earlier version made goes on as it would have there, and is judged as it was."""

import json
import shutil
from pathlib import Path

import pytest

EARLIER = Path(__file__).with_name("earlier")
"""`run`: six updates, made before the modules were moved into rooms; `went_on.jsonl`: six more, by the same version."""


@pytest.fixture
def run(tmp_path):
    return Path(shutil.copytree(EARLIER / "run", tmp_path / "run"))


def test_it_goes_on(cli, run):
    result = cli("run", "--resume", run, "--steps", 12, "--quiet")
    assert result.exit_code == 0, result.output
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[6:]
    expected = (EARLIER / "went_on.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == len(expected) == 6
    for line, other in zip(map(json.loads, lines), map(json.loads, expected), strict=True):
        held_out, other_held_out = line.pop("validation", {}), other.pop("validation", {})
        assert line == pytest.approx(other, rel=1e-4)  # of another processor, float32
        assert held_out == pytest.approx(other_held_out, rel=1e-4)


def test_it_is_judged(cli, run):
    result = cli("eval", run, "--json")
    assert result.exit_code == 0, result.output
    last = json.loads((run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    assert json.loads(result.stdout)["loss"] == pytest.approx(last["validation"]["loss"], rel=1e-4)
