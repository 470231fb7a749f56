"""The states of all steps as one function of what they depend on, however they were found.

They solve h_t = f(h_{t-1}, x_t) for all t. So their derivative is known without a look at how they were found, by the
implicit function theorem: with J_t the step's Jacobian by the state and g_t what comes back from outside, the adjoint

    l_t = g_t + J_{t+1}^T l_{t+1}

is a linear recurrence backwards in time, and l_t goes through the step itself into inputs and parameters, all steps at
once. It is made of operations that are differentiable again, so derivatives of every order follow.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, Masks, State
from rnnkit_compiler.structure.jacobian import StateJacobian
from rnnkit_compiler.structure.stages import Stage
from rnnkit_unrollers._all_steps import (
    AllSteps,
    Inputs,
    coefficients,
    in_a_row,
    in_blocks,
    joined,
    parted,
    states_before,
)
from rnnkit_unrollers._recurrence import reversed_in_time, solved
from rnnkit_unrollers._replay import Gradients, gradient
from rnnkit_unrollers._weights import for_hooks, weights_of

Solver: TypeAlias = Callable[[AllSteps, Inputs], State]
"""Finds the states after all steps, each (T, B, ...), without autograd."""


class Trajectory(torch.autograd.Function):
    """The states after all steps, found by a solver and differentiated by the implicit function theorem."""

    @staticmethod
    def forward(
        ctx: Any, steps: AllSteps, stages: Sequence[Stage], solver: Solver, form: Inputs, *tensors: Tensor
    ) -> State:
        """Return the states (T, B, ...); `tensors` are those of `form`, in order."""
        inputs = form.like([tensor.detach() for tensor in tensors])
        ctx.steps, ctx.stages, ctx.form = steps.holding(inputs), stages, form
        states = solver(ctx.steps, inputs)
        ctx.save_for_backward(*tensors, *states)
        ctx.snapshot = rnnkit.Snapshot(tensors)
        ctx.set_materialize_grads(False)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run the adjoint back through time, all steps at once."""
        count, again = len(ctx.form.tensors), torch.is_grad_enabled()
        saved = ctx.saved_tensors
        tensors, states = ctx.snapshot.of(saved[:count]), saved[count:]
        watched = bool(rnnkit.watched_by(*gradients))
        with torch.enable_grad():
            # By views, so that each has the gradient of its own uses alone; what is found is not traced through them.
            viewed = again or watched  # a transform allows no new leaves
            own = [t.view_as(t) if viewed else t.detach().requires_grad_(t.requires_grad) for t in tensors]
            inputs = ctx.form.like(own)
            steps = ctx.steps.holding(inputs)
            found = None
            if not watched:
                after = states if again else [tensor.detach() for tensor in states]
                found = Adjoint(steps, ctx.stages, inputs, after, again).gradients(gradients)
            if found is None:
                found = gradient(steps.in_turn(inputs)[1], gradients, own, create_graph=again)
        return None, None, None, None, *for_hooks(found, saved[:count])


