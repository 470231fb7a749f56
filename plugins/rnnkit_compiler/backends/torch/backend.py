"""The plan run with torch's operations: on any device, with any operation, and differentiable as often as one likes."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Backend, Sequences, Tensors, Unrolled
from rnnkit_compiler.trace.script import Multiply, Script

LEAST = 1 << 21
"""Rows times elements of the matrices from which on deferring their gradients beats the plain loop, on a CPU."""

LEAST_ELSEWHERE = 1 << 28
"""The same on other devices, by estimate and not measured: a product that waits costs some 40 us of Python a step, and
saves one product of the rows and one addition to the weights' gradient."""


class TorchSteps(Backend):
    """Steps through time by a script of the step.

    Args:
        script: takes the parts of one step, the state and the invariants; gives the output and the next state.
        products: the places, among the invariants, of the matrices that rows are multiplied by.
        elements: of these matrices together.
        defer: whether each matrix gets its gradient in one product over all steps.
        least: rows times elements from which on that beats the plain loop.
    """

    name = "torch"

    def __init__(self, script: Script, products: Sequence[int], elements: int, defer: bool, least: int = LEAST) -> None:
        self._script, self._products, self._elements = script, products, elements
        self._defer, self._least = defer, least

    def run(self, tensors: Tensors, sequences: Sequences) -> Unrolled:
        """Step through time, one operation after the other."""
        parts, states, initial, invariants = tensors
        multiply: Multiply = torch.mm
        if self._defer and torch.is_grad_enabled():
            multiply, invariants = _deferring(invariants, self._products)
        live = None
        if sequences.lengths is not None:
            device = sequences.lengths.device
            live = torch.arange(sequences.steps, device=device).unsqueeze(1) < sequences.lengths
        state = tuple(states)
        slices = [part.unbind(0) for part in parts]
        ys = []
        for t in range(sequences.steps):
            before = state
            if sequences.reset is not None:
                state = _choose(sequences.reset[t], initial, state)
            at_t = (part[t] for part in slices)
            y, *after = self._script(sequences.batch, *at_t, *state, *invariants, multiply=multiply)
            state = tuple(after)
            if live is not None:
                (y,) = _choose(live[t], (y,), (torch.zeros_like(y),))
                state = _choose(live[t], state, before)
            ys.append(y)
        return torch.stack(ys), state

    def explain(self) -> Iterator[str]:
        """Say what is deferred, and print the step."""
        yield f"deferred to one product over all steps: the gradients of {len(self._products)} matrices"
        yield "the step:"
        yield self._script.text

    def is_worth_it(self, batch: int) -> bool:
        """Tell whether the products are large enough for their deferred gradients to pay."""
        return batch * self._elements >= self._least


def _choose(rows: Tensor, chosen: Sequence[Tensor], other: Sequence[Tensor]) -> tuple[Tensor, ...]:
    return tuple(torch.where(rows.view(-1, *[1] * (a.ndim - 1)), a, b) for a, b in zip(chosen, other, strict=True))


def _deferring(invariants: Sequence[Tensor], products: Sequence[int]) -> tuple[Multiply, list[Tensor]]:
    """Give a product whose matrix waits for its gradient, and the invariants with those matrices in their handles."""
    pairs: dict[int, list[tuple[Tensor, Tensor]]] = {}
    handles = list(invariants)
    for place in products:
        own: list[tuple[Tensor, Tensor]] = []
        handles[place] = Handle.apply(own, invariants[place])  # type: ignore[no-untyped-call]
        pairs[id(handles[place])] = own

    def multiply(rows: Tensor, matrix: Tensor) -> Tensor:
        result: Tensor = Product.apply(pairs[id(matrix)], rows, matrix)  # type: ignore[no-untyped-call]
        return result

    return multiply, handles


class Handle(torch.autograd.Function):
    """The identity on a matrix. On the way back it comes after all products, and adds what they have left to do."""

    @staticmethod
    def forward(ctx: Any, pairs: list[tuple[Tensor, Tensor]], matrix: Tensor) -> Tensor:
        """Give the matrix under a handle of its own."""
        ctx.pairs = pairs
        return matrix.view_as(matrix)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        """Add what the products have left, in one product over all steps."""
        if ctx.pairs:
            rows, grads = (torch.cat(tensors) for tensors in zip(*ctx.pairs, strict=True))
            ctx.pairs.clear()
            grad = grad + rows.t() @ grads
        return None, grad


class Product(torch.autograd.Function):
    """Rows times a matrix, whose gradient is left to its Handle; when it is to be differentiated again, at once."""

    @staticmethod
    def forward(ctx: Any, pairs: list[tuple[Tensor, Tensor]], rows: Tensor, matrix: Tensor) -> Tensor:
        """Multiply."""
        ctx.pairs = pairs
        ctx.save_for_backward(rows, matrix)
        return rows @ matrix

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor | None]:
        """Give the gradient of the rows, and leave the matrix's to its Handle."""
        rows, matrix = ctx.saved_tensors
        if torch.is_grad_enabled():
            return None, grad @ matrix.t(), rows.t() @ grad
        if ctx.needs_input_grad[2]:
            ctx.pairs.append((rows, grad))
        return None, grad @ matrix.t(), None
