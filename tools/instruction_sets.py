"""Measure the compiler on narrower vectors: a table for this processor, a column for AVX2 and one for AVX-512.

    python tools/instruction_sets.py [--pairs 15]        ->  docs/assets/instruction-sets/<processor>.md

On a processor with AVX-512 both sides are held to AVX2 by the settings that torch, oneDNN, MKL and the C++ compiler
have for it. One thread, forward and backward, float32, default allocator; a process for each cell and column.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from measure import processor

from rnnkit.benchmark.sizes import DEFAULT, ODD
from rnnkit.benchmark.timing import Ratio, mean_ratio

FOLDER = Path(__file__).parents[1] / "docs" / "assets" / "instruction-sets"
CELLS = ("lstm", "peephole", "layernorm")
LARGEST = 256
"""Hidden units up to which sizes are measured: beyond, the products of both sides take nearly all the time."""

NARROW = {
    "RNNKIT_CXX": "c++ -mno-avx512f",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
SETS = {"AVX2": NARROW, "AVX-512": {}}


def measured(cell: str, settings: dict[str, str], pairs: int) -> tuple[dict[str, Ratio], str]:
    """Return how many times as long nn.LSTM takes, by size, and on what torch says that it runs."""
    sizes = [size for size in (*DEFAULT, *ODD) if size.hidden_size <= LARGEST]
    words = ["bench", "--cell", cell, "--sizes", ",".join(map(str, sizes)), "--pairs", str(pairs), "--memory", "none"]
    command = [sys.executable, "-m", "rnnkit", *words, "--json"]
    environment = {**os.environ, **settings, "OMP_NUM_THREADS": "1"}
    output = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = [line for line in map(json.loads, output.splitlines()) if line["event"] == "size"]
    return {line["size"]: Ratio(**next(iter(line["rivals"].values()))) for line in lines}, lines[0]["processor"]


def shown(ratio: Ratio) -> str:
    """Return a ratio as the page has it: below 1 in bold."""
    return str(ratio) if ratio.median >= 1 else f"**{ratio}**"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    pairs = parser.parse_args().pairs
    lines = [f"| cell | B, T, I, H | {' | '.join(SETS)} |", f"| --- | --- |{' ---: |' * len(SETS)}"]
    for cell in CELLS:
        found = {name: measured(cell, settings, pairs) for name, settings in SETS.items()}
        for name, (_, runs_on) in found.items():
            assert name.replace("-", "") in runs_on, f"{name} is asked for, and torch runs on {runs_on}"
        for size in found["AVX2"][0]:
            ratios = [shown(by_size[size]) for by_size, _ in found.values()]
            lines.append(f"| {cell} | {size.replace('x', ', ')} | {' | '.join(ratios)} |")
        means = [shown(mean_ratio([*by_size.values()])) for by_size, _ in found.values()]
        lines.append(f"| {cell} | geometric mean | {' | '.join(means)} |")
        print("\n".join(lines[-len(found["AVX2"][0]) - 1 :]), file=sys.stderr)
    name = processor()
    caption = f"How many times as long nn.LSTM takes; forward and backward, float32, one thread, {pairs} pairs; {name}."
    page = FOLDER / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.md"
    page.write_text("\n".join([*lines, "", caption]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
