"""An example of each task's sequences, legible on light and dark pages.

python tools/task_figures.py    ->  docs/assets/task-*.svg
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

import torch

import rnnkit

FOLDER = Path(__file__).parents[1] / "docs" / "assets"
WIDTH, LEFT, RIGHT = 640, 110, 10
INK = "#7d8590"  # as far from white as from the dark page
BLUE, AMBER, GREEN = "#3b82f6", "#d97706", "#10a37f"
COLOURS = {"a": BLUE, "b": AMBER, "c": GREEN, "1": BLUE, "(": BLUE, ")": BLUE, "[": AMBER, "]": AMBER}


class Sheet:
    """Rows below each other: a label on the left, and what is drawn over the same steps on the right."""

    def __init__(self, steps: int) -> None:
        self.step = (WIDTH - LEFT - RIGHT) / steps
        self.shapes: list[str] = []
        self.bottom = 4.0

    def x(self, step: float) -> str:
        return f"{LEFT + (step + 0.5) * self.step:.1f}"

    def _label(self, words: str, y: float) -> None:
        self.shapes.append(f'<text x="0" y="{y:.1f}">{escape(words)}</text>')

    def signs(self, label: str, signs: str) -> None:
        """Write a sign at each step; a space is none."""
        y = self.bottom + 14
        self._label(label, y)
        for step, sign in enumerate(signs):
            if sign.strip():
                colour = COLOURS.get(sign, INK)
                self.shapes.append(
                    f'<text x="{self.x(step)}" y="{y:.1f}" text-anchor="middle" fill="{colour}">{escape(sign)}</text>'
                )
        self.bottom += 22

    def spikes(self, label: str, steps: Sequence[int], colour: str) -> None:
        """Draw a line at each of these steps."""
        y = self.bottom + 24
        self._label(label, y - 6)
        self.shapes.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{INK}" stroke-opacity="0.4"/>')
        for step in steps:
            self.shapes.append(f'<path d="M{self.x(step)} {y:.1f}v-18" stroke="{colour}" stroke-width="2"/>')
        self.bottom += 32

    def curve(self, label: str, values: Sequence[float], height: float, colour: str, stairs: bool = False) -> None:
        """Draw a value a step, between the least and the most; as stairs, a value is held for a whole step."""
        least, most = min(values), max(values)
        top = self.bottom + 4
        heights = [top + height * (most - value) / (most - least) for value in values]
        if stairs:
            path = "".join(f"V{y:.1f}h{self.step:.1f}" for y in heights)
            path = f"{self.x(-0.5)} {heights[0]:.1f}{path}"
        else:
            path = "L".join(f"{self.x(step)} {y:.1f}" for step, y in enumerate(heights))
        self._label(label, top + height / 2 + 4)
        self.shapes.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        self.bottom += height + 12

    def mark(self, step: float, words: str, top: float) -> None:
        """Draw an upright line down to here, with words beside it."""
        self.shapes.append(
            f'<path d="M{self.x(step)} {top:.1f}V{self.bottom:.1f}" stroke="{INK}" stroke-dasharray="3 3"/>'
            f'<text x="{float(self.x(step)) + 5:.1f}" y="{top + 10:.1f}">{escape(words)}</text>'
        )

    def svg(self, title: str) -> str:
        """Return the picture."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.bottom:.0f}" width="{WIDTH}" '
            f'height="{self.bottom:.0f}" font-family="sans-serif" font-size="12" fill="{INK}" role="img">'
        )
        return "\n".join([head, f"<title>{escape(title)}</title>", *self.shapes, "</svg>"]) + "\n"


def row(name: str, seed: int, **options: int) -> tuple[list[float], list[int]]:
    """Return what is read and what is to be told, step by step, of one row of a task, as far as it is long."""
    batch = rnnkit.tasks[name](**options).batch(1, torch.Generator().manual_seed(seed))
    length = len(batch.xs) if batch.lengths is None else int(batch.lengths)
    return batch.xs[:length].flatten().tolist(), batch.targets[:length].flatten().tolist()


