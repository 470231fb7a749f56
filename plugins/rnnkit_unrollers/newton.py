"""Newton's method over time: any cell, all steps at once, by a few linear recurrences.

    F_t(h) = h_t - f(h_{t-1}, x_t) = 0   for all t
    d_t = J_t d_{t-1} + f(h_{t-1}, x_t) - h_t,   h += d          J_t = ∂f/∂h at h_{t-1}

Each iteration takes all steps from guessed states, and solves the linear recurrence of what they are off by with a
parallel scan. The Jacobian's zeros are proven from the recorded operations: a diagonal one costs a product of numbers a
step, a block-diagonal one that of blocks, a dense one that of H x H matrices.

Theorem: after k iterations the first k steps are those of the loop, whatever the guess; so T iterations are always
enough. Near the solution the residual is squared by each.

Papers: Lim, Zhu, Selfridge & Kasim, "Parallelizing Non-linear Sequential Models over the Sequence Length", ICLR 2024
(DEER); Gonzalez, Warrington, Smith & Linderman, "Towards Scalable and Stable Parallelization of Nonlinear RNNs",
NeurIPS 2024 (the T iterations; states that are not finite begin anew).
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, State
from rnnkit.errors import check_whole
from rnnkit_compiler.structure.jacobian import StateJacobian, Unproven, jacobian_for, jacobian_of
from rnnkit_compiler.structure.stages import Stage
from rnnkit_unrollers._all_steps import AllSteps, Inputs, in_a_row, in_blocks, joined, parted
from rnnkit_unrollers._recurrence import applied, shifted, solved
from rnnkit_unrollers._trajectory import linearised, unrolled
from rnnkit_unrollers.loop import Loop

CONVERGED = 16
"""Of the dtype's resolution: the residual, relative to the largest state, at which states solve the equation."""

STALLED = 1000
"""Likewise, relative to 1 where states are smaller: what is good enough where an iteration no longer halves it, for a
step may go through larger numbers than its states."""


@dataclass
class Report:
    """How a call went."""

    iterations: dict[str, int] = field(default_factory=dict)
    """By stage, its state tensors joined by commas."""

    residual: float = 0.0
    """The largest of all stages, relative to the largest state."""

    fell_back: str = ""
    """Why the loop ran; empty: it did not."""

    def __str__(self) -> str:
        if self.fell_back:
            return f"the loop ran: {self.fell_back}"
        taken = ", ".join(f"{count} for {names}" for names, count in self.iterations.items())
        return f"iterations: {taken or 'none'}; residual {self.residual:.1e}"


