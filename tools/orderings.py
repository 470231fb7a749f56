"""Who learns what: trains the cells of ordering_settings.py over five seeds, and writes a table.

python tools/orderings.py          ->  docs/assets/orderings.json, what each training reached; goes on where it stopped
python tools/orderings.py table    ->  docs/assets/orderings.md, medians and ranges
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch
from ordering_settings import ORDERINGS, Learner, Ordering

import rnnkit

ROOT = Path(__file__).parents[1]
REACHED, TABLE = ROOT / "docs" / "assets" / "orderings.json", ROOT / "docs" / "assets" / "orderings.md"
SEEDS = range(5)


def reached(ordering: Ordering, learner: Learner, seed: int) -> float:
    """Train once; returns the metric of the last validation."""
    task = rnnkit.tasks[ordering.task](**ordering.options)
    torch.manual_seed(seed)
    model = rnnkit.Model(task, learner.cell, ordering.hidden)
    if learner.init:
        getattr(rnnkit.init, learner.init)(model.layer, learner.value)
    *_, last = rnnkit.train(model, task, steps=ordering.steps, batch_size=ordering.batch, lr=ordering.lr, seed=seed)
    assert last.validation is not None
    return last.validation.metric


def key_of(ordering: Ordering, learner: Learner) -> str:
    """Name a training by all that it is made of but its seed."""
    options = ", ".join(f"{name}={value}" for name, value in ordering.options.items())
    begun = f" {learner.init}({learner.value})" if learner.init else ""
    sizes = f"hidden {ordering.hidden}, {ordering.steps} steps of {ordering.batch} rows, lr {ordering.lr:g}"
    return f"{ordering.task}({options}): {learner.cell}{begun}, {sizes}"


def measure() -> None:
    """Train all that has not been, seed by seed, and write each down as it ends."""
    torch.set_num_threads(1)
    known = json.loads(REACHED.read_text()) if REACHED.exists() else {}
    for seed in SEEDS:
        for ordering in ORDERINGS:
            for learner in (*ordering.better, *ordering.worse):
                figures = known.setdefault(key_of(ordering, learner), {})
                if str(seed) not in figures:
                    figures[str(seed)] = reached(ordering, learner, seed)
                    REACHED.write_text(json.dumps(known, indent=1) + "\n")
                    print(key_of(ordering, learner), seed, figures[str(seed)], flush=True)


def table() -> str:
    """Return the table of what has been measured."""
    return "\n".join(
        ["| task | cell | metric | median | range | seeds |", "| --- | --- | --- | ---: | --- | ---: |", *_rows()]
    )


def _rows() -> Iterator[str]:
    known = json.loads(REACHED.read_text())
    for ordering in ORDERINGS:
        task = rnnkit.tasks[ordering.task]
        name = ", ".join([f"`{ordering.task}`", *(f"{key} {value}" for key, value in ordering.options.items())])
        for learner in (*ordering.better, *ordering.worse):
            figures = list(known.get(key_of(ordering, learner), {}).values())
            if figures:
                begun = f", `{learner.init}` {learner.value}" if learner.init else ""
                spread = f"{min(figures):.3g} to {max(figures):.3g}"
                cells = (name, f"{learner.cell}{begun}", task.metric_name, f"{median(figures):.3g}", spread)
                yield f"| {' | '.join(cells)} | {len(figures)} |"


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        TABLE.write_text(table() + "\n")
    else:
        measure()