def parity() -> str:
    """Draw bits, and their running parity."""
    bits, odd = row("parity", 2, train_len=30)
    sheet = Sheet(len(bits))
    sheet.signs("bits", "".join(f"{bit:.0f}" for bit in bits))
    sheet.curve("odd so far", odd, 18, BLUE, stairs=True)
    return sheet.svg("A string of bits, and below it whether the number of ones so far is odd")


def counting(name: str, letters: str) -> str:
    """Draw a string, what is to be told, and the counts that it takes."""
    read, told = row(name, 5, train_n=8)
    signs = "$" + letters
    sheet = Sheet(len(read))
    text = "".join(signs[int(symbol)] for symbol in read)
    sheet.signs("read", text)
    sheet.signs("to be told", "".join(signs[symbol] if symbol >= 0 else "·" for symbol in told))
    for earlier, later, colour in zip(letters, letters[1:], (AMBER, GREEN), strict=False):
        counts = [text[: at + 1].count(earlier) - text[: at + 1].count(later) for at in range(len(text))]
        sheet.curve(f"{earlier} less {later}", counts, 30, colour, stairs=True)
    return sheet.svg(f"A string of {name}, the symbols that are determined, and the count of each letter less the next")


def dyck() -> str:
    """Draw a string of brackets and how deep they are nested."""
    read, _ = row("dyck", 9, train_len=40, depth=4)
    sheet = Sheet(len(read))
    text = "".join("$([)]"[int(symbol)] for symbol in read)
    sheet.signs("read", text)
    depth = [
        sum(sign in "([" for sign in text[: at + 1]) - sum(sign in ")]" for sign in text[: at + 1])
        for at in range(len(text))
    ]
    sheet.curve("depth", depth, 40, INK, stairs=True)
    return sheet.svg("A string of two kinds of brackets, and below it how many are open")


def timing() -> str:
    """Draw a train of spikes, and what is to be told."""
    read, told = row("timing", 0, interval=9)
    sheet = Sheet(len(read))
    sheet.spikes("read", [step for step, value in enumerate(read) if value], BLUE)
    sheet.signs("to be told", "".join(str(target) if target >= 0 else " " for target in told))
    return sheet.svg("Spikes that are 9 or 10 steps apart, and below each whether it came after 10")


def firing() -> str:
    """Draw the spikes that are given, and those that are asked for."""
    task = rnnkit.tasks["firing"](interval=9, spikes=4)
    batch = task.batch(1, torch.Generator())
    sheet = Sheet(len(batch.xs))
    for label, tensor, colour in (("read", batch.xs, BLUE), ("asked for", batch.targets, AMBER)):
        sheet.spikes(label, tensor[:, 0, 0].nonzero().flatten().tolist(), colour)
    return sheet.svg("Spikes that are given 10 steps apart, and below them those that are asked for 9 steps after each")


def series(name: str, coordinates: str) -> str:
    """Draw a window of a series; forecasts are asked for from the middle on."""
    task = rnnkit.tasks[name]()
    (batch,) = task.validation()
    sheet = Sheet(len(batch.xs))
    sheet.bottom += 14  # for the words
    for column, coordinate in enumerate(coordinates):
        sheet.curve(coordinate, batch.xs[:, 0, column].tolist(), 46, (BLUE, AMBER, GREEN)[column])
    sheet.mark(len(batch.xs) // 2, "forecasts from here on", 0)
    return sheet.svg(f"A window of the series {name}; from its middle on, rows are forecast")


FIGURES: dict[str, Callable[[], str]] = {
    "anbn": lambda: counting("anbn", "ab"),
    "anbncn": lambda: counting("anbncn", "abc"),
    "dyck": dyck,
    "firing": firing,
    "lorenz": lambda: series("lorenz", "xyz"),
    "mackey-glass": lambda: series("mackey-glass", "x"),
    "parity": parity,
    "timing": timing,
}

if __name__ == "__main__":
    for task_name, draw in FIGURES.items():
        (FOLDER / f"task-{task_name}.svg").write_text(draw(), encoding="utf-8")
