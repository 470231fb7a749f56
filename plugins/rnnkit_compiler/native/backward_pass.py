"""The way back through a kernel, and the gradients that wait until it is done."""

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor

from rnnkit_compiler.form.graph import Node
from rnnkit_compiler.form.lowering import Invariant
from rnnkit_compiler.native.layout import Layout
from rnnkit_compiler.native.linear import gradient_of_weight, product
from rnnkit_compiler.native.passes import Pass, matrix_of
from rnnkit_compiler.native.unrolling import Unrolling
from rnnkit_compiler.native.workspace import on_storage, shared
from rnnkit_compiler.run.backend import Sequences


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

    def run(self, memory: Tensor, y_states: Tensor | None, kept_parts: Sequence[Tensor]) -> list[Tensor | None]:
        """Give the gradient of every tensor of the call, from what the way forward kept."""
        unrolling = self.unrolling
        kept = unrolling.layout("Forward", self.steps, self.batch)
        self.enter_memory(memory, kept)
        if y_states is not None:
            self.enter(f"state{self.plan.y_state}", y_states)
        for k, part in zip(self.plan.reads_parts, kept_parts, strict=True):
            self.enter(f"part{k}", part)
        layout = unrolling.layout("Backward", self.steps, self.batch)
        scratch = shared.take((layout.size,), torch.uint8)
        self.enter_memory(scratch, layout)
        self.enter_vectors()
        self._enter_grads()
        before = [torch.empty(state.shape, dtype=state.dtype, device="cpu") for state in self.states]
        for k, tensor in enumerate(before):
            self.enter(f"last{k}", tensor)
        initial = [torch.zeros_like(state, memory_format=torch.contiguous_format) for state in self.initial]
        for k, tensor in enumerate(initial):
            self.enter(f"initial{k}", tensor)
        rows = (self.steps, self.batch)
        products = [self.take(*rows, node.width) for node in self.plan.product_gradients]
        for k, tensor in enumerate(products):
            self.enter(f"grad_product{k}", tensor)
        parts = self._parts(products)
        vectors = self._vectors()
        self.launch("Backward", self.steps + 1, True)
        operands = [self._operand(d.operand, memory, kept, y_states) for d in self.plan.derivative.deferred]
        invariants = self._invariants(products, vectors, operands, parts)
        given = [
            part.reshape(tensor.shape) if tensor.is_floating_point() else None
            for part, tensor in zip(parts, self.parts, strict=False)
        ]
        found: list[Tensor | None] = [*given, *before, *initial, *invariants]
        return [grad if need else None for grad, need in zip(found, self.needs, strict=True)]

    def _enter_grads(self) -> None:
        grad_y, *grads = self.grads
        if grad_y is None:
            grad_y = torch.zeros(self.steps, self.batch, self.step.output.width, dtype=self.dtype, device="cpu")
        self.enter("grad_y", grad_y)
        for k, grad in enumerate(grads):
            if grad is not None:
                self.enter(f"first{k}", grad)

    def _parts(self, products: list[Tensor]) -> list[Tensor]:
        """Give the tensors for the gradients of the parts; one that is a product's as well needs none of its own."""
        parts = []
        for k, width in enumerate(self.step.part_widths):
            same = self.plan.part_products.get(k)
            part = self.take(self.steps, self.batch, width) if same is None else products[same]
            if same is None:
                self.enter(f"grad_part{k}", part)
            parts.append(part)
        return parts

    def _vectors(self) -> dict[int, Tensor]:
        """Give the tensors for the gradients of the vectors: each thread adds up its own, and there may be few."""
        found = {}
        for k, node in enumerate(self.plan.derivative.vectors):
            if node.op != "number":
                sums = torch.zeros(self.shares.threads, node.width, dtype=self.dtype, device="cpu")
                found[k] = self.enter(f"grad_vector{k}", sums)
        return found

    def _operand(self, node: Node, memory: Tensor, kept: Layout, y_states: Tensor | None) -> Tensor:
        """Give what a product read, for all steps: (T * B, K)."""
        if node.op == "state" and node.attr[0] == self.plan.y_state:
            assert y_states is not None
            return y_states[:-1].flatten(0, 1)
        name = f"state{node.attr[0]}" if node.op == "state" else f"operand{self.plan.operands.index(node)}"
        shape = (self.steps * self.batch, node.width)
        start = (memory.storage_offset() + kept.offsets[name]) // self.dtype.itemsize
        return on_storage(memory, start, shape, self.dtype)

    def _invariants(
        self,
        products: list[Tensor],
        vectors: dict[int, Tensor],
        operands: list[Tensor],
        parts: list[Tensor],
    ) -> list[Tensor | None]:
        """Give the gradients of the invariants: of each matrix by one product over all steps."""
        found: list[Tensor | None] = [None] * len(self.invariants)
        for k, sums in vectors.items():
            place = self.unrolling.of_vector[k]
            if self.needs_invariant[place]:
                self._add(found, place, _unvector(sums.sum(0), self.step.vectors[k], self.invariants[place]))
        for deferred, which, rows in zip(self.plan.derivative.deferred, self.plan.products, operands, strict=True):
            self._add_matrix(found, deferred.matrix, rows, products[which].flatten(0, 1))
        if self.step.hoisted:
            self._hoisted(found, parts)
        elif len({part.data_ptr() for part in parts}) < len(parts):
            parts[:] = [part.clone() for part in parts]  # one tensor is the gradient of several; each gets its own
        return found

    def _hoisted(self, found: list[Tensor | None], parts: list[Tensor]) -> None:
        """Hand on the gradients of the parts that were split from products with the state."""
        given = self.unrolling.given_parts
        parts[:given] = [part.clone() for part in parts[:given]]
        for hoisted, grad in zip(self.step.hoisted, parts[given:], strict=True):
            piece = slice(hoisted.offset, hoisted.offset + hoisted.width)
            rows = self.parts[hoisted.part].detach().reshape(self.steps, self.batch, -1)[..., piece]
            self._add_matrix(found, hoisted.matrix, rows.flatten(0, 1), grad.flatten(0, 1))
            parts[hoisted.part][..., piece] += product(grad, self.matrix(hoisted.matrix).t())

    def _add_matrix(self, found: list[Tensor | None], k: int, rows: Tensor, grads: Tensor) -> None:
        """Add the gradient of a matrix, of which the invariant may be a part or the transpose."""
        place, invariant = self.unrolling.of_matrix[k], self.step.matrices[k]
        if not self.needs_invariant[place]:
            return
        tensor = self.invariants[place]
        grad = gradient_of_weight(rows, grads)  # (N, K)
        if prod(invariant.shape) == tensor.numel():
            self._add(found, place, (grad if invariant.turned else grad.t()).reshape(tensor.shape))
            return
        whole = torch.zeros_like(tensor, memory_format=torch.contiguous_format)
        matrix_of(whole, invariant).copy_(grad.t())
        self._add(found, place, whole)

    @staticmethod
    def _add(found: list[Tensor | None], place: int, grad: Tensor) -> None:
        before = found[place]
        found[place] = grad if before is None else before + grad


def _unvector(grad: Tensor, invariant: Invariant, tensor: Tensor) -> Tensor:
    """Give the gradient of the tensor that was expanded and made flat."""
    if grad.numel() == tensor.numel():
        return grad.reshape(tensor.shape)
    return grad.reshape(invariant.shape).sum_to_size(tensor.shape)
