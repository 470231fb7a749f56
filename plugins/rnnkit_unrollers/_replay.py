"""Forward without a graph, backward by replaying: the machinery of `checkpoint`.

Gradients are those of `loop` bit for bit. Floating-point sums depend on their order, so the replay keeps autograd's:
what a weight has gathered from later steps is handed to the next replay as a gradient of the weight itself, where it
stands first in the sum, and a state that also is an output gets the output's gradient first, as from one stack.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, Masks, Projected, State
from rnnkit_unrollers._projected import between, detached
from rnnkit_unrollers._schedule import Schedule
from rnnkit_unrollers._surroundings import BlockDraws, Surroundings
from rnnkit_unrollers._weights import for_hooks
from rnnkit_unrollers.loop import run

Gradients = list[Tensor | None]


@dataclass
class Unrolling:
    """One call of the unroller, shared by its passes."""

    cell: Cell
    masks: Masks
    schedule: Schedule
    state_size: int
    weights: dict[str, int]
    """Where each parameter and buffer stands among the weights; tied ones stand at one place."""
    draws: BlockDraws

    def run(self, projected: Projected, first: int, last: int, state: State, emit: Callable[[Tensor], object]) -> State:
        """Step through blocks first to last - 1, from `state`."""
        start, stop = self.steps(first, last)
        self.draws.begin(first)
        return run(self.cell, between(projected, start, stop), state, self.masks.between(start, stop), emit)

    def steps(self, first: int, last: int) -> tuple[int, int]:
        """Return the steps that blocks first to last - 1 span."""
        leaf, time = self.schedule.leaf, self.schedule.time
        return first * leaf, min(last * leaf, time)

    def equipped(self, tensors: Sequence[Tensor]) -> AbstractContextManager[None]:
        """Let the cell use the weights of the first pass, whatever it holds by now."""
        weights = self.inputs(tensors)[3]
        return rnnkit.tensors_replaced(self.cell, {name: weights[k] for name, k in self.weights.items()})

    def inputs(self, tensors: Sequence[Tensor]) -> tuple[Tensor, State, State, tuple[Tensor, ...]]:
        """Take the Function's tensors apart: input, state, initial state for resets, weights."""
        xs, *rest = tensors
        n, m = self.state_size, self.state_size + len(self.masks.initial)
        return xs, tuple(rest[:n]), tuple(rest[n:m]), tuple(rest[m:])


class Outputs:
    """The outputs (T, B, O) of a pass, filled step by step: a list and a stack of it would take twice the room."""

    ys: Tensor
    last: Tensor

    def __init__(self, time: int) -> None:
        self.time = time
        self.count = 0

    def append(self, y: Tensor) -> None:
        """Take the next output."""
        if self.count == 0:
            self.ys = y.new_empty(self.time, *y.shape)
        self.ys[self.count] = self.last = y
        self.count += 1


