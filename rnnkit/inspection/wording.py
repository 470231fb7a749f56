"""Numbers and lists as sentences have them."""

import math
from collections.abc import Iterable


def number(value: float) -> str:
    """Write a number in about three digits: 0.0312, 12.3, 1.2e-07."""
    if math.isnan(value):
        return "unknown"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        return f"{value:.1e}"
    return f"{value:.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def percent(share: float) -> str:
    """Write a share: 12 %, 0.3 %, < 0.1 %."""
    if not math.isfinite(share):
        return "unknown"
    hundredths = 100 * share
    if 0 < hundredths < 0.05:
        return "< 0.1 %"
    return f"{hundredths:.0f} %" if abs(hundredths) >= 9.95 else f"{hundredths:.1f}".removesuffix(".0") + " %"


def count(size: int, noun: str) -> str:
    """Write how many there are: 1 step, 3 steps."""
    return f"{size} {noun}{'s' * (size != 1)}"


def listed(words: Iterable[str], most: int = 8) -> str:
    """Join words by commas; of many, the first ones and how many more there are."""
    words = list(words)
    if len(words) <= most:
        return ", ".join(words)
    return f"{', '.join(words[:most])} and {len(words) - most} more"
