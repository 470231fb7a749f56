"""The small picture of a cell's gradient flow on its page: what is left of the gradient against steps back."""

import math
from collections.abc import Iterator, Sequence
from html import escape

from rnnkit.support.figures import COLOURS

WIDTH, HEIGHT = 340, 172
LEFT, RIGHT, TOP, BOTTOM = 58, 332, 8, 128
"""Of the axes: their edges in the picture."""

HIGHEST, LOWEST, DECADES = 3, -12, 3
"""Powers of ten at the ends of the upright axis, the same on every page, and how many lie between two of its marks."""

BELOW = LOWEST - 30
"""The power of ten that stands for zero: where a line to it leaves the picture, it falls all but upright."""

STEPS = 10
"""Steps between two marks."""


def flow_picture(flow: Sequence[float], alt: str) -> str:
    """Return an SVG of a gradient's norm, as a share of that at the last step, on a logarithmic axis.

    Args:
        flow: the norm at the last step, one before, two before and so on.
        alt: what it shows, for those who do not see it.
    """
    last = len(flow) - 1
    shares = [value / flow[0] if flow[0] else 0.0 for value in flow]
    points = [(_x(k, last), _y(math.log10(share) if share else BELOW)) for k, share in enumerate(shares)]
    frame = f'width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"'
    return "".join(
        [
            f'<svg class="drawn" role="img" aria-label="{escape(alt)}" viewBox="0 0 {WIDTH} {HEIGHT}" ',
            f'style="max-width:{WIDTH}px" font-size="12" fill="currentColor">',
            *_shares(),
            *_steps(last),
            f'<path d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}" fill="none" stroke="currentColor"/>',
            f'<svg x="{LEFT}" y="{TOP}" {frame} viewBox="{LEFT} {TOP} {RIGHT - LEFT} {BOTTOM - TOP}">',  # it clips
            f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" ',
            f'stroke="{COLOURS[0]}" stroke-width="2" stroke-linejoin="round"/></svg></svg>',
        ]
    )


def _x(step: float, last: int) -> float:
    return LEFT + step / last * (RIGHT - LEFT)


def _y(power: float) -> float:
    return TOP + (HIGHEST - power) / (HIGHEST - LOWEST) * (BOTTOM - TOP)


def _shares() -> Iterator[str]:
    """Draw the upright axis: a line at each mark, that of 1 the strongest."""
    for power in range(LOWEST, HIGHEST + 1, DECADES):
        y = f"{_y(power):.1f}"
        opacity = 0.2 if power else 0.6
        yield f'<path d="M{LEFT} {y}H{RIGHT}" stroke="currentColor" stroke-opacity="{opacity}"/>'
        label = f'10<tspan dy="-4" font-size="9">{str(power).replace("-", "−")}</tspan>' if power else "1"
        yield f'<text x="{LEFT - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{label}</text>'
    middle = (TOP + BOTTOM) / 2
    yield f'<text transform="translate(13 {middle:g})rotate(-90)" text-anchor="middle">gradient left</text>'


def _steps(last: int) -> Iterator[str]:
    """Draw the level axis."""
    for step in range(0, last + 1, STEPS):
        x = f"{_x(step, last):.1f}"
        yield f'<path d="M{x} {BOTTOM}v4" stroke="currentColor"/>'
        yield f'<text x="{x}" y="{BOTTOM + 17}" text-anchor="middle">{step}</text>'
    yield f'<text x="{(LEFT + RIGHT) / 2:g}" y="{BOTTOM + 35}" text-anchor="middle">steps back</text>'
