"""Made gestures of a pen: circles drawn either way round, eights and waves, of all sizes, speeds and places."""

import numpy as np
from numpy.typing import NDArray

from rnnkit_tasks.labelled.example import Example, Examples

COUNTS = {"clockwise": 240, "counterclockwise": 240, "eight": 160, "wave": 80}
"""Sequences of each label."""

SHORTEST, LONGEST = 15, 45
"""Steps."""

TREMOR = 0.12
"""Deviation of what the hand adds to each step, where the radius is about 1."""


def gestures() -> Examples:
    """Return 720 sequences of x and y, the same at every call."""
    draw = np.random.default_rng(0)
    labels = [label for label, count in COUNTS.items() for _ in range(count)]
    items = [
        Example(_drawn(labels[place], draw), [labels[place]], "") for place in draw.permutation(len(labels)).tolist()
    ]
    return Examples("the default sequences", items, ["x", "y"], {}, ["720 made gestures of a pen"])


def _drawn(label: str, draw: np.random.Generator) -> NDArray[np.float64]:
    """Draw a gesture (T, 2)."""
    steps = int(draw.integers(SHORTEST, LONGEST + 1))
    turns = draw.uniform(0.6, 1.1)
    angle = 2 * np.pi * (draw.uniform() + turns * np.arange(steps) / steps)
    if label == "clockwise":
        angle = -angle
    x, y = np.cos(angle), np.sin(angle)
    if label == "eight":
        y = np.sin(2 * angle) / 1.4
    elif label == "wave":
        x, y = np.linspace(-1, 1, steps), np.sin(2 * angle)
    size = draw.uniform(0.5, 1.5, size=2)
    place = draw.normal(scale=0.5, size=2)
    return np.stack([x, y], axis=1) * size + place + draw.normal(scale=TREMOR, size=(steps, 2))
