"""Straight lines through trials: bytes by rows, steps of a window, and steps of a replayed segment.

Memory is linear in the rows, and in the steps of a window; where an unroller replays, also in the steps of a segment
and in the states that it keeps.
"""

from collections.abc import Callable, Hashable
from typing import NamedTuple

import torch

from rnnkit.memory.replaying import Replays, layers_of, replayed_state_bytes, segmented, state_bytes
from rnnkit.memory.trial import Trials

FEW = 16
"""Steps of the shorter trial; the longer has twice as many."""

REPLAYED = ((16, 4), (16, 16), (48, 4))
"""Steps, and the steps of a segment among them, where an unroller replays."""

RECYCLED = 2 << 20
"""Bytes of states from which on fast unrollers use memory again: in shorter trials what they keep would not show."""

LEAST_ROWS = 8
REPEATS = 2
SHORT = 64
"""Steps up to which a trial is repeated."""

LARGE = 4 << 20
"""Bytes of gradients beside which it does not matter what the first trial sets up."""


class Curve(NamedTuple):
    """Bytes that some rows take, by steps of the window and of a replayed segment."""

    base: float
    step: float
    leaf: float = 0

    def at(self, steps: int, leaf: int = 0) -> float:
        """Return the bytes."""
        return self.base + self.step * steps + self.leaf * leaf


class Curves:
    """The curves of a model for each number of rows and unroller, each drawn at the first question."""

    def __init__(self, trials: Trials, gradients: int) -> None:
        self.trials, self.gradients = trials, gradients
        self._known: dict[Hashable, Curve] = {}
        self._known_few: dict[Hashable, int] = {}

    def update(self, rows: int, steps: int, share: float, replays: Replays) -> int:
        """Predict the peak of an update, gradients included; `share` of the steps have a loss that counts."""

        def bytes_at(few: int) -> float:
            curve = self._curve(("update", few, share), lambda: self._of_update(few, share))
            return curve.at(steps, replays.leaf) + replays.kept * few

        return over_rows(rows, bytes_at)

    def still(self, rows: int, steps: int) -> int:
        """Predict the peak of a pass without gradients."""
        if not steps:
            return 0
        return over_rows(rows, lambda few: self._curve(("still", few), lambda: self._of_still(few)).at(steps))

    def _curve(self, key: tuple[object, ...], draw: Callable[[], Curve]) -> Curve:
        key = (*key, *self._kinds())
        if key not in self._known:
            self._known[key] = draw()
        return self._known[key]

    def _of_still(self, rows: int) -> Curve:
        return line(self._few(rows), lambda steps: self._least(steps, lambda: self.trials.still(rows, steps)))

    def _of_update(self, rows: int, share: float) -> Curve:
        def trial(steps: int) -> int:
            judged = max(1, round(share * steps))
            return self._least(steps, lambda: self.trials.update(rows, steps, judged))

        kept = replayed_state_bytes(self.trials.model) * rows
        if not kept:
            return line(self._few(rows), trial)
        measured = []
        for steps, leaf in REPLAYED:
            with segmented(self.trials.model, leaf):
                measured.append(trial(steps) - kept * (steps // leaf - 1))
        (few, short), (_, long), (many, _) = REPLAYED
        by_leaf, by_step = (measured[1] - measured[0]) / (long - short), (measured[2] - measured[0]) / (many - few)
        return Curve(measured[0] - by_leaf * short - by_step * few, by_step, by_leaf)

    def _few(self, rows: int) -> int:
        """Return the steps of the shorter trial: more where they are one operation in the graph, and so fast."""
        key = (rows, *self._kinds())
        if key not in self._known_few:
            self._set_up(rows)
            nodes = set()
            for steps in (2, 4):
                self.trials.update(rows, steps, steps)
                nodes.add(self.trials.nodes)
            fast = len(nodes) == 1 and not replayed_state_bytes(self.trials.model)
            each = max(1, rows * state_bytes(self.trials.model))
            self._known_few[key] = max(FEW, RECYCLED // each) if fast else FEW
        return self._known_few[key]

    def _set_up(self, rows: int) -> None:
        """Let the first calls be over, which compile, and keep what later ones have: no trial is to count that."""
        self.trials.update(rows, 2, 2)
        self.trials.still(rows, 2)

    def _least(self, steps: int, trial: Callable[[], int]) -> int:
        """Repeat a short trial: what is made in the first one and stays, such as threads, is in it too."""
        return min(trial() for _ in range(REPEATS if steps <= SHORT and self.gradients < LARGE else 1))

    def _kinds(self) -> list[type]:
        return [type(layer.unroller) for layer in layers_of(self.trials.model)]


def line(few: int, bytes_at: Callable[[int], float]) -> Curve:
    """Draw a straight line through trials of few steps and of twice as many."""
    least, most = bytes_at(few), bytes_at(2 * few)
    slope = (most - least) / few
    return Curve(least - slope * few, slope)


def over_rows(rows: int, bytes_at: Callable[[int], float]) -> int:
    """Extrapolate from few rows, enough to be shared among the threads as more would be; powers of two, to be few."""
    enough = max(LEAST_ROWS, 2 * torch.get_num_threads())
    few = 1 << (min(rows, enough).bit_length() - 1)
    estimate = bytes_at(few)
    if rows > few:
        estimate += (bytes_at(2 * few) - estimate) / few * (rows - few)
    return max(0, round(estimate))
