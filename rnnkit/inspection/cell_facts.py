"""The facts of one cell: sizes, work, and how the new state depends on the old one."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from rnnkit.core.cell import State, starting_state, time_slice
from rnnkit.core.state_domains import random_like
from rnnkit.inspection.coordinates import differentiable
from rnnkit.inspection.equations import equations_of
from rnnkit.inspection.jacobian import step_jacobian
from rnnkit.inspection.result import Values
from rnnkit.inspection.study import Study

NONZERO, SAME = 1e-12, 1e-9
"""What of a Jacobian is not zero, and which Jacobians are the same."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CellFacts:
    """What there is to know of a cell at one size."""

    name: str
    equations: str
    """As its docstring has them; "" where it has none."""
    parameters: dict[str, tuple[int, ...]]
    """Shapes by name."""
    parameter_count: int
    flops: int
    """Floating-point operations of the matrix products of one step of one row, the projection of its input included."""
    states: dict[str, tuple[int, ...]]
    """Shape of a row, by name."""
    blocks: dict[str, str]
    """How each new state tensor depends on each old one, "h from c": "not", "diagonal", "dense" or "sparse"."""
    nonzero: float
    """The share of the step's Jacobian that is not zero."""
    linear: bool
    """Whether the new state is linear in the old one: the Jacobian is the same at any state."""
    fixed: bool
    """Whether the Jacobian is also the same for any input."""


def facts_of(study: Study) -> CellFacts:
    """Return the facts of the one cell of a study."""
    (part,) = study.subject.parts
    cell = part.cell
    xs = study.xs.detach()[:2, :2]
    states = [_random_state(study, 2) for _ in range(2)]
    slices = [time_slice(cell.project(xs), step) for step in range(len(xs))]
    matrices = [step_jacobian(cell, slices[0], state).double() for state in states]
    others = [step_jacobian(cell, p, states[0]).double() for p in slices]
    occupied = torch.stack([one.abs() for one in (*matrices, *others)]).amax((0, 1)) > NONZERO
    parameters = {name: tuple(tensor.shape) for name, tensor in cell.named_parameters()}
    linear = _same(matrices)
    return CellFacts(
        name=study.subject.label,
        equations=equations_of(cell),
        parameters=parameters,
        parameter_count=sum(tensor.numel() for tensor in cell.parameters()),
        flops=_flops(study),
        states={name: tuple(t.shape[1:]) for name, t in zip(cell.state_names, states[0], strict=True)},
        blocks=_blocks(cell.state_names, states[0], occupied.cpu().numpy()),
        nonzero=float(occupied.double().mean()),
        linear=linear,
        fixed=linear and _same(others),
    )


def _random_state(study: Study, rows: int) -> State:
    cell = study.subject.parts[0].cell
    return random_like(cell, starting_state(cell, rows))


def _same(matrices: list[Tensor]) -> bool:
    scale = max(1.0, *(float(one.abs().max()) for one in matrices))
    return all(float((one - other).abs().max()) <= SAME * scale for one, other in pairwise(matrices))


def _flops(study: Study) -> int:
    cell = study.subject.parts[0].cell
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        cell.step(time_slice(cell.project(study.xs[:1, :1]), 0), starting_state(cell, 1))
    return int(counter.get_total_flops())


def _blocks(names: tuple[str, ...], state: State, occupied: Values) -> dict[str, str]:
    """Say of each pair of state tensors how the new one depends on the old one."""
    widths = {
        name: tensor[0].numel() * (2 if tensor.is_complex() else 1)
        for name, tensor in zip(names, state, strict=True)
        if differentiable(tensor)
    }
    ends = np.cumsum([0, *widths.values()])
    places = {name: slice(start, stop) for name, (start, stop) in zip(widths, pairwise(ends), strict=True)}
    return {f"{new} from {old}": _word(occupied[places[new], places[old]]) for new in places for old in places}


def _word(block: Values) -> str:
    """Call the structure of a block by its name."""
    if not block.any():
        return "not"
    if block.shape[0] == block.shape[1] and not (block & ~np.eye(len(block), dtype=bool)).any():
        return "diagonal"
    return "dense" if block.mean() > 0.9 else "sparse"
