"""The gradient of a whole sequence without a pass back: the machinery of `rtrl`.

The forward pass keeps nothing but its outputs. Once their gradients are known, the sequence is run again from its
start, with the influence of parameters and of the first state on the present one, some steps at a time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import Cell, Masks, State
from rnnkit_compiler.structure.owners import NOBODY
from rnnkit_unrollers._batched import one_by_one_where_it_must
from rnnkit_unrollers._influence import Influence, Layout, PastStates, cut
from rnnkit_unrollers._replay import Gradients, Outputs, gradient
from rnnkit_unrollers.loop import run

STEPS = 64
"""Steps whose own derivatives are computed at once, at most: what is held does not grow with the sequence."""

ROOM = 1 << 22
"""Numbers of their derivatives by parameters, at most, unless a single step has more."""


@dataclass
class Call:
    """One call of the unroller, shared by its passes."""

    cell: Cell
    masks: Masks
    layout: Layout
    units: Sequence[Tensor | None]
    """As each weight: the unit that each number of each weight acts on, NOBODY or SEVERAL; None: that is not known."""

    places: Mapping[str, int]
    """Where each parameter and buffer stands among the weights."""

    count: int
    """Tensors of the state."""

    def inputs(self, tensors: Sequence[Tensor]) -> tuple[Tensor, State, State, tuple[Tensor, ...]]:
        """Take the Function's tensors apart: input, state, initial state for resets, weights."""
        xs, *rest = tensors
        n, m = self.count, self.count + len(self.masks.initial)
        return xs, tuple(rest[:n]), tuple(rest[n:m]), tuple(rest[m:])

    def acts(self, k: int) -> bool:
        """Tell whether a weight acts on the state at all, and not on the output alone."""
        unit = self.units[k]
        return unit is None or bool((unit != NOBODY).any())

    def equipped(self, weights: Sequence[Tensor]) -> Cell:
        """Return a copy of the cell that uses these weights."""
        return rnnkit.copy_with_tensors(self.cell, {name: weights[place] for name, place in self.places.items()})

    def chunks(self, time: int, rows: int, weights: Sequence[Tensor]) -> list[tuple[int, int]]:
        """Return the first and last steps (exclusive) of what is computed at once."""
        numbers = sum(weight.numel() for weight in weights if weight.requires_grad)
        size = max(1, min(STEPS, ROOM // max(1, rows * self.layout.height * (numbers + self.layout.width))))
        return [(start, min(start + size, time)) for start in range(0, time, size)]


class ForwardMode(torch.autograd.Function):
    """Forward without a graph; backward by running forward again with influences."""

    @staticmethod
    def forward(ctx: Any, call: Call, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Return outputs (T, B, O) and last states."""
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.snapshot = rnnkit.Snapshot(tensors)
        xs, state, _, weights = call.inputs([tensor.detach() for tensor in tensors])
        call.cell = call.equipped(weights)  # as it is now, whatever becomes of the cell
        ctx.call = call
        outputs = Outputs(len(xs))
        for start, stop in call.chunks(len(xs), xs.shape[1], tensors):
            state = run(
                call.cell, call.cell.project(xs[start:stop]), state, call.masks.between(start, stop), outputs.append
            )
        return outputs.ys, *(tensor.clone() for tensor in state)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run forward again; the loop's backward where it is to be differentiated or transformed itself."""
        call, again = ctx.call, torch.is_grad_enabled()
        saved = ctx.snapshot.of(ctx.saved_tensors)
        if again or rnnkit.watched_by(*gradients):
            with torch.enable_grad():
                tensors = [tensor.view_as(tensor) for tensor in saved]
                xs, state, initial, weights = call.inputs(tensors)
                cell, ys = call.equipped(weights), list[Tensor]()
                last = run(cell, cell.project(xs), state, call.masks._replace(initial=initial), ys.append)
                results = [torch.stack(ys), *last]
            return None, *gradient(results, gradients, tensors, create_graph=again)
        return None, *Rerun(call, saved).gradients(gradients)


class Rerun:
    """The second run of one call."""

    def __init__(self, call: Call, tensors: Sequence[Tensor]) -> None:
        self.call, self.layout, self.tensors = call, call.layout, tensors
        inputs = call.inputs([tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors])
        self.xs, self.state, self.initial, self.weights = inputs
        self.cell = call.equipped(self.weights)
        rows, like = self.xs.shape[1], flat(self.state).detach()
        unit = torch.arange(self.layout.units, device=like.device).repeat(self.layout.tensors)
        own = self.layout.seeds(like).unsqueeze(2).expand(rows, -1, -1, -1)
        self.of_first = Influence(self.layout, own, unit, shared=False)
        self.of_initial = Influence(self.layout, torch.zeros_like(own), unit, shared=False)
        asked = [k for k, weight in enumerate(self.weights) if weight.requires_grad and call.acts(k)]
        self.of_weights = {k: Influence.of_weight(self.layout, self.weights[k], call.units[k], rows) for k in asked}
        self.of_past = PastStates(self.layout, len(self.xs), like) if self.xs.requires_grad else None
        self.direct: Gradients = [None] * len(self.weights)

    def gradients(self, gradients: Sequence[Tensor | None]) -> Gradients:
        """Return the gradient of each of the call's tensors, given those of its outputs and last states."""
        coming, last = self._of_running(gradients[0]), gradients[1:]
        state: State = tuple(tensor.detach() for tensor in self.state)
        chunks, befores = self.call.chunks(len(self.xs), self.xs.shape[1], self.weights), []
        for start, stop in chunks:
            before, state = self.states(start, stop, state)
            self.carry(start, stop, before, None if coming is None else coming[start:stop])
            if self.of_past is not None:
                befores.append(before)
        ends = [torch.zeros_like(s) if g is None else g for g, s in zip(last, state, strict=True)]
        self._read(flat(ends))
        into_xs = [self._of_input(*chunk, b, coming) for chunk, b in zip(chunks, befores, strict=False)]
        return [torch.cat(into_xs) if into_xs else None, *self._of_states(), *self.of_all_weights()]

    def _of_running(self, gradient_: Tensor | None) -> Tensor | None:
        """Return the gradient of the outputs, zero in the rows that have ended, whose outputs are."""
        live = self.call.masks.live
        return gradient_ if live is None or gradient_ is None else gradient_ * live.unsqueeze(-1)

    def states(self, start: int, stop: int, state: State) -> tuple[State, State]:
        """Return the states that some steps begin from, each (C, B, ...), and the one after the last of them."""
        masks, befores = self.call.masks.between(start, stop), []
        with torch.no_grad():
            for t, p in enumerate(rnnkit.time_slices(self.cell.project(self.xs[start:stop]))):
                held = state
                if masks.restart is not None:
                    state = rnnkit.choose_rows(masks.restart[t], self.initial, state)
                befores.append(state)
                y, state = self.cell.step(p, state)
                if masks.live is not None:
                    _, state = rnnkit.hold_ended(masks.live[t], y, state, held)
        return tuple(map(torch.stack, zip(*befores, strict=True))), state

    def step_alone(self, t: int, state: State) -> tuple[Tensor, State, State]:
        """Take one step; return its output (B, O), a leaf, the state before it, (1, B, ...), and the one after it."""
        before, after = self.states(t, t + 1, state)
        with torch.no_grad():
            y, _ = self._step(self.xs[t : t + 1], [tensor.flatten(0, 1) for tensor in before])
        return y.requires_grad_(), before, after

    def carry(self, start: int, stop: int, before: State, coming: Tensor | None) -> None:
        """Carry all influences over some steps, and read off them what their outputs' gradients (C, B, O) say."""
        into_states = self._of_outputs(start, stop, before, coming)
        own, jacobian = self._at_once(start, stop, before)
        masks = self.call.masks
        for t in range(stop - start):
            live = None if masks.live is None else masks.live[start + t]
            if masks.restart is not None:
                self._restart(masks.restart[start + t] if live is None else masks.restart[start + t] & live)
            if into_states is not None:
                self._read(into_states[t])
            for influence in (self.of_first, self.of_initial):
                influence.advance(jacobian[t], None, live)
            for k, influence in self.of_weights.items():
                influence.advance(jacobian[t], own[k][t], live)
            if self.of_past is not None:
                self.of_past.advance(jacobian[t], live)

    def forget_gradients(self) -> None:
        """Begin new sums; the influences stay."""
        self.direct = [None] * len(self.weights)
        for influence in (self.of_first, self.of_initial, *self.of_weights.values()):
            influence.total.zero_()

    def _restart(self, rows: Tensor) -> None:
        for influence in (self.of_first, *self.of_weights.values()):
            influence.restart(rows, 0.0)
        self.of_initial.restart(rows, self.layout.seeds(self.of_first.held).unsqueeze(2))
        if self.of_past is not None:
            self.of_past.restart(rows)

    def _read(self, coming: Tensor) -> None:
        for influence in (self.of_first, self.of_initial, *self.of_weights.values()):
            influence.read(coming)
        if self.of_past is not None:
            self.of_past.read(coming)

    def _of_outputs(self, start: int, stop: int, before: State, coming: Tensor | None) -> Tensor | None:
        """Take what the outputs' gradients say of the weights in the same step; return that of the states before it."""
        if coming is None:
            return None
        with torch.enable_grad():
            given = [tensor.flatten(0, 1).requires_grad_() for tensor in before]
            y, _ = self._step(self.xs[start:stop].detach(), given)
        found = gradient([y], [coming.flatten(0, 1)], [*given, *self.weights])
        for k, more in enumerate(found[len(given) :]):
            self.direct[k] = _sum(self.direct[k], more)
        states = [torch.zeros_like(s) if g is None else g for g, s in zip(found, given, strict=False)]
        row = flat(states)
        return row.view(stop - start, -1, row.shape[1])

    def _of_input(self, start: int, stop: int, before: State, coming: Tensor | None) -> Tensor:
        """Return the gradient of some steps' input, through their outputs and through the states after them."""
        assert self.of_past is not None
        with torch.enable_grad():
            xs = self.xs[start:stop].detach().requires_grad_()
            y, new = self._step(xs, [tensor.flatten(0, 1) for tensor in before])
        later = cut(self.of_past.gradient[start:stop].flatten(0, 1), self.state)
        given = [None if coming is None else coming[start:stop].flatten(0, 1), *later]
        (found,) = gradient([y, *new], given, [xs])
        return torch.zeros_like(xs) if found is None else found

    def _step(self, xs: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, State]:
        """Take some steps (C, B, D) as one of C B rows."""
        projected = rnnkit.map_parts(lambda part: part.flatten(0, 1), self.cell.project(xs))
        return self.cell.step(projected, tuple(state))

    def _at_once(self, start: int, stop: int, before: State) -> tuple[dict[int, Tensor], Tensor]:
        """Return what each weight does to the new states at once, (C, B, height, P), and the Jacobians, (C, B, ...)."""
        names = list(self.of_weights)
        seeds = self.layout.seeds(flat(before[:1]).detach())

        def of_row(x: Tensor, *state: Tensor) -> tuple[Any, ...]:
            def new_state(chosen: Sequence[Tensor], *state: Tensor) -> Tensor:
                weights = list(detached)
                for k, weight in zip(names, chosen, strict=True):
                    weights[k] = weight
                cell = self.call.equipped(weights)
                p = rnnkit.map_parts(lambda part: part[0], cell.project(x[None, None]))
                return flat(cell.step(p, tuple(tensor[None] for tensor in state))[1])[0]

            _, pull, *_ = torch.func.vjp(new_state, [detached[k] for k in names], *state)
            with one_by_one_where_it_must():
                found: tuple[Any, ...] = torch.func.vmap(pull)(seeds)
            return found

        detached = [weight.detach() for weight in self.weights]
        rows = [self.xs[start:stop].detach().flatten(0, 1), *(tensor.flatten(0, 1) for tensor in before)]
        with one_by_one_where_it_must():
            chosen, *states = torch.func.vmap(of_row)(*rows)
        size = (stop - start, self.xs.shape[1], self.layout.height)
        own = {k: found.reshape(*size, -1) for k, found in zip(names, chosen, strict=True)}
        jacobian = torch.cat([found.flatten(2) for found in states], dim=2)
        return own, self.layout.matrix(jacobian.view(*size, -1))

    def _of_states(self) -> Gradients:
        """Return the gradients of the first state and of the initial one."""
        found = cut(self.of_first.total.squeeze(2), self.state)
        if self.initial:
            found += cut(self.of_initial.total.squeeze(2), self.initial)
        return [g if t.requires_grad else None for g, t in zip(found, (*self.state, *self.initial), strict=True)]

    def of_all_weights(self) -> Gradients:
        """Return the gradient of each weight: at once, and through the states."""
        found = list(self.direct)
        for k, influence in self.of_weights.items():
            through = influence.total.reshape(self.weights[k].shape)
            direct = found[k]
            found[k] = through if direct is None else direct + through
        return found


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def flat(state: Sequence[Tensor]) -> Tensor:
    """Join the features of state tensors (B, ...) in a row: (B, N)."""
    return torch.cat([tensor.flatten(1) for tensor in state], dim=1)
