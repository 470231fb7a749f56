"""A cell unrolled by a native kernel, as one operation of autograd."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.form.graph import Node
from rnnkit_compiler.form.lowering import Invariant
from rnnkit_compiler.native.kernel import Kernel, Matrix, Shares
from rnnkit_compiler.native.layout import Layout, lay_out
from rnnkit_compiler.native.linear import gradient_of_weight, product
from rnnkit_compiler.native.plan import KernelPlan
from rnnkit_compiler.native.team import threads
from rnnkit_compiler.native.workspace import on_storage, shared
from rnnkit_compiler.run.backend import Backend, Sequences, Tensors

ROWS_ALONE = 1 << 20
"""Bytes of weights up to which every thread may read all of them: they stay in its second cache."""

UNITS_PAY = 1 << 15
"""Bytes of weights from which on threads that share the units of few rows win more than their barrier costs."""


@dataclass
class Unrolling:
    """What is the same at every call: the plan and the kernel, and how the tensors of a call enter."""

    plan: KernelPlan
    kernel: Kernel
    numbers: list[int]
    """The invariants' numbers in the recording."""

    again: Backend
    """Runs the same steps with torch's operations."""

    layouts: dict[tuple[str, int, int], Layout] = field(default_factory=dict)

    def __post_init__(self) -> None:
        step = self.plan.step
        self.of_matrix = [self.numbers.index(matrix.number) for matrix in step.matrices]
        self.of_vector = [self.numbers.index(vector.number) for vector in step.vectors]
        self.weight_bytes = sum(prod(matrix.shape) for matrix in step.matrices) * step.dtype.itemsize
        self.given_parts = len(step.part_widths) - len(step.hoisted)

    def layout(self, name: str, steps: int, batch: int) -> Layout:
        """Give where the buffers of "Forward", "Inference" or "Backward" lie."""
        key = (name, steps, batch)
        known = self.layouts.get(key)
        if known is None:
            if len(self.layouts) > 200:
                self.layouts.clear()
            size = batch * self.plan.step.dtype.itemsize
            known = self.layouts[key] = lay_out((label, rows * size) for label, rows in self._buffers(name, steps))
        return known

    def _buffers(self, name: str, steps: int) -> list[tuple[str, int]]:
        """List the buffers that nobody else sees, and how many numbers each has for each row of the batch."""
        plan, step = self.plan, self.plan.step
        if name == "Backward":
            carried = [(f"grad_state{k}", 2 * width) for k, width in enumerate(step.state_widths)]
            return [*carried, *plan.backward.temporaries.items()]
        slots = steps + 1 if name == "Forward" else 2
        states = [(f"state{k}", slots * width) for k, width in enumerate(step.state_widths) if k != plan.y_state]
        if name == "Inference":
            return [*states, *self._own_state(slots), *plan.inference.temporaries.items()]
        saved = [(f"saved{k}", steps * node.width) for k, node in enumerate(plan.saved)]
        operands = [(f"operand{k}", steps * node.width) for k, node in enumerate(plan.operands)]
        return [*states, *saved, *operands, *plan.forward.temporaries.items()]

    def _own_state(self, slots: int) -> list[tuple[str, int]]:
        k = self.plan.y_state
        return [] if k is None else [(f"state{k}", slots * self.plan.step.state_widths[k])]