class Newton(rnnkit.Unroller):
    """Runs a cell by Newton's method over time: the loop's numbers within rounding, all steps at once.

    What the loop computes one step after the other takes a few iterations here, each as dear as a forward pass, its
    Jacobian and a scan. The gradient needs none: by the implicit function theorem it is one scan backwards. Where it
    does not converge, or the step cannot be recorded, the loop runs; the first is said once, as a warning, and
    `report` tells how the last call went.

    Memory: of a dense Jacobian T B H² numbers. Time: best for long sequences on a parallel machine.

    Args:
        iterations: at most; T is always enough in exact arithmetic.
    """

    name = "newton"

    def __init__(self, *, iterations: int = 50) -> None:
        check_whole("unroller 'newton': iterations", iterations)
        self.iterations = iterations
        self.report: Report | None = None
        """How the last call went; None: there was none."""
        self._has_warned = False

    def applies(self, cell: Cell) -> bool:
        """Tell whether the step can be recorded; else the loop runs."""
        return not _obstacle(jacobian_of(cell))

    def __call__(
        self,
        cell: Cell,
        xs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over `xs` (T, B, D); see `rnnkit.Unroller`."""
        if rnnkit.is_traced():
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        prepared = rnnkit.prepare(cell, xs, state, lengths, reset)
        jacobian = jacobian_for(cell, prepared.xs, prepared.state)
        if isinstance(jacobian, Unproven) or _obstacle(jacobian):
            self.report = Report(fell_back=_obstacle(jacobian))
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        search = Search(jacobian, self.iterations)
        result = unrolled(cell, prepared, jacobian, search)
        self.report = search.report
        if search.report.fell_back and not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"unroller 'newton': cell {cell.name!r} {search.report.fell_back}; the loop ran in its place, as it "
                "will whenever this happens; take more iterations, or unroller='auto'",
                stacklevel=2,
            )
        return result

    def explain(self, cell: Cell) -> str:
        """Say how the state's Jacobian is built, and how the last call went."""
        jacobian = jacobian_of(cell)
        if isinstance(jacobian, Unproven) or _obstacle(jacobian):
            return f"the loop runs: {_obstacle(jacobian)}"
        lines = [f"runs by Newton's method over time, at most {self.iterations} iterations", *jacobian.lines()]
        return "\n".join([*lines, *([f"last call: {self.report}"] if self.report else [])])

    def __repr__(self) -> str:
        return self.name if self.iterations == 50 else f"{self.name}(iterations={self.iterations})"


def _obstacle(jacobian: StateJacobian | Unproven) -> str:
    """Say what asks for the loop; empty: nothing."""
    if isinstance(jacobian, Unproven):
        return jacobian.reason
    return f"{', '.join(jacobian.counts)} holds whole numbers" if jacobian.counts else ""


class Search:
    """Finds the states of one call."""

    def __init__(self, jacobian: StateJacobian, iterations: int) -> None:
        self.jacobian, self.iterations, self.report = jacobian, iterations, Report()

    def __call__(self, steps: AllSteps, inputs: Inputs) -> State:
        """Return the states after all steps, each (T, B, ...), without autograd."""
        states = [tensor.expand(len(inputs.parts[0]), *tensor.shape) for tensor in inputs.state]
        for stage in self.jacobian.stages:
            found = self._stage(steps, inputs, stage, states)
            if found is None:
                return steps.in_turn(inputs)[1]
            for place, tensor in zip(stage.states, parted(found, [states[k] for k in stage.states]), strict=True):
                states[place] = tensor
        return tuple(states)

    def _stage(self, steps: AllSteps, inputs: Inputs, stage: Stage, states: Sequence[Tensor]) -> Tensor | None:
        """Return the states of a stage (T, B, N), given those of the stages before; None: they are not found."""
        guess, states = joined([states[k] for k in stage.states]), list(states)
        begun, before = guess, float("inf")
        names = ", ".join(self.jacobian.names[k] for k in stage.states)
        residual = float("inf")
        for count in range(self.iterations + 1):
            for place, tensor in zip(stage.states, parted(guess, [states[k] for k in stage.states]), strict=True):
                states[place] = tensor
            row, a = linearised(steps, inputs, stage, states)
            if a is None:
                return row
            residual = _residual(row, guess)
            if _is_solved(residual, before, row, guess):
                self.report.iterations[names] = count
                self.report.residual = max(self.report.residual, residual)
                return row
            before = residual
            if count < self.iterations:
                off = torch.where(_errors(row, guess) <= _resolution(row), 0, row - guess)  # else rounding would grow
                change = solved(a, in_blocks(off, stage))
                # Not guess + change: where the step before is right, this is the loop's number to the last bit.
                guess = row + in_a_row(applied(a, shifted(change)), stage)
                guess = torch.where(guess.isfinite(), guess, begun)
        self.report.fell_back = f"does not converge in {self.iterations} iterations, its residual is {residual:.1e}"
        return None


def _residual(row: Tensor, guess: Tensor) -> float:
    """Return the largest difference between states and what the steps make of them, relative as in `_errors`."""
    return float(_errors(row, guess).amax())


def _errors(row: Tensor, guess: Tensor) -> Tensor:
    """Return the differences, (T, B, N), relative to the largest number of a step; or of its sequence, or to 1."""
    of_step = row.abs().amax(2, keepdim=True)
    least = of_step.amax(0, keepdim=True).clamp(torch.finfo(row.dtype).tiny, 1)
    return (row - guess).abs() / torch.maximum(of_step, least)


def _resolution(row: Tensor) -> float:
    return CONVERGED * torch.finfo(row.dtype).eps


def _is_solved(residual: float, before: float, row: Tensor, guess: Tensor) -> bool:
    if residual <= _resolution(row):
        return True
    scale = row.abs().amax(2, keepdim=True).clamp_min(1)
    good = bool(((row - guess).abs() <= STALLED * torch.finfo(row.dtype).eps * scale).all())
    return good and residual > before / 2


@rnnkit.hookimpl
def rnnkit_unrollers() -> list[type[rnnkit.Unroller]]:
    """Offer Newton's method."""
    return [Newton]
