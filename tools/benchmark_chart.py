"""A picture of ratios: a dot and its interval for each, on a logarithmic axis, legible on light and dark pages."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from rnnkit.benchmark.timing import Ratio

WIDTH, LEFT, RIGHT, TOP, ROW = 720, 140, 20, 34, 26
COLOURS = ("#3b82f6", "#d97706", "#10a37f", "#c05bd6")
INK = "#7d8590"  # as far from white as from the dark page


def chart(labels: Sequence[str], series: Mapping[str, Sequence[Ratio]]) -> str:
    """Draw a row for each label and in it a dot for each of the series; right of 1 rnnkit is the faster."""
    exponents = [math.log2(bound) for ratios in series.values() for ratio in ratios for bound in ratio]
    first, last = math.floor(min(0.0, *exponents)), math.ceil(max(1.0, *exponents))
    scale = (WIDTH - LEFT - RIGHT) / (last - first)

    def place(value: float) -> str:
        return f"{LEFT + (math.log2(value) - first) * scale:.1f}"

    bottom = TOP + ROW * len(labels)
    height = bottom + 40
    marks = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="12" fill="{INK}">'
    ]
    for exponent in range(first, last + 1):
        marks += _tick(place(2.0**exponent), f"{2.0**exponent:g}", bottom, strong=exponent == 0)
    middle = (LEFT + WIDTH - RIGHT) / 2
    marks.append(_text(middle, bottom + 34, "time as a multiple of rnnkit's; right of 1, rnnkit is faster", "middle"))
    for row, label in enumerate(labels):
        marks.append(_text(LEFT - 10, TOP + ROW * (row + 0.5) + 4, label, "end"))
    for k, (name, ratios) in enumerate(series.items()):
        colour = COLOURS[k % len(COLOURS)]
        marks += _legend(k, len(series), name, colour)
        for row, ratio in enumerate(ratios):
            y = TOP + ROW * (row + (k + 1) / (len(series) + 1))
            marks.append(
                f'<path d="M{place(ratio.low)} {y:.1f}H{place(ratio.high)}" stroke="{colour}" stroke-width="2"/>'
            )
            marks.append(f'<circle cx="{place(ratio.median)}" cy="{y:.1f}" r="4" fill="{colour}"/>')
    return "\n".join([*marks, "</svg>"]) + "\n"


def _tick(x: str, label: str, bottom: int, strong: bool) -> list[str]:
    style = 'stroke-width="1.5"' if strong else 'stroke-width="1" stroke-opacity="0.35"'
    return [f'<path d="M{x} {TOP}V{bottom}" stroke="{INK}" {style}/>', _text(x, bottom + 16, label, "middle")]


def _legend(k: int, count: int, name: str, colour: str) -> list[str]:
    x = LEFT + k * (WIDTH - LEFT - RIGHT) / count
    return [f'<circle cx="{x + 4:.1f}" cy="15" r="4" fill="{colour}"/>', _text(f"{x + 14:.1f}", 19, name, "start")]


def _text(x: float | str, y: float, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'