class Adjoint:
    """The backward pass of one call."""

    def __init__(
        self, steps: AllSteps, stages: Sequence[Stage], inputs: Inputs, after: Sequence[Tensor], again: bool
    ) -> None:
        self.stages, self.inputs, self.again = stages, inputs, again
        before = states_before(inputs.state, after)
        self.before = [b if again and b.requires_grad else b.detach().requires_grad_() for b in before]
        _, self.new = steps(inputs, tuple(self.before))

    def gradients(self, gradients: Sequence[Tensor | None]) -> Gradients | None:
        """Return the gradient of each of the inputs' tensors; None: the adjoint is not finite."""
        coming = [torch.zeros_like(n) if g is None else g for g, n in zip(gradients, self.new, strict=True)]
        for stage in reversed(self.stages):
            adjoint = self._adjoint(stage, coming)
            for place, tensor in zip(stage.states, adjoint, strict=True):
                coming[place] = tensor
            self._hand_back(stage, coming)
        if not all(bool(tensor.isfinite().all()) for tensor in coming):
            return None
        inputs = self.inputs
        wanted = [*inputs.parts, *inputs.initial, *inputs.weights]
        found = gradient(self.new, coming, [*wanted, *self.before], create_graph=self.again)
        ends, begins = len(inputs.parts), len(wanted)
        state = [None if g is None else g[0] for g in found[begins:]]
        return [*found[:ends], *state, *found[ends:begins]]

    def _adjoint(self, stage: Stage, coming: Sequence[Tensor]) -> State:
        """Return the adjoint of a stage's states, given what comes back to them from all others."""
        own = [coming[k] for k in stage.states]
        if not stage.recurs or len(own[0]) == 1:
            return tuple(own)
        new, before = ([tensors[k] for k in stage.states] for tensors in (self.new, self.before))
        a = coefficients(stage, new, before, self.again)
        back = solved(*reversed_in_time(a, in_blocks(joined(own), stage))).flip(0)
        return parted(in_a_row(back, stage), own)

    def _hand_back(self, stage: Stage, coming: list[Tensor]) -> None:
        """Add what a stage's states hand to those of the stages before."""
        earlier = [k for other in self.stages[: self.stages.index(stage)] for k in other.states]
        if not earlier:
            return
        found = gradient(
            [self.new[k] for k in stage.states],
            [coming[k] for k in stage.states],
            [self.before[k] for k in earlier],
            create_graph=self.again,
            retain_graph=True,
        )
        for k, given in zip(earlier, found, strict=True):
            if given is not None:
                coming[k] = coming[k] + torch.cat([given[1:], torch.zeros_like(given[:1])])


def linearised(steps: AllSteps, inputs: Inputs, stage: Stage, states: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Take all steps from given states, and the Jacobian of a stage's states there.

    Args:
        steps: of the cell.
        inputs: of the call, without gradients.
        stage: whose states are looked at.
        states: of all state tensors after all steps (T, B, ...), right or guessed.

    Returns:
        The stage's new states (T, B, N), and the Jacobian as `coefficients` has it; None where there is none.
    """
    before = list(states_before(inputs.state, states))
    with torch.enable_grad():
        for k in stage.states:
            before[k] = before[k].requires_grad_()
        _, new = steps(inputs, tuple(before))
        own = [new[k] for k in stage.states]
        a = coefficients(stage, own, [before[k] for k in stage.states], False) if stage.recurs else None
    return joined(own).detach(), a


def unrolled(
    cell: Cell, prepared: tuple[Tensor, State, Masks], jacobian: StateJacobian, solver: Solver
) -> tuple[Tensor, State]:
    """Unroll a cell by finding the states of all steps at once.

    A row that has ended is carried on, on input that is zero: what it would become is read by nobody.

    Args:
        cell: whose step is recorded.
        prepared: the call, as `rnnkit.prepare` has it.
        jacobian: what is proven of the step.
        solver: finds the states.

    Returns:
        As an unroller does.
    """
    xs, state, masks = prepared
    form = cell.project(xs)
    weights, places = weights_of(cell)
    steps = AllSteps(cell, form, masks.restart, places)
    inputs = Inputs(rnnkit.parts_of(form), state, masks.initial, tuple(weights))
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs.tensors):
        after: State = Trajectory.apply(steps, jacobian.stages, solver, inputs, *inputs.tensors)  # type: ignore[no-untyped-call]
    else:
        after = _found_without_graph(steps, inputs, solver)
    if jacobian.output is None:
        ys, _ = steps(inputs, states_before(state, after))
    else:
        ys = after[jacobian.output].clone()
    if masks.live is None:
        return ys, tuple(tensor[-1].clone() for tensor in after)
    ys = ys.masked_fill(~masks.live.unsqueeze(-1), 0)
    ends, rows = masks.live.sum(0) - 1, torch.arange(xs.shape[1], device=xs.device)
    return ys, tuple(tensor[ends, rows] for tensor in after)


def _found_without_graph(steps: AllSteps, inputs: Inputs, solver: Solver) -> State:
    """Find the states where nobody asks for a gradient; outside of inference mode, in which no step has a Jacobian."""
    with torch.inference_mode(False), torch.no_grad():
        usable = inputs.like([_usable(tensor) for tensor in inputs.tensors])
        restart = None if steps.restart is None else _usable(steps.restart)
        return solver(replace(steps.holding(usable), restart=restart), usable)


def _usable(tensor: Tensor) -> Tensor:
    """Return a tensor that autograd may save: one that was made in inference mode is copied."""
    return tensor.clone() if tensor.is_inference() else tensor.detach()
