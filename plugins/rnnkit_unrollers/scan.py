"""The parallel scan: cells whose new state is linear in the old one, all steps at once.

    h_t = A_t h_{t-1} + b_t                         A_t and b_t of the input alone

Theorem: composition of such steps is associative, (A', b') ∘ (A, b) = (A' A, A' b + b'), so h_1 ... h_T are a prefix
scan, of depth log T. That a cell is of this form is proven from the recorded operations of its step, for every input,
state and weight; A_t is read off as the step's Jacobian, b_t as the step from zero.

Papers: Blelloch, "Prefix Sums and Their Applications", CMU-CS-90-190, 1990; Martin & Cundy, "Parallelizing Linear
Recurrent Neural Nets Over Sequence Length", ICLR 2018.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, State
from rnnkit.errors import UsageError
from rnnkit_compiler.structure.jacobian import StateJacobian, Unproven, jacobian_for, jacobian_of
from rnnkit_compiler.structure.stages import Stage
from rnnkit_unrollers._all_steps import AllSteps, Inputs, in_a_row, in_blocks, parted
from rnnkit_unrollers._recurrence import solved
from rnnkit_unrollers._trajectory import linearised, unrolled
from rnnkit_unrollers.loop import Loop


class Scan(rnnkit.Unroller):
    """Runs cells that are linear in their state by a parallel scan over time; others are refused with the reason.

    Several states may depend on each other in turn, as a gate on the previous input: each is found from the sequences
    of those before it. The gradient is the scan backwards in time.

    Under autocast, the transforms of torch.func and where products of coefficients overflow, the plain loop runs.

    Memory: the states, and what the step keeps for all steps at once. Time: about 2 log T operations on whole
    sequences.
    """

    name = "scan"
    takes_all_cells = False

    def applies(self, cell: Cell) -> bool:
        """Tell whether the cell's new state is proven to be linear in the old one."""
        return not self.refusal(cell)

    def refusal(self, cell: Cell, use: str = "first") -> str:
        """Say which operation is not linear in the state; empty: none is."""
        jacobian = jacobian_of(cell)
        if isinstance(jacobian, Unproven) and jacobian.of_the_call:
            return ""  # a call may be another
        return _sentence(cell, refusal_of(jacobian))

    def __call__(
        self,
        cell: Cell,
        xs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over `xs` (T, B, D); see `rnnkit.Unroller`.

        Raises:
            UsageError: the cell is not proven to be linear in its state; says which operation is not.
        """
        if rnnkit.is_traced():
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        prepared = rnnkit.prepare(cell, xs, state, lengths, reset)
        jacobian = jacobian_for(cell, prepared.xs, prepared.state)
        if isinstance(jacobian, Unproven) and jacobian.of_the_call:
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        if isinstance(jacobian, Unproven) or refusal_of(jacobian):
            raise UsageError(_sentence(cell, refusal_of(jacobian)))
        return unrolled(cell, prepared, jacobian, lambda steps, inputs: scan_states(steps, inputs, jacobian.stages))

    def explain(self, cell: Cell) -> str:
        """Say how the state's Jacobian is built, or why the cell is refused."""
        jacobian = jacobian_of(cell)
        if isinstance(jacobian, Unproven):
            return f"refused: {jacobian.reason}"
        reason = refusal_of(jacobian)
        first = f"refused: {reason}" if reason else "runs as a parallel scan over time"
        return "\n".join([first, *jacobian.lines()])


def _sentence(cell: Cell, reason: str) -> str:
    if not reason:
        return ""
    return f"unroller 'scan': cell {cell.name!r} is not linear in its state: {reason}; take unroller='newton' or 'auto'"


def refusal_of(jacobian: StateJacobian | Unproven) -> str:
    """Say what in a Jacobian is not proven to be linear; empty: all is."""
    if isinstance(jacobian, Unproven):
        return jacobian.reason
    if jacobian.counts:
        return f"{', '.join(jacobian.counts)} holds whole numbers"
    return jacobian.nonlinearity


def scan_states(steps: AllSteps, inputs: Inputs, stages: Sequence[Stage]) -> State:
    """Find the states after all steps (T, B, ...), a stage at a time; step by step where products overflow."""
    size = inputs.parts[0].shape[:1]
    states = [torch.zeros(*size, *tensor.shape, dtype=tensor.dtype, device=tensor.device) for tensor in inputs.state]
    for stage in stages:
        row, a = linearised(steps, inputs, stage, states)
        if a is not None:
            row = in_a_row(solved(a, in_blocks(row, stage)), stage)
        for place, tensor in zip(stage.states, parted(row, [states[k] for k in stage.states]), strict=True):
            states[place] = tensor
    if all(bool(tensor.isfinite().all()) for tensor in states):
        return tuple(states)
    return steps.in_turn(inputs)[1]


@rnnkit.hookimpl
def rnnkit_unrollers() -> list[type[rnnkit.Unroller]]:
    """Offer the scan."""
    return [Scan]
