"""The way back through a kernel, and the gradients that wait until it is done."""

from collections.abc import Iterable, Iterator, Sequence
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit_compiler.backends.base.backend import Sequences
from rnnkit_compiler.backends.base.passes import Pass
from rnnkit_compiler.backends.base.recurrence import Unrolling
from rnnkit_compiler.backends.cpp.boundary import Unfit
from rnnkit_compiler.backends.cpp.whole_products import Matrix
from rnnkit_compiler.backends.cpp.workspace import shared
from rnnkit_compiler.ir.lowering import Hoisted, Invariant


class MatrixGradient(NamedTuple):
    """The gradient (N, K) of an invariant matrix (K, N), by its number."""

    matrix: int
    grad: Tensor


class VectorGradient(NamedTuple):
    """Sums whose total is the gradient of an invariant vector, by its number: (sums, width)."""

    vector: int
    sums: Tensor


class Kept(NamedTuple):
    """What a way forward kept for the way back."""

    memory: Tensor
    """The buffers that nobody else sees, one behind the other."""

    y_states: Tensor | None
    """The state that is the output, before every step and after the last: (T + 1, B, H)."""

    parts: Sequence[Tensor]
    """Parts that the way back reads."""

    rooms: Sequence[Tensor]
    """What is kept in the form of parts."""


