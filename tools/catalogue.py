"""The catalogue's pages: a page for each cell, and the table of all.

    python tools/catalogue.py                     write the pages, from docstrings and from what was measured
    python tools/catalogue.py measure [CELL...]   first measure backend, structure and gradient flow
    python tools/catalogue.py structure [CELL...] first prove anew how the new state depends on the old one
    python tools/catalogue.py time [CELL...]      first measure the speed, on a machine that does nothing else

What is measured is kept beside the cells, in measured.json of rnnkit_zoo and rnnkit_cells, and so comes with the
distribution: `rnnkit cells --json` tells the same. Names alone are measured anew, else all.
"""

import inspect
import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import gradient_matrix
import torch
from compared import compared
from flow_picture import flow_picture
from formulas import katex

import rnnkit
from rnnkit.inspection.card import MEASURED, Card, card_of
from rnnkit_compiler.structure.jacobian import jacobian_of

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TABLE = DOCS / "assets" / "catalogue-table.md"
MATRIX = "[the gradient matrix](../gradient-matrix.md)"
PACKAGES = ("rnnkit_cells", "rnnkit_zoo")
CELLS = {
    name: package for name, kind in rnnkit.cells.items() if (package := kind.__module__.partition(".")[0]) in PACKAGES
}
"""Each cell, and the package that it is in."""

SIZES = ("8x100x64x64", "32x100x128x128")
"""Rows, steps, input and hidden size at which the speed is measured."""


def main() -> None:
    """Measure if asked to, and write all pages."""
    ways = {"measure": measured, "structure": proven, "time": timed}
    if sys.argv[1:] and sys.argv[1] in ways:
        measure(sys.argv[2:] or list(CELLS), ways[sys.argv[1]])
    else:
        measure([], measured)
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def measure(names, how) -> None:
    """Measure cells anew, and keep it beside them."""
    for package in PACKAGES:
        path = ROOT / "plugins" / package / MEASURED
        known = json.loads(path.read_text()) if path.exists() else {}
        for name in names:
            if CELLS[name] == package:
                known[name] = {**known.get(name, {}), **how(name)}
                print(name, flush=True)
        own = [name for name in CELLS if CELLS[name] == package and name in known]
        told = {name: {**known[name], "compared": compared(name), "gradients": gradients_of(name)} for name in own}
        path.write_text(json.dumps(told, indent=1) + "\n")


def gradients_of(name: str) -> dict[str, object]:
    """Return a cell's row of the gradient matrix's certificate."""
    return gradient_matrix.of_cell(gradient_matrix.certificate(), name)


def pages() -> dict[Path, str]:
    """Return the text of every page, by its path."""
    return {**{DOCS / "catalogue" / f"{name}.md": page(name) for name in CELLS}, TABLE: table()}


@cache
def card(name: str) -> Card:
    """Return what there is to know of a cell."""
    return card_of(rnnkit.cells[name])


# What is measured


def measured(name: str) -> dict[str, object]:
    """Return the backend, the structure and the gradient flow at the start."""
    torch.manual_seed(0)
    explained = rnnkit.unrollers["compiled"]().explain(build(name)).splitlines()
    said = {label: words for label, colon, words in (line.partition(": ") for line in explained) if colon}
    flow = rnnkit.inspection.gradient_flow(name, steps=50)
    return {
        **proven(name),
        "backend": said["backend"],
        "reason": said.get("no native kernel", ""),
        "forward": said.get("forward", ""),
        "backward": said.get("backward", ""),
        "flow": [float(f"{value:.3g}") for value in flow.total.tolist()],
    }


def proven(name: str) -> dict[str, object]:
    """Return how the new state depends on the old one, as the recorded operations of the step have it."""
    found = jacobian_of(build(name, 6, 8))
    words = {f"{new} from {old}": word for (new, old), word in found.blocks.items() if word != "not"}
    return {"structure": words, "linear": not found.nonlinearity}


