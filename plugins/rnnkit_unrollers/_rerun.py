"""The second run of a call of `rtrl`, from its start, with the gradients of its outputs at hand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_unrollers._batched import one_by_one_where_it_must
from rnnkit_unrollers._forward_call import Call
from rnnkit_unrollers._influence import Influence, PastStates, cut
from rnnkit_unrollers._replay import Gradients, gradient
from rnnkit_unrollers._stretch import Steps, Stretch, taken_as_one


@dataclass
class Taken:
    """The steps of a stretch, taken at once, each from the state that the run came to: C B rows."""

    start: int
    stop: int
    before: State
    """Each (C, B, ...)."""
    given: list[Tensor]
    """The same as C B rows, leaves of the graph behind output and new state."""
    y: Tensor
    new: State


class Rerun:
    """The second run of one call."""

    def __init__(self, call: Call, tensors: Sequence[Tensor]) -> None:
        self.call, self.layout, self.tensors = call, call.layout, tensors
        inputs = call.inputs([tensor.detach().requires_grad_(tensor.requires_grad) for tensor in tensors])
        self.xs, self.state, self.initial, self.weights = inputs
        self.cell = call.equipped(self.weights)
        like = flat(self.state).detach()
        self.of_first = Influence.of_state(self.layout, like, self.layout.seeds(like)) if _asks(self.state) else None
        self.of_initial = Influence.of_state(self.layout, like, 0.0) if _asks(self.initial) else None
        asked = [k for k, weight in enumerate(self.weights) if weight.requires_grad and call.acts(k)]
        self.of_weights = {
            k: Influence.of_weight(self.layout, self.weights[k], call.units[k], len(like)) for k in asked
        }
        self.of_past = PastStates(self.layout, len(self.xs), like) if self.xs.requires_grad else None
        self.direct: Gradients = [None] * len(self.weights)

    def gradients(self, gradients: Sequence[Tensor | None]) -> Gradients:
        """Return the gradient of each of the call's tensors, given those of its outputs and last states."""
        coming, last = self._of_running(gradients[0]), gradients[1:]
        state: State = tuple(tensor.detach() for tensor in self.state)
        stretches, befores = self.call.stretches(len(self.xs), self.xs.shape[1]), []
        for start, stop in stretches:
            before, state = self.states(start, stop, state)
            ends = [torch.zeros_like(s) if g is None else g for g, s in zip(last, state, strict=True)]
            at_end = flat(ends) if stop == len(self.xs) else None
            self.carry(start, stop, before, None if coming is None else coming[start:stop], at_end)
            if self.of_past is not None:
                befores.append(before)
        into_xs = [self._of_input(*stretch, b, coming) for stretch, b in zip(stretches, befores, strict=False)]
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

    def carry(self, start: int, stop: int, before: State, coming: Tensor | None, at_end: Tensor | None) -> None:
        """Carry all influences over a stretch, and read off them what is known of the loss.

        Args:
            start: its first step.
            stop: the one after its last.
            before: the states that its steps begin from, each (C, B, ...).
            coming: the gradients of its outputs, (C, B, O).
            at_end: that of the state after it, (B, N), if the sequence ends with it; None: it goes on.
        """
        taken = self._taken(start, stop, before)
        masks = self.call.masks.between(start, stop)
        steps = Steps(self._jacobian(taken), self._of_outputs(taken, coming), masks.restart, masks.live)
        stretch = taken_as_one(self.layout, steps, torch.zeros_like(flat(self.state)) if at_end is None else at_end)
        self._of_steps(taken, coming, stretch.loss_by_steps)
        self._read(stretch)
        if at_end is None:
            self._advance(taken, stretch)

    def forget_gradients(self) -> None:
        """Begin new sums; the influences stay."""
        self.direct = [None] * len(self.weights)
        for influence in self.of_weights.values():
            influence.total.zero_()

    def _taken(self, start: int, stop: int, before: State) -> Taken:
        with torch.enable_grad():
            given = [tensor.flatten(0, 1).requires_grad_() for tensor in before]
            y, new = self._step(self.xs[start:stop].detach(), given)
        return Taken(start, stop, before, given, y, new)

    def _jacobian(self, taken: Taken) -> Tensor:
        """Return that of each new state by the one before: (C, B, ...), as of Layout.matrix."""
        like = flat(taken.given).detach()
        seeds = self.layout.seeds(like).unsqueeze(1).expand(-1, len(like), -1)
        with one_by_one_where_it_must():
            found = gradient(taken.new, cut(seeds, taken.new), taken.given, retain_graph=True, is_grads_batched=True)
        pieces = [
            like.new_zeros(len(seeds), *state.shape) if g is None else g
            for g, state in zip(found, taken.given, strict=True)
        ]
        rows = torch.cat([piece.flatten(2) for piece in pieces], 2).transpose(0, 1)
        return self.layout.matrix(rows.reshape(taken.stop - taken.start, -1, *rows.shape[1:]))

    def _of_outputs(self, taken: Taken, coming: Tensor | None) -> Tensor | None:
        """Return what the gradients of the outputs say of the states before them, (C, B, N)."""
        if coming is None:
            return None
        found = gradient([taken.y], [coming.flatten(0, 1)], taken.given, retain_graph=True)
        states = [torch.zeros_like(s) if g is None else g for g, s in zip(found, taken.given, strict=True)]
        return flat(states).view(*coming.shape[:2], -1)

    def _of_steps(self, taken: Taken, coming: Tensor | None, later: Tensor) -> None:
        """Take what outputs, and states on their way to later ones of the stretch, say of the weights at once."""
        into_y = None if coming is None else coming.flatten(0, 1)
        found = gradient([taken.y, *taken.new], [into_y, *cut(later.flatten(0, 1), taken.new)], self.weights)
        self.direct = [_sum(one, more) for one, more in zip(self.direct, found, strict=True)]

    def _read(self, stretch: Stretch) -> None:
        for influence in (self.of_first, self.of_initial, *self.of_weights.values()):
            if influence is not None:
                influence.read(stretch.loss_by_start)
        if self.of_initial is not None:
            self.of_initial.total += stretch.loss_by_initial.unsqueeze(2)
        if self.of_past is not None:
            self.of_past.read(stretch.loss_by_start)
            self.of_past.begin(stretch.loss_by_steps)

    def _advance(self, taken: Taken, stretch: Stretch) -> None:
        jacobian = self.layout.matrix(stretch.end_by_start)
        if self.of_first is not None:
            self.of_first.advance(jacobian, None)
        if self.of_initial is not None:
            self.of_initial.advance(jacobian, stretch.end_by_initial)
        own = self._end_by_weights(taken, stretch.end_by_steps)
        for k, influence in self.of_weights.items():
            influence.advance(jacobian, own[k])
        if self.of_past is not None:
            self.of_past.advance(jacobian, stretch.end_by_steps)

    def _end_by_weights(self, taken: Taken, end_by_steps: Tensor) -> dict[int, Tensor]:
        """Return how the stretch's end depends on each weight, in each row by itself: (B, height, ...)."""
        names = list(self.of_weights)
        if not names:
            return {}
        detached = [weight.detach() for weight in self.weights]

        def of_row(x: Tensor, seeds: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
            def new_states(*chosen: Tensor) -> Tensor:
                weights = list(detached)
                for k, weight in zip(names, chosen, strict=True):
                    weights[k] = weight
                cell = self.call.equipped(weights)
                p = rnnkit.map_parts(lambda part: part.flatten(0, 1), cell.project(x.unsqueeze(1)))
                return flat(cell.step(p, state)[1])

            _, pull, *_ = torch.func.vjp(new_states, *[detached[k] for k in names])
            with one_by_one_where_it_must():
                found: tuple[Tensor, ...] = torch.func.vmap(pull, in_dims=1)(seeds)
            return found

        xs = self.xs[taken.start : taken.stop].detach()
        with one_by_one_where_it_must():
            found: tuple[Any, ...] = torch.func.vmap(of_row, in_dims=1)(xs, end_by_steps, *taken.before)
        return dict(zip(names, found, strict=True))

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

    def _of_states(self) -> Gradients:
        """Return the gradients of the first state and of the initial one."""
        found: Gradients = []
        for influence, state in ((self.of_first, self.state), (self.of_initial, self.initial)):
            whole = [None] * len(state) if influence is None else cut(influence.total.squeeze(2), state)
            found += [g if tensor.requires_grad else None for g, tensor in zip(whole, state, strict=True)]
        return found

    def of_all_weights(self) -> Gradients:
        """Return the gradient of each weight: at once, and through the states."""
        found = list(self.direct)
        for k, influence in self.of_weights.items():
            found[k] = _sum(found[k], influence.total.reshape(self.weights[k].shape))
        return found


def _asks(tensors: Sequence[Tensor]) -> bool:
    return any(tensor.requires_grad for tensor in tensors)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other


def flat(state: Sequence[Tensor]) -> Tensor:
    """Join the features of state tensors (B, ...) in a row: (B, N)."""
    return torch.cat([tensor.flatten(1) for tensor in state], dim=1)