class BackwardPass(Pass):
    """The way back."""

    def __init__(
        self,
        unrolling: Unrolling,
        sequences: Sequences,
        tensors: Sequence[Tensor],
        needs: Sequence[bool],
        grads: Sequence[Tensor | None],
    ) -> None:
        super().__init__(unrolling, sequences, tensors)
        self.needs, self.grads = needs, grads
        self.needs_invariant = needs[len(needs) - len(self.invariants) :]

    def run(self, kept: Kept) -> list[Tensor | None]:
        """Return the gradient of every tensor of the call, from what the way forward kept.

        Raises:
            Unfit: a kernel may not touch one of the tensors; nothing has been computed.
        """
        self._enter_kept(kept)
        layout = self.unrolling.layout("Backward", self.steps, self.batch)
        scratch = shared.take((layout.size,), torch.uint8)
        self.enter_memory(scratch, layout)
        self.enter_vectors()
        self._enter_grads()
        before = self._enter_gradients_of_states()
        initial = [torch.zeros_like(state, memory_format=torch.contiguous_format) for state in self.initial]
        for k, tensor in enumerate(initial):
            self.enter(f"initial{k}", tensor)
        given = self._enter_gradients(kept.rooms)
        of_vectors = self._enter_vector_gradients()
        of_matrices = [*self._deferred(), *self._hoisted(of_vectors)]
        pieces = self._pieces()
        self.launch("Backward", self.steps + 1, True)
        parts = [self._of_part(k, grad, pieces) for k, grad in enumerate(given)]
        found: list[Tensor | None] = [*parts, *before, *initial, *self._invariants(of_matrices, of_vectors)]
        return [grad if need else None for grad, need in zip(found, self.needs, strict=True)]

    def _enter_gradients_of_states(self) -> list[Tensor | None]:
        """Have room for the gradients of the states before the first step."""
        found: list[Tensor | None] = []
        for k, state in enumerate(self.states):
            wanted = self.needs[self.unrolling.given_parts + k]
            found.append(self.enter(f"last{k}", torch.empty(state.shape, dtype=state.dtype)) if wanted else None)
        return found

    def _enter_kept(self, kept: Kept) -> None:
        """Let the kernel have what the way forward kept, and what products of the input alone read."""
        layout = self.unrolling.layout("Forward", self.steps, self.batch)
        fits = kept.memory.dtype == self.dtype and kept.memory.nbytes == layout.size and kept.memory.is_contiguous()
        if not fits:
            raise Unfit("what the way forward kept has changed")
        self.enter_memory(kept.memory, layout)
        if kept.y_states is not None:
            self.admit(f"state{self.plan.y_state}", kept.y_states)
        for k, part in zip(self.plan.reads_parts, kept.parts, strict=True):
            self.admit(f"part{k}", part)
        for k, room in zip(self.plan.kept, kept.rooms, strict=True):
            self.admit(f"kept{k}", room)
        for k in {hoisted.part for hoisted in self.step.hoisted}.difference(self.plan.reads_parts):
            self.admit(f"part{k}", self.parts[k])

    def _enter_grads(self) -> None:
        grad_y, *grads = self.grads
        if grad_y is None:
            grad_y = torch.zeros(self.steps, self.batch, self.step.output.width, dtype=self.dtype, device="cpu")
        self.admit("grad_y", grad_y)
        for k, grad in enumerate(grads):
            if grad is not None:
                self.admit(f"first{k}", grad)

    def _enter_gradients(self, rooms: Sequence[Tensor]) -> list[Tensor | None]:
        """Have room for the gradients of products and parts; gives those of given parts (None: no step reads it)."""
        found: dict[str, Tensor] = {}
        room_of = {f"kept{k}": room for k, room in zip(self.plan.kept, rooms, strict=True)}
        written = {self._name_of_part(k) for k in range(self.unrolling.given_parts)}
        kept = _graph_is_kept()
        for name, width in self.plan.gradient_widths.items():
            overlay = self.plan.written_over.get(name)
            if overlay is None or kept or not self.may_overlay(overlay.alone):
                found[name] = self.enter(name, self.take(self.steps, self.batch, width))
            else:  # nobody will ask for what was kept again
                self.addresses[name] = self.addresses[overlay.over]
                if name in written:
                    found[name] = room_of[overlay.over].detach().view(self.steps, self.batch, width)
        return [found.get(self._name_of_part(k)) for k in range(self.unrolling.given_parts)]

    def _name_of_part(self, k: int) -> str:
        """Name the buffer of a part's gradient: that of a product, if it is the same."""
        same = self.plan.part_products.get(k)
        return f"grad_part{k}" if same is None else f"grad_product{same}"

    def _enter_vector_gradients(self) -> list[VectorGradient]:
        """Have room for the gradients of the vectors: each thread adds up its own, and there may be few."""
        found = []
        for k, node in enumerate(self.plan.derivative.vectors):
            if node.op != "number":
                sums = torch.zeros(self.shares.threads, node.width, dtype=self.dtype, device="cpu")
                found.append(VectorGradient(k, self.enter(f"grad_vector{k}", sums)))
        return found

    def _deferred(self) -> Iterator[MatrixGradient]:
        """Have the gradients of the matrices computed that every step multiplies by."""
        for deferred, which in zip(self.plan.derivative.deferred, self.plan.products, strict=True):
            node = deferred.operand
            name = f"state{node.attr[0]}" if node.op == "state" else f"operand{self.plan.operands.index(node)}"
            grads = self.rows(f"grad_product{which}", deferred.gradient.width)
            if self.needs_invariant[self.unrolling.of_matrix[deferred.matrix]]:
                yield self._of_matrix(deferred.matrix, grads, self.rows(name, node.width), None)

    def _hoisted(self, of_vectors: list[VectorGradient]) -> Iterator[MatrixGradient]:
        """Have the gradients computed of the matrices that the input is multiplied by, and of their biases."""
        for hoisted, grads in self._gradients_of_hoisted():
            sums = None
            if hoisted.bias is not None and self.needs_invariant[self.unrolling.of_vector[hoisted.bias]]:
                sums = torch.empty(1, grads.columns, dtype=self.dtype, device="cpu")
                of_vectors.append(VectorGradient(hoisted.bias, sums))
            if sums is not None or self.needs_invariant[self.unrolling.of_matrix[hoisted.matrix]]:
                address = None if sums is None else sums.data_ptr()
                yield self._of_matrix(hoisted.matrix, grads, self.piece(hoisted), address)

    def _pieces(self) -> list[tuple[Hoisted, Tensor]]:
        """Have the gradients computed of the pieces of parts that are multiplied for all steps at once."""
        return [
            (
                hoisted,
                self.multiply((self.steps, self.batch, hoisted.width), grads, self.matrices[hoisted.matrix].turned),
            )
            for hoisted, grads in self._gradients_of_hoisted()
            if self.needs[hoisted.part]
        ]

    def _gradients_of_hoisted(self) -> Iterator[tuple[Hoisted, Matrix]]:
        """Give the products of the input alone that the steps read, and the gradient of each."""
        for k, hoisted in enumerate(self.step.hoisted, self.unrolling.given_parts):
            if not self.plan.derivative.parts[k].is_zero:
                yield hoisted, self.rows(self._name_of_part(k), self.step.part_widths[k])

    def _of_matrix(self, k: int, grads: Matrix, rows: Matrix, sums: int | None) -> MatrixGradient:
        return MatrixGradient(k, self.multiply((grads.columns, rows.columns), grads.turned, rows, row_sums=sums))

    def _of_part(self, k: int, total: Tensor | None, pieces: Sequence[tuple[Hoisted, Tensor]]) -> Tensor | None:
        """Give the gradient of a given part: what the steps gave, and what comes back through products."""
        part = self.parts[k]
        if not part.is_floating_point() or not self.needs[k]:
            return None
        for hoisted, of_piece in pieces:
            if hoisted.part == k:
                total = _added(total, of_piece, hoisted, part)
        return torch.zeros_like(part) if total is None else total.view(part.shape)

    def _invariants(
        self, of_matrices: Iterable[MatrixGradient], of_vectors: Iterable[VectorGradient]
    ) -> list[Tensor | None]:
        """Give the gradients of the invariants, of which matrices and vectors may be parts."""
        found: list[Tensor | None] = [None] * len(self.invariants)
        for k, grad in of_matrices:
            place = self.unrolling.of_matrix[k]
            if self.needs_invariant[place]:
                _add(found, place, _unmatrix(grad, self.step.matrices[k], self.invariants[place]))
        for k, sums in of_vectors:
            place = self.unrolling.of_vector[k]
            if self.needs_invariant[place]:
                total = sums[0] if len(sums) == 1 else sums.sum(0)
                _add(found, place, _unvector(total, self.step.vectors[k], self.invariants[place]))
        return found


