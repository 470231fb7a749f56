"""The projection: whether it may be recorded with the step, as what it makes of one row of one step."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.recording import NotRecordable

STEPS, ROWS = 3, 2


def of_one_step(cell: rnnkit.Cell) -> Callable[[Sequence[Tensor]], rnnkit.Projected]:
    """Give the function from the input of one step, (B, D) and alone in a list, to what `step` takes.

    Raises:
        NotRecordable: now or later, the projection does not go step by step.
    """

    def project(inputs: Sequence[Tensor]) -> rnnkit.Projected:
        try:
            return cell.project(inputs[0])
        except Exception as error:
            raise NotRecordable("project() takes sequences only") from error

    return project


def check_projection(cell: rnnkit.Cell, xs: Tensor) -> None:
    """Raise NotRecordable unless a row of a step by itself is projected to what it is in a sequence.

    Args:
        cell: the cell.
        xs: like its input; only the dtype and device are read.
    """
    step = of_one_step(cell)
    size = STEPS * ROWS * cell.input_size
    example = torch.linspace(-1, 1, size, dtype=xs.dtype, device=xs.device).sin().view(STEPS, ROWS, -1)
    with torch.no_grad():
        together = rnnkit.parts_of(cell.project(example))
        for t in range(STEPS):
            alone = rnnkit.parts_of(step([example[t]]))
            if len(alone) != len(together) or not all(map(_same, alone, [part[t] for part in together])):
                raise NotRecordable("project() mixes steps")


def _same(one: Tensor, other: Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    tolerance = 1e3 * torch.finfo(one.dtype).eps if one.is_floating_point() else 0.0
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