def apply(unrolling: Unrolling, tensors: Tensors, sequences: Sequences) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Run the kernel; give outputs (T, B, O) and the last state."""
    everything = (*tensors.parts, *tensors.states, *tensors.initial, *tensors.invariants)
    training = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in everything)
    ys, *last = Unrolled.apply(unrolling, sequences, training, *everything)  # type: ignore[no-untyped-call]
    return ys, tuple(last)


class Unrolled(torch.autograd.Function):
    """Outputs and last states; the gradients of the matrices wait until the last step is done.

    Tensors, in order: parts (T, B, w), states (B, w), initial states for rows that start again (none without them),
    invariants. Not twice differentiable by itself: under `create_graph` the steps run again with torch's operations.
    """

    @staticmethod
    def forward(
        ctx: Any, unrolling: Unrolling, sequences: Sequences, training: bool, *tensors: Tensor
    ) -> tuple[Tensor, ...]:
        """Run the kernel, keeping what the way back reads if training."""
        call = _Forward(unrolling, sequences, tensors, training)
        ys, last = call.run()
        if training:
            ctx.set_materialize_grads(False)
            ctx.unrolling, ctx.sequences, ctx.kept_parts = unrolling, sequences, len(call.kept_parts)
            ctx.save_for_backward(*tensors, *call.kept_parts, call.memory, call.y_states, ys)
        return (ys, *last)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        """Run the kernel back, or for a gradient that is to be differentiated, the steps again."""
        *saved, memory, y_states, _ = ctx.saved_tensors
        count = len(saved) - ctx.kept_parts
        tensors, parts, needs = saved[:count], saved[count:], ctx.needs_input_grad[3:]
        if torch.is_grad_enabled():
            return (None, None, None, *_again(ctx.unrolling, ctx.sequences, tensors, needs, grads))
        call = _Backward(ctx.unrolling, ctx.sequences, tensors, needs, grads)
        return (None, None, None, *call.run(memory, y_states, parts))


def _again(
    unrolling: Unrolling,
    sequences: Sequences,
    tensors: Sequence[Tensor],
    needs: Sequence[bool],
    grads: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Give gradients that can be differentiated: the steps run again with torch's operations."""
    parts, states = unrolling.given_parts, len(unrolling.plan.step.state_widths)
    first = parts + states + (states if sequences.reset is not None else 0)
    # By views: second derivatives reach what the tensors came from, and a gradient ends at each of them, though one may
    # have been computed from another.
    tensors = [tensor.view_as(tensor) if need else tensor for tensor, need in zip(tensors, needs, strict=True)]
    groups = Tensors(tensors[:parts], tensors[parts : parts + states], tensors[parts + states : first], tensors[first:])
    ys, last = unrolling.again.run(groups, sequences)
    pairs = [
        (result, grad)
        for result, grad in zip((ys, *last), grads, strict=True)
        if result.requires_grad and grad is not None
    ]
    wanted = [tensor for tensor, need in zip(tensors, needs, strict=True) if need]
    results, given = [result for result, _ in pairs], [grad for _, grad in pairs]
    found = iter(
        torch.autograd.grad(results, wanted, given, create_graph=True, allow_unused=True, materialize_grads=True)
    )
    return [next(found) if need else None for need in needs]


class _Run:
    """The tensors of one run of a kernel, and their addresses."""

    def __init__(self, unrolling: Unrolling, sequences: Sequences, tensors: Sequence[Tensor]) -> None:
        self.unrolling, self.sequences = unrolling, sequences
        self.plan, self.step = unrolling.plan, unrolling.plan.step
        self.steps, self.batch = sequences.steps, sequences.batch
        self.dtype = unrolling.kernel.dtype
        parts, states = unrolling.given_parts, len(self.step.state_widths)
        self.parts = tensors[:parts]
        self.states = tensors[parts : parts + states]
        first = parts + states + (states if sequences.reset is not None else 0)
        self.initial = tensors[parts + states : first]
        self.invariants = tensors[first:]
        self.shares = shares(self.batch, unrolling.weight_bytes)
        self.addresses: dict[str, int] = {}
        self._held: list[Tensor] = []

    def take(self, *shape: int) -> Tensor:
        """Give a tensor of the run's dtype on recycled memory."""
        return shared.take(shape, self.dtype)

    def enter(self, name: str, tensor: Tensor) -> Tensor:
        """Let the kernel have a tensor under a name, and give it: as contiguous numbers of the run's dtype."""
        if tensor.dtype != self.dtype or not tensor.is_contiguous():
            tensor = tensor.to(self.dtype).contiguous()
        self._held.append(tensor)
        self.addresses[name] = tensor.data_ptr()
        return tensor

    def enter_memory(self, memory: Tensor, layout: Layout) -> None:
        """Let the kernel have all buffers of a layout."""
        base = memory.data_ptr()
        for name, offset in layout.offsets.items():
            self.addresses[name] = base + offset

    def enter_vectors(self) -> None:
        """Let the kernel have the invariant vectors."""
        for k, (place, vector) in enumerate(zip(self.unrolling.of_vector, self.step.vectors, strict=True)):
            tensor = self.invariants[place]
            self.enter(f"vector{k}", tensor if tensor.numel() == prod(vector.shape) else tensor.expand(vector.shape))

    def matrix(self, k: int) -> Tensor:
        """Give an invariant matrix (K, N) as a view of its tensor."""
        return _matrix(self.invariants[self.unrolling.of_matrix[k]], self.step.matrices[k])

    def launch(self, name: str, slots: int, y_apart: bool) -> None:
        """Run a function of the kernel."""
        size = self.dtype.itemsize
        matrices = [
            _address(self.invariants[place], invariant, size)
            for place, invariant in zip(self.unrolling.of_matrix, self.step.matrices, strict=True)
        ]
        kernel = self.unrolling.kernel
        kernel.run(name, self.sequences, self.addresses, matrices, self.shares, slots, y_apart)


