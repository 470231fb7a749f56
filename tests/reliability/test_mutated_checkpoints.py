"""A checkpoint that is not as it was written is refused in one line, or is what it says; nothing else happens."""

import json
import shutil

import pytest

from .promises import DAMAGED
from .small_run import words

PARTS = 16
TINY = {"hidden": 2, "layers": 2, "batch": 2, "seq_len": 8, "steps": 6, "save_every": 3, "accumulate": 1}


@pytest.fixture(scope="module")
def tiny(server, tmp_path_factory):
    """Return the folder of a tiny run with two checkpoints, and a copy to play with beside it."""
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "text.txt").write_text("ab ba " * 60)
    line = words(folder / "text.txt", schedule="plateau", validate_every=3, **TINY)
    done = server.run(*line, "--out", folder / "run")
    assert done.code == 0, done
    shutil.copytree(folder / "run", folder / "mutated")
    return folder / "run"


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("first", "every"),
    [(0, 197), *(pytest.param(part, PARTS, marks=pytest.mark.slow) for part in range(PARTS))],
)
def test_mutated_checkpoints(server, tiny, tally, tmp_path, first, every):
    report = tmp_path / "report.json"
    arguments = {"run": str(tiny), "report": str(report), "first": first, "every": every}
    done = server.run(call=["loads", "batch", arguments], limits={"memory": 2**29}, limit=1500)
    at = report.with_suffix(".now")
    assert done.code == 0, (done, at.exists() and at.read_text())
    found = json.loads(report.read_text())
    print(json.dumps(found["counts"], indent=1))
    tally(DAMAGED, "mutated checkpoints", sum(found["counts"].values()), found["failures"])
