"""The catalogue's pages: a page for each cell, and the table of all.

    python tools/catalogue.py                     write the pages, from docstrings and from what was measured
    python tools/catalogue.py measure [CELL...]   first measure gradients, backend, structure and gradient flow
    python tools/catalogue.py time [CELL...]      first measure the speed, on a machine that does nothing else

What is measured is kept in docs/assets/catalogue.json; names alone are measured anew, else all.
"""

import inspect
import json
import math
import subprocess
import sys
from fractions import Fraction
from operator import mul
from pathlib import Path

import gradient_matrix
import torch
from formulas import katex
from torch.utils.flop_counter import FlopCounterMode

import rnnkit
from rnnkit.inspection.cell_facts import facts_of
from rnnkit.inspection.equations import indented_block
from rnnkit.inspection.study import Drawn, studying
from rnnkit.testing.gradcheck import gradcheck

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
MEASURED = DOCS / "assets" / "catalogue.json"
TABLE = DOCS / "assets" / "catalogue-table.md"
MATRIX = gradient_matrix.certificate()
CELLS = [name for name, kind in rnnkit.cells.items() if kind.__module__.startswith("rnnkit_zoo.")]

SIZES = ("8x100x64x64", "32x100x128x128")
"""Rows, steps, input and hidden size at which the speed is measured."""


def main() -> None:
    """Measure if asked to, and write all pages."""
    if sys.argv[1:] and sys.argv[1] in ("measure", "time"):
        known = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
        for name in sys.argv[2:] or CELLS:
            known[name] = {**known.get(name, {}), **(measured if sys.argv[1] == "measure" else timed)(name)}
            print(name, flush=True)
        MEASURED.write_text(json.dumps({name: known[name] for name in CELLS if name in known}, indent=1) + "\n")
    for path, text in pages().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


def pages() -> dict[Path, str]:
    """Return the text of every page, by its path."""
    known = json.loads(MEASURED.read_text())
    written = {DOCS / "catalogue" / f"{name}.md": page(name, known[name]) for name in CELLS}
    return {**written, TABLE: table(known)}


# What is measured


def measured(name: str) -> dict[str, object]:
    """Return the worst errors of the gradients, the backend, the structure and the gradient flow at the start."""
    errors = {}
    for order in (1, 2):
        rows = gradcheck(name, "loop", order).rows
        errors[str(order)] = float(f"{max(row.relative_error or 0.0 for row in rows):.1e}")
    torch.manual_seed(0)
    explained = rnnkit.unrollers["compiled"]().explain(build(name)).splitlines()
    said = {label: words for label, colon, words in (line.partition(": ") for line in explained) if colon}
    flow = rnnkit.inspection.gradient_flow(name, steps=50)
    found = facts_at(name, 6, 8)
    return {
        "structure": {pair: word for pair, word in found.blocks.items() if word != "not"},
        "linear": found.linear,
        "errors": errors,
        "backend": said["backend"],
        "reason": said.get("no native kernel", ""),
        "forward": said.get("forward", ""),
        "backward": said.get("backward", ""),
        "flow": [float(f"{value:.3g}") for value in flow.total.tolist()],
    }


def timed(name: str) -> dict[str, object]:
    """Return how many times as long nn.LSTM takes, by size, and on which processor."""
    speed = {}
    words = ("bench", "--cell", name, "--sizes", ",".join(SIZES), "--pairs", "8", "--threads", "1", "--json")
    done = subprocess.run([sys.executable, "-m", "rnnkit", *words], check=True, capture_output=True, text=True)
    for line in done.stdout.splitlines():
        found = json.loads(line)
        if found.get("event") == "size":
            speed[found["size"]] = round(next(iter(found["rivals"].values()))["median"], 2)
    return {"speed": speed, "machine": found["processor"]}


# What is written