def _matrix(tensor: Tensor, invariant: Invariant) -> Tensor:
    if tensor.ndim == 1:
        tensor = tensor.unsqueeze(0 if invariant.turned else 1)
    tensor = tensor.reshape(tensor.shape[-2:])
    if invariant.turned:
        tensor = tensor.t()
    return tensor[invariant.offset : invariant.offset + invariant.shape[0]]


def _address(tensor: Tensor, invariant: Invariant, size: int) -> Matrix:
    """Give an invariant matrix by address and strides, as `_matrix` would."""
    strides = tensor.stride()
    rows, columns = strides[-2:] if len(strides) > 1 else (0, strides[0]) if invariant.turned else (strides[0], 0)
    if invariant.turned:
        rows, columns = columns, rows
    return Matrix(tensor.data_ptr() + invariant.offset * rows * size, rows, columns)


class _Forward(_Run):
    """The way forward."""

    def __init__(self, unrolling: Unrolling, sequences: Sequences, tensors: Sequence[Tensor], training: bool) -> None:
        super().__init__(unrolling, sequences, tensors)
        self.name = "Forward" if training else "Inference"
        self.kept_parts: list[Tensor] = []
        layout = unrolling.layout(self.name, self.steps, self.batch)
        self.memory = shared.take((layout.size,), torch.uint8)
        self.enter_memory(self.memory, layout)
        self.y_states: Tensor | None = None
        """The state that is the output, before every step and after the last: (T + 1, B, H)."""

    def run(self) -> tuple[Tensor, list[Tensor]]:
        """Give outputs (T, B, O) and last states."""
        training = self.name == "Forward"
        ys = self._outputs(training)
        self._enter_parts()
        self.enter_vectors()
        last = []
        for k, state in enumerate(self.states):
            self.enter(f"first{k}", state)
            last.append(torch.empty(state.shape, dtype=state.dtype, device="cpu"))
            self.enter(f"last{k}", last[k])
        for k, state in enumerate(self.initial):
            self.enter(f"initial{k}", state)
        self.launch(self.name, self.steps + 1 if training else 2, "y" in self.addresses)
        return ys, last

    def _outputs(self, training: bool) -> Tensor:
        """Give the tensor that the outputs are written to: that of a state where the output is one."""
        shape = (self.steps, self.batch, *self.step.output_shape)
        k = self.plan.y_state
        if training and k is not None:
            self.y_states = self.take(self.steps + 1, self.batch, self.step.state_widths[k])
            self.enter(f"state{k}", self.y_states)
            if self.sequences.lengths is None and self.sequences.reset is None:
                return _after_first(self.y_states, shape)
        ys = self.take(*shape)
        self.enter("y", ys)
        return ys

    def _enter_parts(self) -> None:
        """Let the kernel have the parts, and those that are split from products with the state."""
        parts = [self.enter(f"part{k}", part.detach()) for k, part in enumerate(self.parts)]
        for hoisted in self.step.hoisted:
            rows = parts[hoisted.part].view(self.steps, self.batch, -1)
            piece = rows[..., hoisted.offset : hoisted.offset + hoisted.width]
            parts.append(self.enter(f"part{len(parts)}", product(piece, self.matrix(hoisted.matrix))))
        self.kept_parts = [parts[k] for k in self.plan.reads_parts]


class _Backward(_Run):
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
        _matrix(whole, invariant).copy_(grad.t())
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


def _after_first(buffer: Tensor, shape: Sequence[int]) -> Tensor:
    """Give all slots but the first, as no view: autograd treats outputs that are views apart."""
    return on_storage(buffer, int(buffer.storage_offset()) + prod(buffer.shape[1:]), shape, buffer.dtype)


def shares(batch: int, weight_bytes: int) -> Shares:
    """Choose how the threads share the work.

    Rows need no barrier, but then every thread reads all weights; with few rows, or weights beyond the second cache,
    the units are shared.
    """
    count = threads()
    if count == 1:
        return Shares(1, 1)
    if batch >= 2 * count and weight_bytes <= ROWS_ALONE:
        return Shares(count, 1)
    if weight_bytes >= UNITS_PAY:
        return Shares(count, count)
    return Shares(min(count, batch), 1)
