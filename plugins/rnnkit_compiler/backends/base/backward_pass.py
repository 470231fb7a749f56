"""The backward pass through a kernel, and the gradients that wait until it is done."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base import numbered
from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.forward_pass import Kept
from rnnkit_compiler.backends.base.invariant_gradients import InvariantGradients, MatrixGradient, VectorGradient
from rnnkit_compiler.backends.base.passes import Pass, Sample
from rnnkit_compiler.backends.base.runtime import Matrix, Spot, Unfit
from rnnkit_compiler.backends.base.whole_gradients import with_columns
from rnnkit_compiler.ir.derivative import Deferred
from rnnkit_compiler.ir.lowered import Hoisted
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.plan import state_of


class Incoming(NamedTuple):
    """What a backward pass is given."""

    needs: Sequence[bool]
    """Which tensors of the call are to have a gradient."""

    grads: Sequence[Tensor | None]
    """The gradients of outputs and last states."""

    again: bool
    """Whether what was kept may be read again: by another backward pass, or by whoever has it through hooks."""


class BackwardPass(Pass):
    """The backward pass.

    Args:
        sample: a call of the form.
        kept: by its forward pass.
        incoming: what else it is given.
    """

    def __init__(self, sample: Sample, kept: Kept, incoming: Incoming) -> None:
        recurrence, _, tensors, foreknown = sample
        given = _given(tensors, kept, incoming)
        super().__init__("Backward", sample, len(given) - len(tensors))
        self.needs, self._again = incoming.needs, incoming.again
        self._added = foreknown.added
        self.needs_invariant = [self.needs[number] for number in self.given_invariants]
        for place, addend in zip(self._added, self.addends, strict=True):
            self.needs_invariant[place] |= self.needs[addend]
        numbers = iter(range(len(tensors), len(given)))
        rooms = self._enter_kept(kept, numbers)
        layout = recurrence.layout("Backward", self.steps, self.batch)
        self.enter_memory(self.room(layout.size // self.dtype.itemsize), layout)
        self.enter_vectors()
        self._enter_grads(incoming.grads, numbers)
        self._of_states = self._enter_gradients_of_states()
        self._of_initial = [
            self.enter(numbered.initial(k), self.zeros(*self.shapes[number])) for k, number in enumerate(self.initial)
        ]
        self._of_given = self._enter_gradients(rooms)
        of_vectors = self._enter_vector_gradients()
        of_matrices = [*self._deferred(), *self._hoisted(of_vectors)]
        shapes = [self.shapes[number] for number in self.invariants]
        self._of_invariants = InvariantGradients(recurrence, shapes, self.needs_invariant, of_matrices, of_vectors)
        self._of_inputs = self._gradients_of_inputs()
        self._bytes_kept = recurrence.layout("Forward", self.steps, self.batch).size
        self.prepare(self.steps + 1, True)

    def run(self, timeline: Timeline, tensors: Sequence[Tensor], kept: Kept, incoming: Incoming) -> list[Tensor | None]:
        """Return the gradient of every tensor of the call, from what the forward pass kept.

        Raises:
            Unfit: a kernel may not touch one of the tensors; nothing has been computed.
        """
        memory = kept.memory
        if memory.dtype != self.dtype or memory.nbytes != self._bytes_kept or not memory.is_contiguous():
            raise Unfit("what the forward pass kept has changed")
        known = self.run_on(_given(tensors, kept, incoming), timeline)
        parts = [self._of_part(k, known) for k in self.parts]
        states = [None if number is None else known[number] for number in self._of_states]
        initial = [known[number] for number in self._of_initial]
        invariants = self._of_invariants(known, self.given_invariants)
        grads = [*parts, *states, *initial, *invariants, *(invariants[place] for place in self._added)]
        return [grad if need else None for grad, need in zip(grads, self.needs, strict=True)]

    def _enter_kept(self, kept: Kept, numbers: Iterator[int]) -> list[int]:
        """Let the kernel have what the forward pass kept, and what products of the input alone read.

        Return what is kept in the form of parts.
        """
        memory = next(numbers)
        self._outside.add(memory)
        self.enter_memory(memory, self.recurrence.layout("Forward", self.steps, self.batch))
        if self.plan.y_state is not None and kept.y_states is not None:
            self.admit(numbered.state(self.plan.y_state), next(numbers))
        for k, number in zip(self.plan.reads_parts, numbers, strict=False):
            self.admit(numbered.part(k), number)
        rooms = [self.admit(numbered.kept(k), number) for k, number in zip(self.plan.kept, numbers, strict=False)]
        for k in {hoisted.part for hoisted in self.step.hoisted}.difference(self.plan.reads_parts):
            self.admit(numbered.part(k), self.parts[k])
        return rooms

    def _enter_grads(self, grads: Sequence[Tensor | None], numbers: Iterator[int]) -> None:
        grad_y, *of_states = grads
        shape = (self.steps, self.batch, self.step.output.width)
        self.admit(numbered.GRAD_Y, self.zeros(*shape) if grad_y is None else next(numbers))
        for k, grad in enumerate(of_states):
            if grad is not None:
                self.admit(numbered.first(k), next(numbers))

    def _enter_gradients_of_states(self) -> list[int | None]:
        """Have room for the gradients of the states before the first step."""
        connected = self.step.connected.states
        reached = [self.needs[number] and connected[k] for k, number in enumerate(self.states)]
        rooms = [self.fresh(self.shapes[k]) if here else None for k, here in zip(self.states, reached, strict=True)]
        return [None if room is None else self.enter(numbered.last(k), room) for k, room in enumerate(rooms)]

    def _enter_gradients(self, rooms: Sequence[int]) -> list[int | None]:
        """Have room for the gradients of products and parts; return those of given parts (None: no step reads it)."""
        grads: dict[Buffer, int] = {}
        room_of = {numbered.kept(k): room for k, room in zip(self.plan.kept, rooms, strict=True)}
        given = [self._gradient_of_part(k) for k in range(self.recurrence.given_parts)]
        for buffer, width in self.plan.gradient_widths.items():
            overlay = self.plan.written_over.get(buffer)
            if overlay is None or self._again or not self.may_overlay(overlay.alone):
                grads[buffer] = self.enter(buffer, self.room(self.steps, self.batch, width))
            else:  # nobody will ask for what was kept again
                self.locations[buffer] = self.locations[overlay.over]
                if buffer in given:
                    grads[buffer] = room_of[overlay.over]
        return [grads.get(buffer) for buffer in given]

    def _gradient_of_part(self, k: int) -> Buffer:
        """Return the buffer of a part's gradient: that of a product, if it is the same."""
        same = self.plan.part_products.get(k)
        return numbered.grad_part(k) if same is None else numbered.grad_product(same)

    def _enter_vector_gradients(self) -> list[VectorGradient]:
        """Have room for the gradients of the vectors: each worker adds up its own, and there may be few."""
        gradients, dtype = [], self.runtime.dtype_of_sums
        alone = self.shares.workers == 1 and dtype == self.dtype
        for k, node in enumerate(self.plan.derivative.vectors):
            if node.op != "number":
                is_total = alone and self._is_whole(k)
                shape = self._shape_of_vector(k) if is_total else (self.shares.workers, node.width)
                sums = self.enter(numbered.grad_vector(k), self.sums(*shape))
                gradients.append(VectorGradient(k, sums, is_total))
        return gradients

    def _shape_of_vector(self, k: int) -> torch.Size:
        """Return the shape of the invariant that a vector is, or is expanded from."""
        return self.shapes[self.invariants[self.recurrence.of_vector[k]]]

    def _is_whole(self, k: int) -> bool:
        """Tell whether a vector has each number of its invariant once."""
        return self._shape_of_vector(k).numel() == prod(self.step.vectors[k].shape)

    def _deferred(self) -> Iterator[MatrixGradient]:
        """Have the gradients of the matrices computed that every step multiplies by."""
        for deferred, which in zip(self.plan.derivative.deferred, self.plan.products, strict=True):
            grads = self._pieces(numbered.grad_product(which), deferred.gradient.width, deferred)
            if self.needs_invariant[self.recurrence.of_matrix[deferred.matrix]]:
                yield self._of_matrix(deferred.matrix, grads, self._multiplied(deferred), None)

    def _multiplied(self, deferred: Deferred) -> Matrix:
        """Describe what a product has multiplied at all steps."""
        node, state = deferred.operand, state_of(deferred)
        if state is None:
            return self._pieces(numbered.operand(self.plan.operands.index(node)), node.width, deferred)
        whole = self._pieces(numbered.state(state.attr[0]), state.width, deferred)
        if node is state:
            return whole
        return whole._replace(location=whole.location.shifted(node.attr[0]), columns=node.width)

    def _pieces(self, buffer: Buffer, width: int, deferred: Deferred) -> Matrix:
        """Describe what is in a buffer of the pieces of rows that a matrix multiplies."""
        if deferred.piece is None:
            return self.rows(buffer, width, deferred.pieces)
        whole, own = self.rows(buffer, width), width // deferred.pieces
        return whole._replace(location=whole.location.shifted(deferred.piece * own), columns=own)

    def _hoisted(self, of_vectors: list[VectorGradient]) -> Iterator[MatrixGradient]:
        """Have the gradients computed of the matrices that the input is multiplied by, and of their biases."""
        for hoisted, grads in self._gradients_of_hoisted():
            sums = None
            if hoisted.bias is not None and self.needs_invariant[self.recurrence.of_vector[hoisted.bias]]:
                is_total = self._is_whole(hoisted.bias)
                sums = self.fresh(self._shape_of_vector(hoisted.bias) if is_total else (1, grads.columns))
                of_vectors.append(VectorGradient(hoisted.bias, sums, is_total))
            if sums is not None or self.needs_invariant[self.recurrence.of_matrix[hoisted.matrix]]:
                location = None if sums is None else Spot(sums)
                yield self._of_matrix(hoisted.matrix, grads, self.input_of(hoisted), location)

    def _gradients_of_inputs(self) -> list[tuple[Hoisted, int]]:
        """Have the gradients computed of what is multiplied for all steps at once: columns of parts."""
        return [
            (hoisted, self.multiply((self.steps, self.batch, hoisted.width), grads, matrix.transposed))
            for hoisted, grads in self._gradients_of_hoisted()
            if self.needs[hoisted.part]
            for matrix in [self.matrices[hoisted.matrix]]
        ]

    def _gradients_of_hoisted(self) -> Iterator[tuple[Hoisted, Matrix]]:
        """Return the products of the input alone that the steps read, and the gradient of each."""
        for k, hoisted in enumerate(self.step.hoisted, self.recurrence.given_parts):
            if not self.plan.derivative.parts[k].is_zero:
                yield hoisted, self.rows(self._gradient_of_part(k), self.step.part_widths[k])

    def _of_matrix(self, k: int, grads: Matrix, rows: Matrix, sums: Spot | None) -> MatrixGradient:
        return MatrixGradient(k, self.multiply_over_steps(grads.transposed, rows, sums))

    def _of_part(self, k: int, known: Sequence[Tensor]) -> Tensor | None:
        """Return the gradient of a given part: what the steps return, and what comes back through products."""
        part, number = known[k], self._of_given[k]
        if not part.is_floating_point() or not self.needs[k]:
            return None
        total = None if number is None else known[number].detach().view(self.steps, self.batch, -1)
        for hoisted, grad in self._of_inputs:
            if hoisted.part == k:
                total = with_columns(total, known[grad], hoisted, part)
        if total is None:
            return torch.zeros_like(part) if self.step.connected.parts[k] else None
        return total.view(part.shape)


def _given(tensors: Sequence[Tensor], kept: Kept, incoming: Incoming) -> list[Tensor]:
    """Return the tensors of a call by their numbers."""
    others = (kept.memory, kept.y_states, *kept.parts, *kept.rooms, *incoming.grads)
    return [*tensors, *(tensor for tensor in others if tensor is not None)]
