"""Checkpointing through time: keep a few states, run the rest again in the backward pass.

Papers: Chen, Xu, Zhang & Guestrin, "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174, 2016 (the √T
segments); Gruslys et al., "Memory-Efficient Backpropagation Through Time", NIPS 2016 (the budget).
"""

import logging
from weakref import WeakSet

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

import rnnkit
from rnnkit import Cell, State
from rnnkit.errors import UsageError, check_whole
from rnnkit_compiler.trace.example import on_trial
from rnnkit_compiler.trace.holdings import learns_elsewhere
from rnnkit_unrollers._projected import detached
from rnnkit_unrollers._replay import Replay, Unrolling, storages
from rnnkit_unrollers._schedule import Schedule, budget_schedule, sqrt_schedule
from rnnkit_unrollers._surroundings import BlockDraws, devices_of
from rnnkit_unrollers._weights import weights_of
from rnnkit_unrollers.loop import Loop, run

logger = logging.getLogger("rnnkit")

_left_to_the_loop: WeakSet[type[Cell]] = WeakSet()
"""Cells of which it has been said."""


class Checkpoint(rnnkit.Unroller):
    """Keeps about √T states and replays segment by segment: the loop's gradients in a fraction of its memory.

    Memory between the passes: the kept states. In the backward pass: one segment's graph, and the projection of the
    whole sequence, in whose place its gradient is gathered. Time: one forward pass more than the loop, in a tight
    `budget` several. Under autocast the loop gathers gradients in the low precision of autocast's copies of the
    weights, checkpoint in that of the weights themselves: there alone they differ, by the rounding of the low
    precision. A step that draws random numbers draws the same in a replay, from torch's own generators; that takes
    another 5 KB for each kept state. A replay reads what the cell holds by then: a tensor in a list that was exchanged
    after the forward pass is another. Attributes that a step writes are left without gradients. A cell that holds what
    learns and is no parameter of its modules, or parameters in a list as well, is left to the loop, which is said once.

    Args:
        segment: steps in a segment; √T if not given.
        budget: bytes for kept states and one replayed segment together; the fewest replays that fit are
            found by dynamic programming. Not together with `segment`.
    """

    name = "checkpoint"
    replays = True

    def __init__(self, *, segment: int | None = None, budget: int | None = None) -> None:
        for label, value in (("segment", segment), ("budget", budget)):
            if value is not None:
                check_whole(f"unroller 'checkpoint': {label}", value)
        if segment is not None and budget is not None:
            raise UsageError("unroller 'checkpoint': give segment or budget, not both; budget finds the segment")
        self.segment = segment
        self.budget = budget

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
        if rnnkit.is_traced() or rnnkit.transformed_by():  # by what sees into no Function
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        if torch.is_grad_enabled() and learns_elsewhere(cell):
            _say_once(cell)
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        xs, state, masks = rnnkit.prepare(cell, xs, state, lengths, reset)
        # What the first step is to make cannot be recorded before it, and what only behaves as a tensor not at all.
        if any(map(is_lazy, cell.parameters())) or not all(isinstance(t, Tensor) for t in (xs, *state)):
            return Loop()(cell, xs, state, lengths=lengths, reset=reset)
        weights, names = weights_of(cell)
        tensors = (xs, *state, *masks.initial, *weights)
        if not torch.is_grad_enabled() or not any(tensor.requires_grad for tensor in tensors):
            ys: list[Tensor] = []
            state = run(cell, cell.project(xs), state, masks, ys.append)
            return torch.stack(ys), tuple(tensor.clone() for tensor in state)
        schedule, draws = self.schedule(cell, xs, state), BlockDraws(devices_of(xs))
        unrolling = Unrolling(cell, masks, schedule, len(state), names, draws)
        output, *last = Replay.apply(unrolling, *tensors)  # type: ignore[no-untyped-call]
        if len(set(storages(last))) < len(last):  # out here, so that their gradients meet in the loop's order
            last = [tensor.clone() for tensor in last]
        return output, tuple(last)

    def schedule(self, cell: Cell, xs: Tensor, state: State) -> Schedule:
        """Choose how `xs` (T, B, D) is taken back under this unroller's options."""
        time = xs.shape[0]
        if self.budget is None:
            return sqrt_schedule(time, self.segment)
        state_bytes = sum(tensor.nbytes for tensor in state)
        return budget_schedule(time, self.budget, max(1, state_bytes), max(1, step_bytes(cell, xs, state)))

    def __repr__(self) -> str:
        options = {"segment": self.segment, "budget": self.budget}
        given = ", ".join(f"{label}={value}" for label, value in options.items() if value is not None)
        return f"{self.name}({given})" if given else self.name


def _say_once(cell: Cell) -> None:
    if type(cell) not in _left_to_the_loop:
        _left_to_the_loop.add(type(cell))
        logger.warning(
            "unroller 'checkpoint': the loop runs, which keeps all steps: cell %r holds tensors that learn and are no "
            "parameters, or parameters in a list or the like as well, whose gradients a replay would lose",
            cell.name,
        )


def step_bytes(cell: Cell, xs: Tensor, state: State) -> int:
    """Measure the bytes that autograd keeps for one step, by running one; weights and input not counted."""
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.random.fork_rng(devices=devices_of(xs)), torch.enable_grad(), on_trial(cell) as tried:
        projected = detached(tried.project(xs[:1].detach()))
        before = tuple(tensor.detach().requires_grad_(tensor.is_floating_point()) for tensor in state)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            y, after = tried.step(rnnkit.time_slices(projected)[0], before)
    for tensor in (y, *after):  # kept by the graph or not, they live as long as it does
        note(tensor)
    for tensor in (*tried.parameters(), *tried.buffers(), xs, *state, *rnnkit.parts_of(projected)):
        saved.pop(tensor.untyped_storage().data_ptr(), None)
    return sum(saved.values())


@rnnkit.hookimpl
def rnnkit_unrollers() -> list[type[rnnkit.Unroller]]:
    """Offer checkpointing."""
    return [Checkpoint]