def timed(name: str) -> dict[str, object]:
    """Return how many times as long torch's layer takes, the cell's own or nn.LSTM, by size, and on which processor."""
    speed, rival, processor = {}, "", ""
    words = ("bench", "--cell", name, "--sizes", ",".join(SIZES), "--pairs", "8", "--threads", "1", "--json")
    done = subprocess.run([sys.executable, "-m", "rnnkit", *words], check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        found = json.loads(line)
        processor = found.get("processor", processor)
        if found.get("event") == "size":
            ((rival, figure),) = found["rivals"].items()
            speed[found["size"]] = round(figure["median"], 2)
    return {"speed": speed, "rival": rival, "machine": processor}


# What is written


def page(name: str) -> str:
    """Return the page of a cell."""
    kind, told = rnnkit.cells[name], card(name)
    rows = [
        ("Paper", told.said.get("Paper", "")),
        ("State", ", ".join(f"{state} ({width})" for state, width in told.state.items())),
        ("Parameters", f"\\({formula(told)}\\), that is {told.parameters:,} for \\(D = 64, H = 128\\)"),
        ("Initialisation", told.said.get("Initialisation", "")),
        ("Compared with", told.measured["compared"]),
        ("Products of a step", f"{told.flops:,} flops for \\(D = 64, H = 128\\)"),
        ("New state from old", structure(told.measured)),
        ("Gradients", told.measured["gradients"]["said"].replace("the gradient matrix", MATRIX)),
        ("Runs as", runs_as(told.measured)),
        ("Speed", speed(told.measured)),
    ]
    lines = [
        f"# {name}",
        "",
        f"{told.title.rstrip('.')}. [Back to the catalogue](../catalogue.md).",
        "",
        katex(told.equation),
        "",
    ]
    lines += ["| | |", "| --- | --- |", *(f"| {label} | {value} |" for label, value in rows if value), ""]
    for label in ("What differs", "Gate order", "When to use it"):
        if words := told.said.get(label):
            words = words if label == "Gate order" else words[:1].upper() + words[1:]  # a gate's name stays as it is
            lines += [f"**{label}.** {words}", ""]
    lines += [gradient_flow(name, told.measured["flow"]), ""]
    lines += ["```console", f"$ rnnkit run --cell {name}", f"$ rnnkit gradcheck --cell {name} --order 2", "```", ""]
    lines += [f"::: {kind.__module__}.{kind.__name__}", "    options: { heading_level: 2, members: false }"]
    return "\n".join(lines) + "\n"


def build(name: str, inputs: int = 64, hidden: int = 128):
    """Return a new cell."""
    return rnnkit.cells[name](inputs, hidden)


def formula(told: Card) -> str:
    """Return the number of parameters in TeX; a number where it is no polynomial of D and H."""
    return re.sub(r"(\d+)/(\d+) ", r"\\tfrac{\1}{\2}", told.formula) or f"{told.parameters:,}"


def structure(known: dict) -> str:
    """Say how the new state depends on the old one."""
    said = ", ".join(f"{pair} {word}" for pair, word in known["structure"].items())
    return f"{said or 'not at all'}{'; linear in the state' if known['linear'] else ''}"


def runs_as(known: dict) -> str:
    """Say which backend steps the cell, and in how many stages."""
    if known["reason"]:
        return f"torch's operations; no native kernel: {known['reason']}"
    return f"a kernel: {known['forward']} forward, {known['backward']} back"


def speed(known: dict) -> str:
    """Say how many times as long torch's layer takes; "" where it was not measured."""
    if "speed" not in known:
        return ""
    told = [f"{ratio or 'below 0.01'} at {size.replace('x', ' × ')}" for size, ratio in known["speed"].items()]
    what = "all gradients, one thread; rows × steps × D × H"
    return f"{known['rival']}'s time over its own ({what}, {known['machine']}): {', '.join(told)}"


def gradient_flow(name: str, flow: list[float]) -> str:
    """Return a small picture of how the gradient fades, and what it says in words."""
    last = flow[-1] / flow[0] if flow[0] else 0.0
    words = f"{last:.1e} of the gradient is left {len(flow) - 1} steps back, at the start of training"
    return (
        f'<figure markdown="0">{flow_picture(flow, f"{name}: {words}")}<figcaption>{words}, by '
        f"<code>rnnkit inspect --cell {name} --only flow</code>.</figcaption></figure>"
    )


def table() -> str:
    """Return the table of all cells."""
    lines = ["| cell | what it is | state | parameters | new state from old | native |", f"|{' --- |' * 6}"]
    for name in CELLS:
        told, summary = card(name), inspect.getdoc(rnnkit.cells[name]).splitlines()[0].rstrip(".")
        words = set(told.measured["structure"].values())
        kinds = "linear" if told.measured["linear"] else "element by element" if words <= {"diagonal"} else "dense"
        native = "no" if told.measured["reason"] else "yes"
        link = f"[`{name}`](catalogue/{name}.md)"
        row = (link, summary, ", ".join(told.state), f"\\({formula(told)}\\)", kinds, native)
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