def page(name: str, known: dict) -> str:
    """Return the page of a cell."""
    kind = rnnkit.cells[name]
    text = inspect.getdoc(sys.modules[kind.__module__])
    title, _, rest = text.partition("\n")
    parts = sections(rest)
    rows = [
        ("Paper", parts.get("Paper", "")),
        ("State", ", ".join(f"{state} ({width})" for state, width in states(name).items())),
        ("Parameters", f"\\({formula(name)}\\), that is {count(name, 64, 128):,} for \\(D = 64, H = 128\\)"),
        ("Products of a step", f"{flops(name):,} flops for \\(D = 64, H = 128\\)"),
        ("New state from old", structure(known)),
        ("Gradients", certificate(name, known)),
        ("Runs as", runs_as(known)),
        ("Speed", speed(known)),
    ]
    lines = [
        f"# {name}",
        "",
        f"{title.rstrip('.')}. [Back to the catalogue](../catalogue.md).",
        "",
        katex(indented_block(text)),
        "",
    ]
    lines += ["| | |", "| --- | --- |", *(f"| {label} | {value} |" for label, value in rows if value), ""]
    for label in ("What differs", "Gate order"):
        if label in parts:
            lines += [f"**{label}.** {parts[label][:1].upper()}{parts[label][1:]}", ""]
    if "When to use it" in parts:
        lines += [f"**When to use it.** {parts['When to use it'][:1].upper()}{parts['When to use it'][1:]}", ""]
    lines += [sparkline(name, known["flow"]), ""]
    lines += ["```console", f"$ rnnkit run --cell {name}", f"$ rnnkit gradcheck --cell {name} --order 2", "```", ""]
    lines += [f"::: {kind.__module__}.{kind.__name__}", "    options: { heading_level: 2, members: false }"]
    return "\n".join(lines) + "\n"


LABELS = ("Paper", "What differs", "When to use it", "Gate order")


def sections(text: str) -> dict[str, str]:
    """Return what a docstring says under "Paper:", "What differs:" and the like, each as one line."""
    found = {}
    for paragraph in text.split("\n\n"):
        label, colon, said = " ".join(paragraph.split()).partition(": ")
        if (
            colon
            and not paragraph.startswith(" ")
            and label in ("Paper", "What differs", "When to use it", "Gate order")
        ):
            found[label] = said
    return found


def build(name: str, inputs: int = 64, hidden: int = 128):
    """Return a new cell."""
    return rnnkit.cells[name](inputs, hidden)


def count(name: str, inputs: int, hidden: int) -> int:
    """Return how many parameters a cell has."""
    return sum(parameter.numel() for parameter in build(name, inputs, hidden).parameters())


def states(name: str) -> dict[str, str]:
    """Return the width of each state tensor, by H where it goes with it."""
    cell = build(name)
    shapes = [tuple(tensor.shape[1:]) for tensor in cell.initial_state(1)]
    shown = [" × ".join("H" if size == 128 else str(size) for size in shape) or "1" for shape in shapes]
    return dict(zip(cell.state_names, shown, strict=True))


TERMS = {
    "H^3": (0, 3),
    "DH^2": (1, 2),
    "DH": (1, 1),
    "H^2": (0, 2),
    "D^2": (2, 0),
    "H": (0, 1),
    "D": (1, 0),
    "": (0, 0),
}


def formula(name: str) -> str:
    """Return the number of parameters where D is not H, as a polynomial found from counts; if it is none: one count."""
    points = [(16, 32), (32, 16), (16, 48), (48, 64), (64, 32), (32, 80), (48, 16), (80, 64), (96, 48), (64, 96)]
    counts = {point: count(name, *point) for point in points}
    rows = [[*(Fraction(d**i * h**j) for i, j in TERMS.values()), Fraction(n)] for (d, h), n in counts.items()]
    found = solved(rows[: len(TERMS)])
    if found is None or any(sum(map(mul, row, found)) != row[-1] for row in rows):
        return f"{count(name, 64, 128):,}"
    text = ""
    for (term, _), factor in zip(TERMS.items(), found, strict=True):
        if factor:
            sign, size = "-" if factor < 0 else "+" if text else "", abs(factor)
            number = str(size) if size.denominator == 1 else rf"\tfrac{{{size.numerator}}}{{{size.denominator}}}"
            text += f" {sign} {'' if size == 1 and term else number}{term}"
    return text.strip() or "0"