class Replay(torch.autograd.Function):
    """Forward without a graph, keeping states; backward by replaying blocks right to left."""

    @staticmethod
    def forward(ctx: Any, unrolling: Unrolling, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.unrolling = unrolling
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.snapshot = rnnkit.Snapshot(tensors)
        xs, state, _, _ = unrolling.inputs(tensors)
        ctx.surroundings = Surroundings(unrolling.cell, xs)
        schedule = unrolling.schedule
        projected = unrolling.cell.project(xs)
        ctx.kept = [(0, state)]
        outputs = Outputs(schedule.time)
        block = 0
        for stop in (*schedule.descend(0, schedule.blocks, 0), schedule.blocks):
            state = unrolling.run(projected, block, stop, state, outputs.append)
            if stop < schedule.blocks:
                ctx.kept.append((stop, state))
            block = stop
        # Which state tensor the output is, if it is one: then both gradients meet in one tensor.
        ctx.same_state = next((k for k, tensor in enumerate(state) if tensor is outputs.last), None)
        given = storages(tensors)  # what shares memory with one would be changed with it, or it with that
        pairs = zip(state, storages(state), strict=True)
        return outputs.ys, *(tensor.clone() if place in given else tensor for tensor, place in pairs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        unrolling, surroundings = ctx.unrolling, ctx.surroundings
        saved = ctx.saved_tensors  # once: a buffer that project() counts in is another one after the replay
        tensors = ctx.snapshot.of(saved)
        by_the_loop = torch.is_grad_enabled() or rnnkit.watched_by(*gradients)
        if by_the_loop:
            with torch.enable_grad():
                # By views, so that each has the gradient of its own uses alone: a learnt state is made of a weight.
                tensors = tuple(tensor.view_as(tensor) for tensor in tensors)
        else:  # leaves of their own: what hooks a weight has, autograd calls once, on its whole gradient
            tensors = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors)
        with surroundings.fork(), surroundings.casting(), surroundings.training(), unrolling.equipped(tensors):
            surroundings.restore()
            if by_the_loop:  # let autograd record it
                found = _through_the_loop(unrolling, tensors, gradients, torch.is_grad_enabled())
                return None, *for_hooks(found, saved)
            # Used up, so that a state makes room once it is taken back; a second backward starts from the first.
            kept, ctx.kept = ctx.kept, ctx.kept[:1]
            found = Backward(unrolling, tensors, gradients[0], list(gradients[1:]), ctx.same_state)(kept)
            return None, *for_hooks(found, saved)


def _through_the_loop(
    unrolling: Unrolling, tensors: Sequence[Tensor], gradients: Sequence[Tensor | None], create_graph: bool
) -> Gradients:
    xs, state, initial, _ = unrolling.inputs(tensors)
    masks = unrolling.masks._replace(initial=initial)
    ys: list[Tensor] = []
    with torch.enable_grad():
        state = run(unrolling.cell, unrolling.cell.project(xs), state, masks, ys.append)
        results = [torch.stack(ys), *state]
    return gradient(results, gradients, tensors, create_graph=create_graph)


class Backward:
    """The backward pass of one call: gathers the gradients of weights while blocks are replayed right to left."""

    def __init__(
        self,
        unrolling: Unrolling,
        tensors: Sequence[Tensor],
        output_gradient: Tensor | None,
        state_gradient: Gradients,
        same_state: int | None,
    ) -> None:
        self.unrolling = unrolling
        self.output_gradient = output_gradient
        self.state_gradient = state_gradient
        self.same_state = same_state
        xs, self.state, initial, weights = unrolling.inputs(tensors)
        self.xs = xs.detach().requires_grad_(xs.requires_grad)
        self.initial = tuple(tensor.detach().requires_grad_(tensor.requires_grad) for tensor in initial)
        self.constants = (*self.initial, *weights)
        self.constant_gradient: Gradients = [None] * len(self.constants)

    def __call__(self, kept: list[tuple[int, State]]) -> Gradients:
        """Take all blocks back; `kept` holds (block, state before it) and is used up."""
        schedule = self.unrolling.schedule
        projected, part_gradients = self._project()
        stop = schedule.blocks
        while stop:
            block, state = kept[-1]
            for following in schedule.descend(block, stop, len(kept) - 1):
                state = self._advance(projected, block, following, state)
                kept.append((following, state))
                block = following
            stop, state = kept.pop()
            self._replay(projected, stop, state, part_gradients)
        xs_gradient, *rest = gradient(
            [*rnnkit.parts_of(projected), *self.constants],
            [*part_gradients, *self.constant_gradient],
            [self.xs, *self.constants],
        )
        return [xs_gradient, *self.state_gradient, *rest]

    def _project(self) -> tuple[Projected, Gradients]:
        """Project once more, with its graph; returns room for the gradient of each part too.

        A slice of the projection is of no use once its block is taken back, so its gradient takes its place, unless
        the projection is the input itself, or its own graph needs it later.
        """
        needed = {tensor.untyped_storage().data_ptr() for tensor in (self.xs, *self.constants)}

        def note(tensor: Tensor) -> Tensor:
            needed.add(tensor.untyped_storage().data_ptr())
            return tensor

        with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            projected = self.unrolling.cell.project(self.xs)
        room: Gradients = []
        for part in rnnkit.parts_of(projected):
            storage = part.untyped_storage().data_ptr()
            spare = storage not in needed and part.is_contiguous()
            # By `data`, for autograd is not to take the writing for a change of the projection.
            room.append((part.data if spare else torch.empty_like(part)) if part.requires_grad else None)
            needed.add(storage)
        return projected, room

    def _advance(self, projected: Projected, first: int, last: int, state: State) -> State:
        with torch.no_grad():
            return self.unrolling.run(projected, first, last, state, lambda y: None)

    def _replay(self, projected: Projected, block: int, state: State, part_gradients: Gradients) -> None:
        """Run one block with its graph and take it back."""
        start, stop = self.unrolling.steps(block, block + 1)
        masks = self.unrolling.masks.between(start, stop)._replace(initial=self.initial)
        slices = detached(between(projected, start, stop))
        wants = [part.requires_grad for part in rnnkit.parts_of(projected)]
        leaves = [part.requires_grad_(want) for part, want in zip(rnnkit.parts_of(slices), wants, strict=True)]
        before = leaves_of(state)
        ys: list[Tensor] = []
        self.unrolling.draws.begin(block)
        with torch.enable_grad():
            after = run(self.unrolling.cell, slices, before, masks, ys.append)
        self.unrolling.draws.forget(block)
        outputs, output_gradients = self._outputs(ys, start)
        roots = [*outputs, *after, *self.constants]
        root_gradients = [*output_gradients, *self.state_gradient, *self.constant_gradient]
        if self.same_state is not None and start and self.output_gradient is not None:
            roots.append(before[self.same_state])
            root_gradients.append(self.output_gradient[start - 1])
        gradients = gradient(roots, root_gradients, [*leaves, *before, *self.constants])
        for into, piece in zip(part_gradients, gradients, strict=False):
            if into is not None:
                into[start:stop] = 0 if piece is None else piece
        n = len(leaves)
        self.state_gradient = [
            None if _is_one_of(tensor, before[:k]) else gradients[n + k] for k, tensor in enumerate(before)
        ]
        self.constant_gradient = gradients[n + len(before) :]

    def _outputs(self, ys: list[Tensor], start: int) -> tuple[list[Tensor], list[Tensor]]:
        """Pair the block's outputs with their gradients; a last output that is a state has had its own."""
        if self.output_gradient is None:
            return [], []
        ends_the_sequence = start + len(ys) == self.unrolling.schedule.time
        count = len(ys) if self.same_state is None or ends_the_sequence else len(ys) - 1
        return ys[:count], list(self.output_gradient[start : start + count].unbind(0))


def gradient(
    outputs: Sequence[Tensor],
    output_gradients: Sequence[Tensor | None],
    inputs: Sequence[Tensor],
    create_graph: bool = False,
    retain_graph: bool = False,
    is_grads_batched: bool = False,
) -> Gradients:
    """Do as torch.autograd.grad, passing over outputs and inputs that have no gradient."""
    pairs = [
        (output, given)
        for output, given in zip(outputs, output_gradients, strict=True)
        if given is not None and output.requires_grad
    ]
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    if not pairs or not wanted:
        return [None] * len(inputs)
    gradients = iter(
        torch.autograd.grad(
            [output for output, _ in pairs],
            wanted,
            [given for _, given in pairs],
            retain_graph=create_graph or retain_graph,
            create_graph=create_graph,
            allow_unused=True,
            is_grads_batched=is_grads_batched,
        )
    )
    return [next(gradients) if tensor.requires_grad else None for tensor in inputs]


def leaves_of(state: State) -> State:
    """Return new leaves to differentiate by; state tensors that are one tensor stay one."""
    leaves: dict[int, Tensor] = {}
    for tensor in state:
        differentiable = tensor.is_floating_point() or tensor.is_complex()
        leaves.setdefault(id(tensor), tensor.detach().requires_grad_(differentiable))
    return tuple(leaves[id(tensor)] for tensor in state)


def storages(tensors: Sequence[Tensor]) -> list[int]:
    """Tell the memory of each tensor by a number; equal where it is the same."""
    return [tensor.untyped_storage()._cdata for tensor in tensors]


def _is_one_of(tensor: Tensor, tensors: Sequence[Tensor]) -> bool:
    return any(tensor is other for other in tensors)
