"""The facts of one cell: sizes, work, and how the new state depends on the old one."""

import math
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import torch
from torch import Tensor

from rnnkit.core.cell import State, starting_state, time_slice
from rnnkit.core.state_domains import random_like
from rnnkit.inspection.coordinates import differentiable
from rnnkit.inspection.equations import equations_of
from rnnkit.inspection.jacobian import step_jacobian
from rnnkit.inspection.result import Values
from rnnkit.inspection.study import Study
from rnnkit.inspection.wording import percent
from rnnkit.support.flop_count import flops_of

NONZERO, SAME = 1e-12, 1e-9
"""What of a Jacobian is not zero, and which Jacobians are the same."""

WALK = 3
"""Steps whose states are looked at beside those that are drawn."""


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
    """How each new state tensor depends on each old one, "h from c": "not", "diagonal", "dense" and so on."""
    nonzero: float
    """The share of the step's Jacobian that is not zero; NaN where it is not finite."""
    linear: bool
    """Whether the new state is linear in the old one: the Jacobian is the same at any state."""
    fixed: bool
    """Whether the Jacobian is also the same for any input."""

    @property
    def filled(self) -> str:
        """How much of the Jacobian is not zero, in words."""
        return "not finite" if math.isnan(self.nonzero) else percent(self.nonzero)


def facts_of(study: Study) -> CellFacts:
    """Return the facts of the one cell of a study."""
    (part,) = study.subject.parts
    cell = part.cell
    xs = study.xs.detach()[:2, :2]
    states = [_random_state(study, 2) for _ in range(2)]
    slices = [time_slice(cell.project(xs), step) for step in range(len(xs))]
    pairs = [states, *([way, _drawn_anew(way)] for way in _states_on_the_way(study))]
    matrices = [[step_jacobian(cell, slices[0], state).double() for state in pair] for pair in pairs]
    others = [step_jacobian(cell, p, states[0]).double() for p in slices]
    largest = torch.stack([one.abs() for one in (*chain(*matrices), *others)]).amax((0, 1)).cpu().numpy()
    parameters = {name: tuple(tensor.shape) for name, tensor in cell.named_parameters()}
    linear = all(map(_same, matrices))
    return CellFacts(
        name=study.subject.label,
        equations=equations_of(cell),
        parameters=parameters,
        parameter_count=sum(tensor.numel() for tensor in cell.parameters()),
        flops=_flops(study),
        states={name: tuple(t.shape[1:]) for name, t in zip(cell.state_names, states[0], strict=True)},
        blocks=_blocks(cell.state_names, states[0], largest),
        nonzero=float((largest > NONZERO).mean()) if np.isfinite(largest).all() else math.nan,
        linear=linear,
        fixed=linear and _same([*others, *(pair[0] for pair in matrices)]),
    )


def _random_state(study: Study, rows: int) -> State:
    cell = study.subject.parts[0].cell
    return random_like(cell, starting_state(cell, rows))


def _states_on_the_way(study: Study) -> list[State]:
    """Return the first states that the inputs lead to: a counter among them goes on, which no draw would change."""
    cell = study.subject.parts[0].cell
    xs = study.xs.detach()[:WALK, :2]
    state = starting_state(cell, xs.shape[1], xs)
    states = []
    with torch.no_grad():
        for step in range(len(xs)):
            _, state = cell.step(time_slice(cell.project(xs), step), state)
            states.append(state)
    return states


def _drawn_anew(state: State) -> State:
    """Return a state with other numbers, and the same counters."""
    return tuple(t + torch.randn_like(t) if differentiable(t) else t for t in state)


def _same(matrices: list[Tensor]) -> bool:
    scale = max(1.0, *(float(one.abs().max()) for one in matrices))
    return all(float((one - other).abs().max()) <= SAME * scale for one, other in pairwise(matrices))


def _flops(study: Study) -> int:
    cell = study.subject.parts[0].cell
    with torch.no_grad():
        return flops_of(lambda: cell.step(time_slice(cell.project(study.xs[:1, :1]), 0), starting_state(cell, 1)))


def _blocks(names: tuple[str, ...], state: State, largest: Values) -> dict[str, str]:
    """Say of each pair of state tensors how the new one depends on the old one."""
    widths = {
        name: tensor[0].numel() * (2 if tensor.is_complex() else 1)
        for name, tensor in zip(names, state, strict=True)
        if differentiable(tensor)
    }
    ends = np.cumsum([0, *widths.values()])
    places = {name: slice(start, stop) for name, (start, stop) in zip(widths, pairwise(ends), strict=True)}
    return {f"{new} from {old}": _word(largest[places[new], places[old]]) for new in places for old in places}


def _word(largest: Values) -> str:
    """Call the structure of a block by its name."""
    if not np.isfinite(largest).all():
        return "not finite"
    block = largest > NONZERO
    if not block.any():
        return "not"
    if block.shape[0] == block.shape[1] and not (block & ~np.eye(len(block), dtype=bool)).any():
        return "diagonal"
    return "dense" if block.mean() > 0.9 else "sparse"
