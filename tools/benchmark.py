"""Measure everything on the page of benchmarks, and write the page from it.

    python tools/benchmark.py measure                    ->  docs/assets/benchmarks.json; ten minutes
    python tools/benchmark.py measure --only lstm,gru    ->  these sections of it anew
    python tools/benchmark.py render                     ->  docs/benchmarks.md and its pictures, from that file

Each figure is what `rnnkit bench --json` prints in a process of its own, so that it can be had again by the command
that stands beside it.
"""

import argparse
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmark_page import page_of, pictures
from benchmark_sections import SECTIONS

from rnnkit.errors import nearest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "benchmarks.md"
ASSETS = DOCS / "assets"
MEASURED = ASSETS / "benchmarks.json"
EXAMPLES = DOCS / "examples"  # the folder of the cell that nobody has seen
FACTS = ("torch", "threads", "processor", "system")


def measure(names: list[str], extra: list[str]) -> None:
    """Measure sections and put them into the file, beside those that it has; `extra` goes to every command."""
    for name in names:
        began = time.perf_counter()
        runs = {label: bench([*shlex.split(words), *extra]) for label, words in SECTIONS[name].runs.items()}
        rows = [row for lines in runs.values() for row in lines]
        machine = {fact: rows[0][fact] for fact in FACTS}
        for row in rows:
            for fact in (*FACTS, "event"):
                del row[fact]
        measured = {**read(), name: {"machine": machine, "runs": runs}}
        in_order = {key: measured[key] for key in SECTIONS if key in measured}
        MEASURED.write_text(json.dumps(rounded(in_order), indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {time.perf_counter() - began:.0f} s", file=sys.stderr)


def bench(words: list[str]) -> list[dict[str, Any]]:
    """Run `rnnkit bench`; returns its lines but for the means, which the page takes from the sizes."""
    command = [sys.executable, "-m", "rnnkit", "bench", *words, "--json"]
    done = subprocess.run(command, check=True, cwd=EXAMPLES, stdout=subprocess.PIPE, text=True)
    return [row for row in map(json.loads, done.stdout.splitlines()) if row["event"] != "means"]


def rounded(value: Any) -> Any:
    """Keep five digits of every figure, which is more than can be measured."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def read() -> dict[str, Any]:
    """Return what has been measured so far."""
    return json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}


def render() -> dict[Path, str]:
    """Return the page and its pictures as they follow from the file."""
    measured = read()
    drawn = {ASSETS / name: picture for name, picture in pictures(measured).items()}
    return {PAGE: page_of(PAGE.read_text(encoding="utf-8"), measured), **drawn}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["measure", "render"])
    parser.add_argument("--only", default=",".join(SECTIONS), help=f"of {', '.join(SECTIONS)}")
    parser.add_argument("--bench", default="", help="more words for every `rnnkit bench`, such as '--pairs 3'")
    arguments = parser.parse_args()
    if arguments.what == "measure":
        names = arguments.only.split(",")
        for name in names:
            if name not in SECTIONS:
                parser.error(f"no section {name!r}{nearest(name, SECTIONS)}; there are {', '.join(SECTIONS)}")
        measure(names, shlex.split(arguments.bench))
        return
    for path, text in render().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
