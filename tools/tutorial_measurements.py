"""What the tutorials show and their pages do not compute: figures that take minutes, measured once and kept as JSON.

    python tools/tutorial_measurements.py          ->  docs/assets/tutorials/*.json
    python tools/tutorial_measurements.py memory   ->  that one alone

tools/tutorial_pictures.py draws them. The race and the run that is watched are those whose commands stand on the pages.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

import rnnkit
from rnnkit import memory as memory_room

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "assets" / "tutorials"
LENGTHS = (250, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000)
RACE = (
    "race --cells rnnkit_mgu:MGU,lstm,gru --task adding --seq-len 30 --hidden 24 --steps 1000 --lr 0.003,0.01,0.03 "
    "--target 0.01 --out races/mgu"
)
WATCHED = (
    "run --task adding --seq-len 50 --hidden 32 --lr 0.005 --steps 1500 --validate-every 250 --inspect-every 50 "
    "--quiet --out runs/watched"
)
BIN = 25
"""Updates of which the mean error is kept."""


def memory() -> Any:
    """Predict the memory of one update for sequences of different lengths, in bytes by unroller."""
    ways: dict[str, tuple[str, tuple[int, int] | None]] = {
        name: (name, None) for name in ("loop", "compiled", "checkpoint")
    }
    ways["loop, windows of 100"] = ("loop", (100, 100))
    predicted: dict[str, list[int]] = {}
    for label, (unroller, truncate) in ways.items():
        for length in LENGTHS:
            task = rnnkit.tasks["copy"](seq_len=length - 20)
            model = rnnkit.Model(task, "lstm", hidden_size=128, unroller=unroller)
            update = memory_room.predict(model, task, batch_size=32, truncate=truncate).update
            predicted.setdefault(label, []).append(update)
    return {"lengths": LENGTHS, "bytes": predicted}


def race() -> Any:
    """Let the MGU race as its page says; keep what is printed, and the validations of every training."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy(ROOT / "docs" / "examples" / "rnnkit-mgu" / "rnnkit_mgu.py", folder)
        (FOLDER / "race.txt").write_text(_rnnkit(RACE, folder), encoding="utf-8")
        trials = [json.loads(path.read_text()) for path in sorted(folder.glob("races/mgu/trials/*.json"))]
    curves: dict[str, Any] = {}
    for trial in trials:
        if not trial["tuning"]:
            curves.setdefault(trial["label"], {"steps": trial["step"], "errors": []})["errors"].append(trial["metric"])
    return curves


def watched() -> Any:
    """Train as the page on gradient flow says, and once more with chrono initialisation."""
    with tempfile.TemporaryDirectory() as name:
        print(_rnnkit(WATCHED, Path(name)))
        lines = (Path(name) / "runs" / "watched" / "inspections.jsonl").read_text().splitlines()
        metrics = (Path(name) / "runs" / "watched" / "metrics.jsonl").read_text().splitlines()
    return {
        "snapshots": [json.loads(line) for line in lines],
        "bin": BIN,
        "errors": _means([json.loads(line)["metric"] for line in metrics]),
        "chrono": _means(_errors_with_chrono()),
    }


def _errors_with_chrono() -> list[float]:
    torch.manual_seed(0)
    task = rnnkit.tasks["adding"](seq_len=50)
    model = rnnkit.Model(task, "lstm", hidden_size=32)
    rnnkit.init.chrono_(model.layer, longest=50)
    return [record.metric for record in rnnkit.train(model, task, steps=1500, batch_size=32, lr=0.005)]


def forecast() -> None:
    """Make the table of the page on forecasting, train and judge as it says, and keep what is printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _follow(
            "forecasting.md",
            folder,
            "forecast",
            "run --config demand.toml --quiet --out runs/demand",
            "eval runs/demand --split test",
            "predict runs/demand --out forecast.csv",
        )
        names, *_, before, last, first, after = (folder / "forecast.csv").read_text().splitlines()[:-4]
    rows = "\n".join([names, "…", before, last, first, after, "…"])
    (FOLDER / "forecast-rows.txt").write_text(f"{rows}\n", encoding="utf-8")


def labels() -> None:
    """Make the texts of the page on labels, train and judge as it says, and keep what is printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _follow(
            "labels.md",
            folder,
            "labels",
            "run --config reviews.toml --quiet --out runs/reviews",
            "predict runs/reviews --out labels.csv",
        )
        rows = "\n".join([*(folder / "labels.csv").read_text().splitlines()[:4], "…"])
    (FOLDER / "labels-rows.txt").write_text(f"{rows}\n", encoding="utf-8")


def _follow(page: str, folder: Path, stem: str, *commands: str) -> None:
    """Make a page's data by its first code, run commands on them, and keep what each prints, as STEM-COMMAND.txt."""
    code = (ROOT / "docs" / page).read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True)
    for settings in FOLDER.glob("*.toml"):
        shutil.copy(settings, folder)
    for command in commands:
        printed, *_ = f"$ rnnkit {command}\n{_rnnkit(command, folder, COLUMNS='88')}".split("\ngradients of the loss")
        (FOLDER / f"{stem}-{command.split()[0]}.txt").write_text(printed, encoding="utf-8")


def _means(values: list[float]) -> list[float]:
    return [float(f"{fmean(values[k : k + BIN]):.4g}") for k in range(0, len(values), BIN)]


def _rnnkit(command: str, folder: Path, **variables: str) -> str:
    """Run a command in a folder, with one thread, and return what it prints."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder), **variables}
    words = [sys.executable, "-m", "rnnkit", *command.split()]
    done = subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return "".join(f"{line.rstrip()}\n" for line in done.stdout.splitlines())


MEASUREMENTS: tuple[Callable[[], Any], ...] = (memory, race, watched, forecast, labels)


def main(names: list[str]) -> None:
    """Measure those, or all, and write them."""
    for measurement in MEASUREMENTS:
        if not names or measurement.__name__ in names:
            figures = measurement()
            if figures is not None:
                path = FOLDER / f"{measurement.__name__}.json"
                path.write_text(json.dumps(figures) + "\n", encoding="utf-8")
            print(measurement.__name__)


if __name__ == "__main__":
    main(sys.argv[1:])
