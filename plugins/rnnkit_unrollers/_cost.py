"""The cost model of torch's kernels on a GPU: what a call with rows that start again in mid-sequence takes, in pieces.

    longest piece x max(flops of a step / rate, a step at least) + bytes copied / bandwidth + a wait for the device

The figures are those of one GPU by its data sheet and by what others have measured of cuDNN; none was measured here.
"""

from torch import Tensor

from rnnkit_unrollers._kernels import GATES, Subject
from rnnkit_unrollers._pieces import Cuts

RATES = {2: 250_000.0, 4: 25_000.0, 8: 12_500.0}
"""Floating-point operations a nanosecond of the whole device, by the bytes of a number."""

STEP = 2000.0
"""Nanoseconds that a step takes at least."""

BANDWIDTH = 1000.0
"""Bytes a nanosecond that are read and written elsewhere."""

WAIT = 100_000.0
"""Nanoseconds until the starts are known on the host, and where each piece lies is known on the device."""


def nanoseconds(subject: Subject, xs: Tensor, cuts: Cuts) -> float:
    """Return what the forward pass takes over the pieces of xs (T, B, D)."""
    cell, size = subject.cell, xs.element_size()
    steps, whole = cuts.longest, xs.shape[0] * xs.shape[1]
    flops = 2 * whole / steps * GATES[subject.kind] * cell.hidden_size * cell.output_size
    copied = (whole + steps * len(cuts.rows)) * (xs.shape[2] + cell.output_size) * size
    return steps * max(flops / RATES[size], STEP) + copied / BANDWIDTH + WAIT
