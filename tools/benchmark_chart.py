"""Pictures of ratios, in the colours of the page around them: dots with their intervals, and bars."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from rnnkit.benchmark.timing import Ratio

WIDTH, LEFT, RIGHT, TOP, ROW = 520, 130, 20, 34, 26
SHOWN = 600  # pixels, where there is room
BAR, BAR_ROW = 18, 28
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""As `rnnkit.support.figures` has them."""


def chart(title: str, labels: Sequence[str], series: Mapping[str, Sequence[Ratio]]) -> str:
    """Draw a row for each label and in it a dot for each of the series; right of 1 rnnkit is the faster.

    `title` is what a reader hears who does not see it.
    """
    exponents = [math.log2(bound) for ratios in series.values() for ratio in ratios for bound in ratio]
    first, last = math.floor(min(0.0, *exponents)), math.ceil(max(1.0, *exponents))
    scale = (WIDTH - LEFT - RIGHT) / (last - first)

    def place(value: float) -> str:
        return f"{LEFT + (math.log2(value) - first) * scale:.1f}"

    bottom = TOP + ROW * len(labels)
    height = bottom + 40
    marks = _head(title, height)
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


def bars(title: str, heading: str, foot: Sequence[str], values: Mapping[str, float]) -> str:
    """Draw a bar for each value, from zero, with its figure at its end, and a line at 1.

    Args:
        title: what a reader hears who does not see it.
        heading: above the bars.
        foot: lines below them.
        values: by their labels.
    """
    scale = (WIDTH - LEFT - 60) / max(values.values())
    bottom = TOP + BAR_ROW * len(values)
    marks = _head(title, bottom + 18 * len(foot))
    marks.append(_text(0, 14, heading, "start", 'font-weight="bold"'))
    for row, (label, value) in enumerate(values.items()):
        y = TOP + BAR_ROW * row
        colour = COLOURS[0] if value == 1 else "currentColor"
        opacity = "1" if value == 1 else "0.35"
        marks.append(_text(LEFT - 10, y + 13, label, "end"))
        marks.append(
            f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="{BAR}" fill="{colour}" '
            f'fill-opacity="{opacity}"/>'
        )
        marks.append(_text(f"{LEFT + value * scale + 8:.1f}", y + 13, f"{value:.2f}", "start"))
    one = f"{LEFT + scale:.1f}"
    marks.append(f'<path d="M{one} {TOP - 6}V{bottom - 6}" stroke="currentColor" stroke-dasharray="3 3"/>')
    marks += [_text(0, bottom + 8 + 18 * line, words, "start") for line, words in enumerate(foot)]
    return "\n".join([*marks, "</svg>"]) + "\n"


def _head(title: str, height: float) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="drawn" role="img" viewBox="0 0 {WIDTH} {height:g}" '
        f'style="max-width:{SHOWN}px" font-family="sans-serif" font-size="13" fill="currentColor">',
        f"<title>{escape(title)}</title>",
    ]


def _tick(x: str, label: str, bottom: int, strong: bool) -> list[str]:
    style = 'stroke-width="1.5"' if strong else 'stroke-width="1" stroke-opacity="0.25"'
    return [f'<path d="M{x} {TOP}V{bottom}" stroke="currentColor" {style}/>', _text(x, bottom + 16, label, "middle")]


def _legend(k: int, count: int, name: str, colour: str) -> list[str]:
    x = LEFT + k * (WIDTH - LEFT - RIGHT) / count
    return [f'<circle cx="{x + 4:.1f}" cy="15" r="4" fill="{colour}"/>', _text(f"{x + 14:.1f}", 19, name, "start")]


def _text(x: float | str, y: float, words: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y:g}" text-anchor="{anchor}"{more and " " + more}>{escape(words)}</text>'
