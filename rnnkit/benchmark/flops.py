"""The work of a pass: floating-point operations of its matrix products."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rnnkit.benchmark.candidates import ours
from rnnkit.benchmark.workload import Course, one_pass
from rnnkit.plugin.cell_spec import CellLike
from rnnkit.plugin.resolve import reference_unroller


def of_cell(cell: CellLike, course: Course) -> int:
    """Count what the plain loop does for a cell, whatever its equations are.

    Only two steps and three are run: their difference is what each further step costs.
    """
    build = ours(cell, reference_unroller())
    short, long = (_counted(build(course.size).to(course.dtype), course.cut(steps)) for steps in (2, 3))
    return (long - short) * sum(course.lengths()) // course.size.batch


def of_weights(module: nn.Module, course: Course) -> int:
    """Count for a layer of torch's, which tells nothing itself: 2 for each weight, row and step; thrice in training."""
    weights = sum(parameter.numel() for parameter in module.parameters() if parameter.ndim == 2)
    return 2 * weights * sum(course.lengths()) * (3 if course.training else 1)


def _counted(module: nn.Module, course: Course) -> int:
    xs = torch.zeros(course.size.steps, course.size.batch, course.size.input_size, dtype=course.dtype)
    counter = FlopCounterMode(display=False)
    with counter:
        one_pass(module, xs, course.training)()
    return counter.get_total_flops()
