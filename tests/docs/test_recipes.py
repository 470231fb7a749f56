"""The recipes of docs/own-loop.md run as they are shown, and come to what they are about."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "docs" / "examples" / "recipes"
OTHERS = {
    # package, and a bound on the number that is printed
    "lightning_module": ("pytorch_lightning", lambda accuracy: 0.9 < accuracy <= 1),
    "optuna_study": ("optuna", lambda error: 0 < error < 1 / 12),
    "skorch_classifier": ("skorch", lambda accuracy: 0.6 < accuracy <= 1),
    "torchrl_policy": ("torchrl", lambda reward: 0.9 < reward <= 1),
}
"""Those of other packages."""


def main_of(name):
    return runpy.run_path(str(RECIPES / f"{name}.py"))["main"]


def test_all_of_them_are_shown_and_tested():
    page = (ROOT / "docs" / "own-loop.md").read_text(encoding="utf-8")
    names = {path.stem for path in RECIPES.glob("*.py")}
    assert names == {"plain_loop", "training_loop", *OTHERS}
    assert [name for name in names if f'--8<-- "examples/recipes/{name}.py"' not in page] == []


class Killed(BaseException):
    pass


def test_the_plain_loop_learns_and_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    import rnnkit

    main = main_of("plain_loop")
    main.__globals__["EPOCHS"] = 8
    whole = main(tmp_path / "whole")
    assert len(whole) == 8
    assert whole[-1] < whole[0] / 4
    save = rnnkit.RunFolder.save

    def save_and_die(folder, step, /, **state):
        save(folder, step, **state)
        if step == 3:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rnnkit.RunFolder, "save", save_and_die)
        with pytest.raises(Killed):
            main(tmp_path / "killed")
    assert main(tmp_path / "killed") == whole


def test_the_loop_around_training_learns_and_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    import rnnkit

    main = main_of("training_loop")
    main.__globals__["STEPS"] = 80
    whole = main(tmp_path / "whole")
    assert list(whole) == [20, 40, 60, 80]
    assert max(whole.values()) > 0.8
    save = rnnkit.Training.save

    def save_and_die(training, path):
        save(training, path)
        if training.step == 40:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(rnnkit.Training, "save", save_and_die)
        with pytest.raises(Killed):
            main(tmp_path / "killed")
    assert main(tmp_path / "killed") == {step: whole[step] for step in (60, 80)}


@pytest.mark.slow  # most of it is what these packages take to be imported
@pytest.mark.parametrize("name", OTHERS)
def test_with_another_package(name, tmp_path):
    package, fits = OTHERS[name]
    pytest.importorskip(package)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(RECIPES / f"{name}.py")]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert fits(float(re.search(r"\d\.\d+", done.stdout)[0])), done.stdout
