"""The bars of a GPU: how many times as fast cells are as their own loop and as cuDNN's LSTM, on the device at hand.

    python tools/gpu_bars.py                          ->  docs/assets/gpu-bars.json
    python tools/gpu_bars.py --only vendor --pairs 5  ->  that bar alone, beside those that are there

| bar | what is measured | has to be |
| --- | --- | --- |
| loop | the cell's own loop over a layer by `auto`, B 16, T 1024, H 768 | 20 or more |
| vendor | `nn.LSTM` over rnnkit's LSTM by `auto` | 1 or more |
| near | `nn.LSTM` over `peephole` and `layernorm` by `auto`, H 64 to 256 | 1/1.3 or more |

Forward and all gradients, and forward alone; interleaved, by events and by the wall's clock; medians with the middle
95 % of their bootstrap. A bar is met where the median is. `--small` has tiny sizes, and is for a look at this file.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rnnkit.benchmark.machine import machine
from rnnkit.benchmark.measure import Outcome, compete
from rnnkit.benchmark.sizes import Size
from rnnkit.benchmark.workload import Workload
from rnnkit.errors import RnnkitError
from rnnkit.runs.settings import usable_device

MEASURED = Path(__file__).parents[1] / "docs" / "assets" / "gpu-bars.json"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
ANY = ("lstm", "gru", "peephole", "layernorm", "janet", "mgu", "slstm", "ran")
SMALL = (Size(2, 3, 4, 4),)


class Bar(NamedTuple):
    """Something that is to be so many times as fast as a rival."""

    cells: tuple[str, ...]
    rival: str
    sizes: tuple[Size, ...]
    least: float
    """How many times as long the rival has to take."""


BARS = {
    "loop": Bar(ANY, "loop", (Size(16, 1024, 768, 768),), 20.0),
    "vendor": Bar(
        ("lstm",),
        "torch",
        (Size(16, 1024, 768, 768), Size(64, 256, 256, 256), Size(128, 128, 128, 128), Size(1, 512, 512, 512)),
        1.0,
    ),
    "near": Bar(("peephole", "layernorm"), "torch", tuple(Size(64, 256, h, h) for h in (64, 128, 256)), 1 / 1.3),
}


def measure(bar: Bar, device: torch.device, dtypes: list[str], pairs: int, small: bool) -> Iterator[dict[str, Any]]:
    """Measure a bar: a row for each cell, size, dtype and way."""
    sizes = SMALL if small else bar.sizes
    for dtype in dtypes:
        for cell in bar.cells:
            loads = [
                Workload(size, training, DTYPES[dtype], device=device) for size in sizes for training in (True, False)
            ]
            for outcome in compete(cell, "auto", loads, [bar.rival], pairs):
                yield row_of(outcome, bar)


def row_of(outcome: Outcome, bar: Bar) -> dict[str, Any]:
    """Return what a row says, with the verdict."""
    (ratio,) = outcome.rivals.values()
    return {**outcome.as_plain(), "least": bar.least, "met": ratio.median >= bar.least}


def told(row: dict[str, Any]) -> str:
    """Say a row in a line."""
    ((rival, ratio),) = row["rivals"].items()
    way = "forward and back" if row["training"] else "forward"
    verdict = "met" if row["met"] else f"missed, it has to be {row['least']:.2f}"
    return f"{row['cell']} {row['size']} {row['dtype']} {way}: {rival} takes {ratio['median']:.2f}: {verdict}"


def main(words: list[str] | None = None) -> None:
    """Measure what is asked for, write it beside what is there, and print a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(BARS), help=f"of {', '.join(BARS)}")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", default=",".join(DTYPES), help=f"of {', '.join(DTYPES)}")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--small", action="store_true", help="tiny sizes, to try this out")
    parser.add_argument("--out", type=Path, default=MEASURED)
    given = parser.parse_args(words)
    for asked, known in ((given.only, BARS), (given.dtype, DTYPES)):
        if unknown := [name for name in asked.split(",") if name not in known]:
            parser.error(f"there is no {unknown[0]!r}; there are {', '.join(known)}")
    try:
        device = usable_device(given.device)
    except RnnkitError as error:
        parser.exit(error.exit_code, f"{parser.prog}: {error}\n")
    measured = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
    for name in given.only.split(","):
        rows = []
        for row in measure(BARS[name], device, given.dtype.split(","), given.pairs, given.small):
            rows.append(row)
            print(f"{name}: {told(row)}")
        measured[name] = {"machine": machine(device), "rows": rows}
        given.out.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
