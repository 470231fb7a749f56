"""The pictures of docs/inspection.md, drawn by what the page shows.

python tools/inspection_pictures.py    ->  docs/assets/inspection-*.svg
"""

from pathlib import Path

import torch

import rnnkit
from rnnkit import inspection

FOLDER = Path(__file__).parents[1] / "docs" / "assets"


def pictures() -> dict[str, inspection.Inspection]:
    """Return the results whose pictures the page has, by the name of the file."""
    torch.manual_seed(0)
    cell = rnnkit.cells["lstm"](8, 32)
    rnnkit.init.forget_bias_(cell, 4.0)
    recording = inspection.record("lstm")
    return {
        "flow": inspection.gradient_flow("lstm"),
        "gates": inspection.gate_activity(cell),
        "replay": inspection.replay(recording, at=20, states={"c": 0.0}),
        "comparison": inspection.compare_cells("gru", "rnn"),
    }


if __name__ == "__main__":
    for name, result in pictures().items():
        (FOLDER / f"inspection-{name}.svg").write_text(result.svg(), encoding="utf-8")
