"""The work of a pass: floating-point operations of its matrix products."""

import torch
from torch import nn

from rnnkit.benchmark.candidates import ours
from rnnkit.benchmark.workload import Workload, one_pass
from rnnkit.plugin.cell_spec import CellLike
from rnnkit.plugin.resolve import reference_unroller
from rnnkit.support.flop_count import flops_of


def of_cell(cell: CellLike, workload: Workload) -> int:
    """Count what the plain loop does for a cell, whatever its equations are.

    Only two steps and three are run: their difference is what each further step costs.
    """
    build = ours(cell, reference_unroller())
    short, long = (_counted(build(workload.size).to(workload.dtype), workload.cut(steps)) for steps in (2, 3))
    return (long - short) * sum(workload.lengths()) // workload.size.batch


def of_weights(module: nn.Module, workload: Workload) -> int:
    """Count for a layer of torch's, which tells nothing itself: 2 for each weight, row and step; thrice in training."""
    weights = sum(parameter.numel() for parameter in module.parameters() if parameter.ndim == 2)
    return 2 * weights * sum(workload.lengths()) * (3 if workload.training else 1)


def _counted(module: nn.Module, workload: Workload) -> int:
    xs = torch.zeros(workload.size.steps, workload.size.batch, workload.size.input_size, dtype=workload.dtype)
    return flops_of(one_pass(module, xs, workload.training))