def solved(rows: list[list[Fraction]]) -> list[Fraction] | None:
    """Solve linear equations, by elimination; None where they do not tell."""
    rows = [list(row) for row in rows]
    for k in range(len(rows)):
        pivot = next((r for r in range(k, len(rows)) if rows[r][k]), None)
        if pivot is None:
            return None
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [value / rows[k][k] for value in rows[k]]
        for r in range(len(rows)):
            if r != k:
                rows[r] = [a - rows[r][k] * b for a, b in zip(rows[r], rows[k], strict=True)]
    return [row[-1] for row in rows]


def facts_at(name: str, inputs: int, hidden: int):
    """Return the facts of a new cell of these sizes."""
    with studying(name, None, Drawn(4, 2, 0, {"input_size": inputs, "hidden_size": hidden})) as study:
        return facts_of(study)


def flops(name: str) -> int:
    """Return the floating-point operations of the products of one step of one row."""
    cell, counter = build(name), FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        cell(torch.zeros(1, 64))
    return int(counter.get_total_flops())


def structure(known: dict) -> str:
    """Say how the new state depends on the old one."""
    said = ", ".join(f"{pair} {word}" for pair, word in known["structure"].items())
    return f"{said or 'not at all'}{'; linear in the state' if known['linear'] else ''}"


def certificate(name: str, known: dict) -> str:
    """Say how far the gradients are from central differences: by the gradient matrix, or as they were measured here."""
    if text := gradient_matrix.of_cell(MATRIX, name):
        return text
    first, second = known["errors"]["1"], known["errors"]["2"]
    return f"agree with central differences to {first:.1e}, those of gradients to {second:.1e}, in float64"


def runs_as(known: dict) -> str:
    """Say which backend steps the cell, and in how many stages."""
    if known["reason"]:
        return f"torch's operations; no native kernel: {known['reason']}"
    return f"a kernel: {known['forward']} forward, {known['backward']} back"


def speed(known: dict) -> str:
    """Say how many times as long torch's LSTM takes; "" where it was not measured."""
    if "speed" not in known:
        return ""
    told = [f"{ratio:g} at {size.replace('x', ' × ')}" for size, ratio in known["speed"].items()]
    return f"nn.LSTM's time over its own, all gradients (rows × steps × D × H, {known['machine']}): {', '.join(told)}"


def sparkline(name: str, flow: list[float]) -> str:
    """Return a small picture: the gradient's norm against the steps that it has gone back, on a logarithmic axis."""
    low, high = -6.0, 1.0
    levels = [min(high, max(low, math.log10(value / flow[0]) if value and flow[0] else low)) for value in flow]
    step = 240 / (len(flow) - 1)
    points = " ".join(f"{k * step:.1f},{8 + (high - level) / (high - low) * 64:.1f}" for k, level in enumerate(levels))
    last = flow[-1] / flow[0] if flow[0] else 0.0
    words = f"{last:.1e} of the gradient is left {len(flow) - 1} steps back, at the start of training"
    zero = 8 + high / (high - low) * 64
    size = 'viewBox="0 0 240 80" width="240" height="80"'
    return (
        f'<figure markdown="0"><svg {size} role="img" aria-label="{name}: {words}">'
        f'<line x1="0" y1="{zero:.1f}" x2="240" y2="{zero:.1f}" stroke="currentColor" stroke-opacity="0.3"/>'
        f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="1.5"/></svg>'
        f"<figcaption>{words}: its norm from the last step back, from ten times to a millionth, by "
        f"<code>rnnkit inspect --cell {name} --only flow</code>.</figcaption></figure>"
    )


def table(known: dict) -> str:
    """Return the table of all cells."""
    lines = ["| cell | what it is | state | parameters | new state from old | native |"]
    lines += [f"|{' --- |' * 6}"]
    for name in CELLS:
        kind = rnnkit.cells[name]
        summary = inspect.getdoc(kind).splitlines()[0].rstrip(".")
        words = set(known[name]["structure"].values())
        kinds = "linear" if known[name]["linear"] else "element by element" if words <= {"diagonal"} else "dense"
        native = "no" if known[name]["reason"] else "yes"
        link = f"[`{name}`](catalogue/{name}.md)"
        row = (link, summary, ", ".join(states(name)), f"\\({formula(name)}\\)", kinds, native)
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