def _add(found: list[Tensor | None], place: int, grad: Tensor) -> None:
    before = found[place]
    found[place] = grad if before is None else before + grad


def _graph_is_kept() -> bool:
    """Whether there may be another way back through the same graph."""
    return bool(torch._C._autograd._get_current_graph_task_keep_graph())


def _added(total: Tensor | None, of_piece: Tensor, hoisted: Hoisted, part: Tensor) -> Tensor:
    """Give the gradient of a part with that of a piece of it added."""
    width = prod(part.shape[2:])
    if total is None and hoisted.width == width:
        return of_piece
    # what comes in may be the gradient of something else as well
    total = of_piece.new_zeros(*part.shape[:2], width) if total is None else total.clone()
    total[..., hoisted.offset : hoisted.offset + hoisted.width] += of_piece
    return total


def _unmatrix(grad: Tensor, invariant: Invariant, tensor: Tensor) -> Tensor:
    """Give the gradient of the tensor of which the matrix (K, N) with gradient (N, K) is a part, or the transpose."""
    turned = grad if invariant.turned else grad.t()
    if turned.numel() == tensor.numel():
        return turned.reshape(tensor.shape)
    whole = torch.zeros_like(tensor, memory_format=torch.contiguous_format)
    flat = whole.unsqueeze(0 if invariant.turned else 1) if whole.ndim == 1 else whole.view(whole.shape[-2:])
    (flat.t() if invariant.turned else flat)[invariant.offset : invariant.offset + invariant.shape[0]] = grad.t()
    return whole


def _unvector(grad: Tensor, invariant: Invariant, tensor: Tensor) -> Tensor:
    """Give the gradient of the tensor that was expanded and made flat."""
    if grad.numel() == tensor.numel():
        return grad.reshape(tensor.shape)
    return grad.reshape(invariant.shape).sum_to_size(tensor.shape)
