"""The backward pass through a kernel, and the gradients that wait until it is done."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base import numbered
from rnnkit_compiler.backends.base.backend import Timeline
from rnnkit_compiler.backends.base.passes import Pass
from rnnkit_compiler.backends.base.recurrence import Recurrence
from rnnkit_compiler.backends.base.runtime import Location, Matrix, Unfit
from rnnkit_compiler.backends.base.whole_gradients import of_unexpanded, with_columns, with_matrix
from rnnkit_compiler.ir.derivative import Deferred
from rnnkit_compiler.ir.lowered import Hoisted
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.plan import state_of


class MatrixGradient(NamedTuple):
    """The gradient (N, K) of an invariant matrix (K, N), by its number."""

    matrix: int
    grad: Tensor


class VectorGradient(NamedTuple):
    """Sums whose total is the gradient of an invariant vector, by its number: (sums, width)."""

    vector: int
    sums: Tensor


class SavedTensors(NamedTuple):
    """What a forward pass kept for backward."""

    memory: Tensor
    """The buffers that nobody else sees, one behind the other."""

    y_states: Tensor | None
    """The state that is the output, before every step and after the last: (T + 1, B, H)."""

    parts: Sequence[Tensor]
    """Parts that backward reads."""

    rooms: Sequence[Tensor]
    """What is kept in the form of parts."""


class BackwardPass(Pass):
    """The backward pass."""

    def __init__(
        self,
        recurrence: Recurrence,
        timeline: Timeline,
        tensors: Sequence[Tensor],
        needs: Sequence[bool],
        grads: Sequence[Tensor | None],
    ) -> None:
        super().__init__(recurrence, timeline, tensors)
        self.needs, self.grads = needs, grads
        self.needs_invariant = needs[len(needs) - len(self.invariants) :]

    def run(self, kept: SavedTensors) -> list[Tensor | None]:
        """Return the gradient of every tensor of the call, from what the forward pass kept.

        Raises:
            Unfit: a kernel may not touch one of the tensors; nothing has been computed.
        """
        self._enter_kept(kept)
        layout = self.recurrence.layout("Backward", self.steps, self.batch)
        scratch = self.runtime.allocate((layout.size,), torch.uint8)
        self.enter_memory(scratch, layout)
        self.enter_vectors()
        self._enter_grads()
        before = self._enter_gradients_of_states()
        initial = [torch.zeros_like(state, memory_format=torch.contiguous_format) for state in self.initial]
        for k, tensor in enumerate(initial):
            self.enter(numbered.initial(k), tensor)
        given = self._enter_gradients(kept.rooms)
        of_vectors = self._enter_vector_gradients()
        of_matrices = [*self._deferred(), *self._hoisted(of_vectors)]
        of_inputs = self._gradients_of_inputs()
        self.launch("Backward", self.steps + 1, True)
        parts = [self._of_part(k, grad, of_inputs) for k, grad in enumerate(given)]
        grads = [*parts, *before, *initial, *self._invariants(of_matrices, of_vectors)]
        return [grad if need else None for grad, need in zip(grads, self.needs, strict=True)]

    def _enter_gradients_of_states(self) -> list[Tensor | None]:
        """Have room for the gradients of the states before the first step."""
        grads: list[Tensor | None] = []
        for k, state in enumerate(self.states):
            wanted = self.needs[self.recurrence.given_parts + k]
            room = torch.empty(state.shape, dtype=state.dtype, device=self.device) if wanted else None
            grads.append(None if room is None else self.enter(numbered.last(k), room))
        return grads

    def _enter_kept(self, kept: SavedTensors) -> None:
        """Let the kernel have what the forward pass kept, and what products of the input alone read."""
        layout = self.recurrence.layout("Forward", self.steps, self.batch)
        fits = kept.memory.dtype == self.dtype and kept.memory.nbytes == layout.size and kept.memory.is_contiguous()
        if not fits:
            raise Unfit("what the forward pass kept has changed")
        self.enter_memory(kept.memory, layout)
        if self.plan.y_state is not None and kept.y_states is not None:
            self.admit(numbered.state(self.plan.y_state), kept.y_states)
        for k, part in zip(self.plan.reads_parts, kept.parts, strict=True):
            self.admit(numbered.part(k), part)
        for k, room in zip(self.plan.kept, kept.rooms, strict=True):
            self.admit(numbered.kept(k), room)
        for k in {hoisted.part for hoisted in self.step.hoisted}.difference(self.plan.reads_parts):
            self.admit(numbered.part(k), self.parts[k])

    def _enter_grads(self) -> None:
        grad_y, *grads = self.grads
        if grad_y is None:
            grad_y = torch.zeros(self.steps, self.batch, self.step.output.width, dtype=self.dtype, device=self.device)
        self.admit(numbered.GRAD_Y, grad_y)
        for k, grad in enumerate(grads):
            if grad is not None:
                self.admit(numbered.first(k), grad)

    def _enter_gradients(self, rooms: Sequence[Tensor]) -> list[Tensor | None]:
        """Have room for the gradients of products and parts; return those of given parts (None: no step reads it)."""
        grads: dict[Buffer, Tensor] = {}
        room_of = {numbered.kept(k): room for k, room in zip(self.plan.kept, rooms, strict=True)}
        given = [self._gradient_of_part(k) for k in range(self.recurrence.given_parts)]
        again = _graph_is_kept()
        for buffer, width in self.plan.gradient_widths.items():
            overlay = self.plan.written_over.get(buffer)
            if overlay is None or again or not self.may_overlay(overlay.alone):
                grads[buffer] = self.enter(buffer, self.allocate(self.steps, self.batch, width))
            else:  # nobody will ask for what was kept again
                self.locations[buffer] = self.locations[overlay.over]
                if buffer in given:
                    grads[buffer] = room_of[overlay.over].detach().view(self.steps, self.batch, width)
        return [grads.get(buffer) for buffer in given]

    def _gradient_of_part(self, k: int) -> Buffer:
        """Return the buffer of a part's gradient: that of a product, if it is the same."""
        same = self.plan.part_products.get(k)
        return numbered.grad_part(k) if same is None else numbered.grad_product(same)

    def _enter_vector_gradients(self) -> list[VectorGradient]:
        """Have room for the gradients of the vectors: each worker adds up its own, and there may be few."""
        gradients = []
        for k, node in enumerate(self.plan.derivative.vectors):
            if node.op != "number":
                dtype = self.runtime.dtype_of_sums
                sums = torch.zeros(self.shares.workers, node.width, dtype=dtype, device=self.device)
                gradients.append(VectorGradient(k, self.enter(numbered.grad_vector(k), sums)))
        return gradients

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
        return whole._replace(location=self.runtime.shifted(whole.location, node.attr[0]), columns=node.width)

    def _pieces(self, buffer: Buffer, width: int, deferred: Deferred) -> Matrix:
        """Describe what is in a buffer of the pieces of rows that a matrix multiplies."""
        if deferred.piece is None:
            return self.rows(buffer, width, deferred.pieces)
        whole, own = self.rows(buffer, width), width // deferred.pieces
        return whole._replace(location=self.runtime.shifted(whole.location, deferred.piece * own), columns=own)

    def _hoisted(self, of_vectors: list[VectorGradient]) -> Iterator[MatrixGradient]:
        """Have the gradients computed of the matrices that the input is multiplied by, and of their biases."""
        for hoisted, grads in self._gradients_of_hoisted():
            sums = None
            if hoisted.bias is not None and self.needs_invariant[self.recurrence.of_vector[hoisted.bias]]:
                sums = torch.empty(1, grads.columns, dtype=self.dtype, device=self.device)
                of_vectors.append(VectorGradient(hoisted.bias, sums))
            if sums is not None or self.needs_invariant[self.recurrence.of_matrix[hoisted.matrix]]:
                location = None if sums is None else self.runtime.location_of_own(sums)
                yield self._of_matrix(hoisted.matrix, grads, self.input_of(hoisted), location)

    def _gradients_of_inputs(self) -> list[tuple[Hoisted, Tensor]]:
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

    def _of_matrix(self, k: int, grads: Matrix, rows: Matrix, sums: Location | None) -> MatrixGradient:
        return MatrixGradient(k, self.multiply((grads.columns, rows.columns), grads.transposed, rows, row_sums=sums))

    def _of_part(self, k: int, total: Tensor | None, of_inputs: Sequence[tuple[Hoisted, Tensor]]) -> Tensor | None:
        """Return the gradient of a given part: what the steps return, and what comes back through products."""
        part = self.parts[k]
        if not part.is_floating_point() or not self.needs[k]:
            return None
        for hoisted, grad in of_inputs:
            if hoisted.part == k:
                total = with_columns(total, grad, hoisted, part)
        return torch.zeros_like(part) if total is None else total.view(part.shape)

    def _invariants(
        self, of_matrices: Iterable[MatrixGradient], of_vectors: Iterable[VectorGradient]
    ) -> list[Tensor | None]:
        """Return the gradients of the invariants, of which matrices and vectors may be parts."""
        grads: list[Tensor | None] = [None] * len(self.invariants)

        def add(place: int, grad: Tensor) -> None:
            before = grads[place]
            grads[place] = grad if before is None else before + grad

        for k, grad in of_matrices:
            place = self.recurrence.of_matrix[k]
            if self.needs_invariant[place]:
                grads[place] = with_matrix(grads[place], grad, self.step.matrices[k], self.invariants[place])
        for k, sums in of_vectors:
            place = self.recurrence.of_vector[k]
            if self.needs_invariant[place]:
                total = (sums[0] if len(sums) == 1 else sums.sum(0)).to(self.dtype)
                add(place, of_unexpanded(total, self.step.vectors[k], self.invariants[place]))
        return grads


def _graph_is_kept() -> bool:
    """Whether there may be another backward pass through the same graph."""
    return bool(torch._C._autograd._get_current_graph_task_keep_graph())
