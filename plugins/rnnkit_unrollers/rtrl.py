"""Real-time recurrent learning: exact gradients by a run forward, without a history.

    S_t = J_t S_{t-1} + ∂f/∂θ                       S = ∂h/∂θ,  J = ∂f/∂h
    dL/dθ = Σ_t dL/dy_t (∂y/∂h S_{t-1} + ∂y/∂θ)

Theorem: this is the chain rule read from left to right, so the sum is that of backpropagation through time, term by
term. What is held does not grow with T. Of a dense Jacobian S has H numbers for each parameter, and a step takes H
times as many multiplications as one of backpropagation; where the recurrence goes element by element and each number of
a parameter acts on one unit, both proven from the recorded operations, S has one, and a step takes as many.

The rule may be read in any order: steps are joined to stretches, whose own derivatives are gathered from their end, as
products of matrices, and S goes from stretch to stretch.

Papers: Williams & Zipser, "A Learning Algorithm for Continually Running Fully Recurrent Neural Networks", Neural
Computation 1, 1989; Zucchet et al., "Online Learning of Long-Range Dependencies", NeurIPS 2023 (the one number).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, Masks, State
from rnnkit.errors import UsageError, check_whole
from rnnkit_compiler.structure.jacobian import StateJacobian, Unproven, acting_on, jacobian_for, jacobian_of
from rnnkit_compiler.structure.owners import SEVERAL
from rnnkit_compiler.trace.example import example, on_trial
from rnnkit_unrollers._forward_call import Call
from rnnkit_unrollers._forward_mode import ForwardMode
from rnnkit_unrollers._influence import Layout
from rnnkit_unrollers._rerun import Rerun
from rnnkit_unrollers._surroundings import devices_of
from rnnkit_unrollers._weights import weights_of
from rnnkit_unrollers.loop import Loop


class Rtrl(rnnkit.Unroller):
    """Computes gradients forward in time: exact, in memory that does not grow with the sequence.

    The sequence is run again, forward, once the outputs' gradients are known. Parameters and first states need no pass
    back but within a stretch; neither does the input, but its gradient takes the influence of every past state, T times
    the room: ask for it in short sequences only, as a check needs it and the first layer of a model does not.

    Second derivatives, transforms of torch.func, autocast and cells that draw in `project` or cannot be recorded are
    left to the plain loop; so is the way back of a step that fails with a batch of derivatives, which is said once.

    Memory: input and output, the graph of a stretch, and the influence: B P numbers, for P of the parameters, of a
    recurrence that goes element by element, B H P of others. Time: about the loop's of the former; see `explain`.

    Args:
        steps: of a stretch, at most; 1: none is ever gone back over. None: 64, and at most half of a sequence.
    """

    name = "rtrl"

    def __init__(self, *, steps: int | None = None) -> None:
        if steps is not None:
            check_whole("unroller 'rtrl': steps", steps)
        self.steps = steps

    @classmethod
    def variants(cls) -> list[rnnkit.Unroller]:
        """Return one that goes by stretches, and one that goes step by step."""
        return [cls(), cls(steps=1)]

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
        if rnnkit.is_traced() or rnnkit.transformed_by():
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        prepared, before, masks = rnnkit.prepare(cell, xs, state, lengths, reset)
        jacobian = jacobian_for(cell, prepared, before)
        if isinstance(jacobian, Unproven) or obstacle(cell, prepared, jacobian):
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        tensors = (prepared, *before, *masks.initial, *weights_of(cell)[0])
        if not torch.is_grad_enabled() or not any(tensor.requires_grad for tensor in tensors):
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        call = _call(cell, prepared, before, masks, jacobian, self.steps)
        ys, *last = ForwardMode.apply(call, *tensors)  # type: ignore[no-untyped-call]
        return ys, tuple(last)

    def __repr__(self) -> str:
        return self.name if self.steps is None else f"{self.name}(steps={self.steps})"

    def explain(self, cell: Cell) -> str:
        """Say which influence is carried, what a step costs, and what goes to the loop."""
        xs, state = example(cell)
        xs = torch.linspace(-1, 1, 3 * xs.numel(), dtype=xs.dtype, device=xs.device).sin().view(3, *xs.shape[1:])
        jacobian = jacobian_of(cell)
        reason = jacobian.reason if isinstance(jacobian, Unproven) else obstacle(cell, xs, jacobian)
        if isinstance(jacobian, Unproven) or reason:
            return f"the loop runs: {reason}"
        layout, _ = layout_of(cell, xs, state, jacobian)
        numbers = sum(parameter.numel() for parameter in cell.parameters())
        held = f"{layout.height * numbers:,} numbers a row, {layout.height} for each of {numbers:,} of the parameters"
        times = "as many" if layout.elementwise else f"{layout.width} times as many"
        kind = "one number for each unit" if layout.elementwise else "dense"
        return "\n".join(
            [
                f"influence: {kind}, {held}; {times} multiplications as of backpropagation",
                *jacobian.lines(),
                TO_THE_LOOP,
            ]
        )


def online_gradients(
    cell: Cell, xs: Tensor, loss_of_step: Callable[[Tensor, int], Tensor], state: State | None = None
) -> Iterator[tuple[Tensor, dict[str, Tensor]]]:
    """Yield the loss of each step and its gradients, through all steps before it, as soon as the step is done.

    What is held does not grow with the steps. The parameters may be changed in between, in place, as an optimiser
    does: from then on gradients are those of a slightly older cell, as always when learning goes on in mid-sequence.

    Args:
        cell: whose step is recorded.
        xs: (T, B, D).
        loss_of_step: from an output (B, O) and the number of its step to a loss, a single number.
        state: before the first step; None: the cell's initial state.

    Yields:
        The loss, and by name of each parameter that requires a gradient, its gradient.

    Raises:
        UsageError: the cell is one that `rtrl` leaves to the loop; says why.
    """
    prepared, before, masks = rnnkit.prepare(cell, xs, state, None, None)
    jacobian = jacobian_for(cell, prepared, before)
    reason = jacobian.reason if isinstance(jacobian, Unproven) else obstacle(cell, prepared, jacobian)
    if isinstance(jacobian, Unproven) or reason:
        raise UsageError(f"online_gradients: cell {cell.name!r} cannot be run forward alone: {reason}")
    weights, places = weights_of(cell)
    call = _call(cell, prepared, before, masks, jacobian, 1)
    rerun, now = Rerun(call, [prepared.detach(), *(tensor.detach() for tensor in before), *weights]), before
    for t in range(len(prepared)):
        y, start, now = rerun.step_alone(t, now)
        loss = loss_of_step(y, t)
        (coming,) = torch.autograd.grad(loss, [y])
        rerun.forget_gradients()
        rerun.carry(t, t + 1, start, coming.unsqueeze(0), None)
        found = rerun.of_all_weights()
        named = {name: found[place] for name, place in places.items()}
        yield loss.detach(), {name: gradient for name, gradient in named.items() if gradient is not None}


def _call(cell: Cell, xs: Tensor, state: State, masks: Masks, jacobian: StateJacobian, steps: int | None) -> Call:
    weights, places = weights_of(cell)
    layout, units = layout_of(cell, xs, state, jacobian)
    by_place = {places[name]: unit for name, unit in units.items()}
    return Call(cell, masks, layout, [by_place.get(k) for k in range(len(weights))], places, len(state), steps)


TO_THE_LOOP = "to the loop go: second derivatives, transforms of torch.func, autocast"


def obstacle(cell: Cell, xs: Tensor, jacobian: StateJacobian) -> str:
    """Say what asks for the loop; empty: nothing."""
    if jacobian.counts:
        return f"{', '.join(jacobian.counts)} holds whole numbers"
    if _draws(cell, xs):
        return "project() draws random numbers"
    return "" if _goes_step_by_step(cell, xs) else "project() mixes steps"


def _goes_step_by_step(cell: Cell, xs: Tensor) -> bool:
    """Tell whether the projection of two steps is that of each."""
    with torch.no_grad(), on_trial(cell) as cell:
        both, each = rnnkit.parts_of(cell.project(xs[:2])), [cell.project(xs[t : t + 1]) for t in range(len(xs[:2]))]
        alone = [torch.cat(parts) for parts in zip(*map(rnnkit.parts_of, each), strict=True)]
    return all(map(_alike, both, alone))


def _alike(one: Tensor, other: Tensor) -> bool:
    """Tell whether tensors are equal but for rounding."""
    if not one.is_floating_point():
        return torch.equal(one, other)
    tolerance = 1e3 * torch.finfo(one.dtype).eps
    return torch.allclose(one, other, rtol=tolerance, atol=tolerance * float(one.detach().abs().amax()), equal_nan=True)


def _draws(cell: Cell, xs: Tensor) -> bool:
    """Tell whether the projection draws random numbers, so that it cannot be made once more, step by step."""
    devices = devices_of(xs)
    with torch.random.fork_rng(devices=devices, device_type=devices[0].type if devices else "cuda"), torch.no_grad():
        before = _random_states(devices)
        with on_trial(cell) as tried:
            tried.project(xs[:1])
        return not all(map(torch.equal, before, _random_states(devices)))


def _random_states(devices: Sequence[torch.device]) -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.get_device_module(device).get_rng_state(device) for device in devices)]


def layout_of(cell: Cell, xs: Tensor, state: State, jacobian: StateJacobian) -> tuple[Layout, Mapping[str, Tensor]]:
    """Return how influences are held, and on which unit each number of each parameter acts, where that is known."""
    found = acting_on(cell, xs, state)
    units = {} if isinstance(found, Unproven) else found
    widths = [tensor[0].numel() for tensor in state]
    alone = bool(units) and not any(bool((unit == SEVERAL).any()) for unit in units.values())
    apart = len(set(widths)) == 1 and set(jacobian.blocks.values()) <= {"not", "diagonal"}
    return Layout(len(widths), sum(widths), alone and apart), units


@rnnkit.hookimpl
def rnnkit_unrollers() -> list[type[rnnkit.Unroller]]:
    """Offer real-time recurrent learning."""
    return [Rtrl]
