"""Where to put checkpoints in time: dynamic programming after Gruslys et al. 2016.

Time is cut into blocks of `leaf` steps. Going back, one block at a time is replayed with its graph; the states
from which replays start are checkpoints, of which `slots` are kept at once. The fewest block runs C(n, s) that
take n blocks back with s free slots, their starting state known:

    C(1, s) = 1
    C(n, 0) = n (n + 1) / 2                                   each block runs again from the start
    C(n, s) = min over 0 < y < n of  y + C(n - y, s - 1) + C(y, s)

that is: run y blocks, keep the state, take the right part back, then the left.

Paper: Gruslys, Munos, Danihelka, Lanctot & Graves, "Memory-Efficient Backpropagation Through Time", NIPS 2016,
section 3.1 (their D(t, m); here the replayed unit is a block of several steps).
"""

from functools import lru_cache
from math import ceil, isqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rnnkit.errors import ResourceError

# More blocks or slots than these cost table time and save less than 1 % of the runs: a longer leaf does as well.
MOST_BLOCKS = 1024
MOST_SLOTS = 64


class Schedule(NamedTuple):
    """How a sequence of `time` steps is taken back."""

    time: int
    leaf: int
    """Steps replayed at once."""
    slots: int
    """States kept at once, the initial one not counted."""

    @property
    def blocks(self) -> int:
        """Number of blocks, the last one perhaps shorter."""
        return ceil(self.time / self.leaf)

    def split(self, blocks: int, free: int) -> int:
        """Return how many blocks to run before the next checkpoint, with `free` slots left."""
        if free == 0:
            return blocks - 1
        if free >= blocks - 1:
            return 1
        return int(_table(_round_up(blocks), min(free, MOST_SLOTS))[1][min(free, MOST_SLOTS), blocks])

    def runs(self) -> int:
        """Return the number of steps run forward in all, the first pass (but for its last block) included."""
        return self.leaf * _cost(self.blocks, self.slots)

    def descend(self, start: int, stop: int, kept: int) -> list[int]:
        """Return the blocks, left to right from `start`, whose states to keep on the way to the last one, `stop` - 1.

        `start` is the block whose state is at hand, `stop` the end of what is still to be taken back and `kept`
        the number of slots in use. Where none is left, the last one's state is kept all the same: it is about to be
        replayed, and the budget has room for it.
        """
        keep = []
        while stop - start > 1:
            start += self.split(stop - start, self.slots - kept)
            keep.append(start)
            kept += 1
        return keep


def sqrt_schedule(time: int, segment: int | None = None) -> Schedule:
    """Cut into segments of about √T steps (or `segment`) and keep every boundary: one extra run in all."""
    leaf = min(time, segment) if segment else max(1, ceil(time / max(1, isqrt(time))))
    return Schedule(time, leaf, ceil(time / leaf) - 1)


def budget_schedule(time: int, budget: int, state_bytes: int, step_bytes: int) -> Schedule:
    """Find the schedule with the fewest runs whose kept states and one replayed block fit in `budget` bytes.

    Args:
        time: T.
        budget: bytes.
        state_bytes: bytes of one state.
        step_bytes: bytes that autograd saves in one step.

    Raises:
        ResourceError: not even one step's graph fits; the message gives the least budget that does.
    """
    least = step_bytes + state_bytes
    if budget < least:
        raise ResourceError(
            f"unroller 'checkpoint': budget={budget} bytes is too small; one step's graph and one state of this "
            f"cell and batch take {least} bytes"
        )
    candidates = []
    for leaf in range(max(1, ceil(time / MOST_BLOCKS)), time + 1):
        blocks = ceil(time / leaf)
        slots = (budget - leaf * step_bytes) // state_bytes - 1  # one is the state being replayed
        if slots < 0:
            break
        candidates.append(Schedule(time, leaf, min(slots, blocks - 1)))
    if not candidates:  # a long sequence under a tiny budget: single steps, few slots
        return Schedule(time, 1, max(0, (budget - step_bytes) // state_bytes - 1))
    return min(candidates, key=Schedule.runs)


def _cost(blocks: int, slots: int) -> int:
    if slots >= blocks - 1:
        return 2 * blocks - 1
    if slots == 0:
        return blocks * (blocks + 1) // 2
    return int(_table(_round_up(blocks), min(slots, MOST_SLOTS))[0][min(slots, MOST_SLOTS), blocks])


def _round_up(blocks: int) -> int:
    """Round to a power of two, so that a few tables serve every length."""
    return 1 << (blocks - 1).bit_length()


@lru_cache(maxsize=16)
def _table(most_blocks: int, most_slots: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Fill C(n, s) and the best first y, for all n up to `most_blocks` and s up to `most_slots`."""
    n = np.arange(most_blocks + 1, dtype=np.int64)
    cost = np.empty((most_slots + 1, most_blocks + 1), dtype=np.int64)
    split = np.zeros_like(cost)
    cost[0] = n * (n + 1) // 2
    cost[:, 0], cost[:, 1] = 0, 1
    for s in range(1, most_slots + 1):
        for blocks in range(2, most_blocks + 1):
            total = n[1:blocks] + cost[s - 1, blocks - 1 : 0 : -1] + cost[s, 1:blocks]
            best = int(total.argmin())
            cost[s, blocks], split[s, blocks] = total[best], best + 1
    return cost, split
