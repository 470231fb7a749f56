"""The plan of a step's kernels: what each reads, keeps for backward, and returns, forward and backward."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from rnnkit_compiler._forks import fork_safe_properties
from rnnkit_compiler.ir.derivative import Deferred, Derivative, derive
from rnnkit_compiler.ir.graph import Node, needed
from rnnkit_compiler.ir.lowered import Lowered
from rnnkit_compiler.schedule.buffers import Buffer, BufferKind, Place, Store
from rnnkit_compiler.schedule.overlay import Accesses, KeptNodes, Overlay, fit_into
from rnnkit_compiler.schedule.recompute import choose_saved
from rnnkit_compiler.schedule.stage_contents import stages_of
from rnnkit_compiler.schedule.stages import Stages


@fork_safe_properties
@dataclass
class KernelPlan:
    """The stages of a step, forward and backward, and the buffers that go between them; see `BufferKind`."""

    step: Lowered
    derivative: Derivative
    saved: list[Node]
    operands: list[Node]
    """Of deferred products, those that are no state."""

    def __init__(self, step: Lowered) -> None:
        self.step, self.derivative = _without_stops(step, derive(step))
        self.operands = []
        for deferred in self.derivative.deferred:
            if state_of(deferred) is None and deferred.operand not in self.operands:
                self.operands.append(deferred.operand)
        results = [self.step.output, *self.step.next_states]
        rounded = self.step.dtype.itemsize < 4
        self.saved = choose_saved(results, self.gradients, rounded, self.step.in_float32.beside)

    @cached_property
    def y_state(self) -> int | None:
        """Which next state the output is, if it is one."""
        states = self.step.next_states
        return states.index(self.step.output) if self.step.output in states else None

    @cached_property
    def gradients(self) -> list[Node]:
        """All that backward computes."""
        derivative = self.derivative
        return [
            *derivative.states,
            *derivative.parts,
            *derivative.vectors,
            *(deferred.gradient for deferred in derivative.deferred),
        ]

    @cached_property
    def saved_places(self) -> dict[Node, Place]:
        """Where what is saved goes: to a kept buffer, or to one of its own."""
        places = self._own_places()
        for k, kept in self.kept.items():
            places |= {node: place._replace(buffer=Buffer(BufferKind.KEPT, k)) for node, place in kept.places.items()}
        return places

    def _own_places(self) -> dict[Node, Place]:
        return {node: Place(Buffer(BufferKind.SAVED, k), node.width) for k, node in enumerate(self.saved)}

    @cached_property
    def kept(self) -> dict[int, KeptNodes]:
        """By the numbers of parts, what is saved in the form of a part, so that it may be written over it."""
        own = self._own_places()
        accesses = Accesses(stages_of(self._forward_results(own), self._leaves()))
        left = {place.buffer: node for node, place in own.items()}
        kept_in = {}
        for k, width in sorted(enumerate(self.step.part_widths), key=lambda part: -part[1]):
            if k in self.reads_parts:
                continue
            kept = fit_into(accesses, Place(Buffer(BufferKind.PART, k), width), left)
            if 2 * sum(node.width for node in kept.places) > width:  # else much of its memory would be for nothing
                kept_in[k] = kept
                left = {buffer: node for buffer, node in left.items() if node not in kept.places}
        return kept_in

    @cached_property
    def written_over(self) -> dict[Buffer, Overlay]:
        """By the gradients of products and parts, what was kept that they may be written over."""
        accesses = Accesses(self.backward)
        own = [k for k in self.reads_parts if k >= self.step.given_parts]
        free = [Place(Buffer(BufferKind.KEPT, k), self.step.part_widths[k]) for k in self.kept]
        free += [Place(Buffer(BufferKind.PART, k), self.step.part_widths[k]) for k in own]
        free += [place for place in self.saved_places.values() if place.buffer.kind is BufferKind.SAVED]
        overlays = {}
        for buffer, width in self.gradient_widths.items():
            for place in free:
                if place.width != width or (buffer in self._returned and place.buffer.kind is not BufferKind.KEPT):
                    continue
                overlay = accesses.overlay(buffer, place.buffer)
                if overlay is not None:
                    overlays[buffer] = overlay
                    free.remove(place)
                    break
        return overlays

    @cached_property
    def _returned(self) -> set[Buffer]:
        """The gradients of given parts, which go to the user and so lie in memory of their own."""
        given = range(self.step.given_parts)
        products = {Buffer(BufferKind.GRAD_PRODUCT, self.part_products[k]) for k in given if k in self.part_products}
        return products | {Buffer(BufferKind.GRAD_PART, k) for k in given}

    @cached_property
    def gradient_widths(self) -> dict[Buffer, int]:
        """The buffers of the gradients of products and parts, and their widths; not of parts that no step reads."""
        products = {Buffer(BufferKind.GRAD_PRODUCT, k): node.width for k, node in enumerate(self.product_gradients)}
        parts = enumerate(zip(self.derivative.parts, self.step.part_widths, strict=True))
        return products | {
            Buffer(BufferKind.GRAD_PART, k): width
            for k, (node, width) in parts
            if k not in self.part_products and not node.is_zero
        }

    @cached_property
    def reads_parts(self) -> list[int]:
        """Which parts backward reads."""
        read = needed(self.gradients, self.saved)
        return sorted({node.attr[0] for node in read if node.op == "part"})

    @cached_property
    def products(self) -> list[int]:
        """For each deferred product, which grad_product it is: those of the same gradient share one."""
        distinct = self.product_gradients
        return [distinct.index(deferred.gradient) for deferred in self.derivative.deferred]

    @cached_property
    def product_gradients(self) -> list[Node]:
        """The distinct gradients of products."""
        return list(dict.fromkeys(deferred.gradient for deferred in self.derivative.deferred))

    @cached_property
    def part_products(self) -> dict[int, int]:
        """Parts whose gradient is that of a product as well: part -> grad_product."""
        return {
            k: self.product_gradients.index(node)
            for k, node in enumerate(self.derivative.parts)
            if node in self.product_gradients
        }

    @cached_property
    def forward(self) -> Stages:
        """The stages of the forward step, with all that training keeps."""
        return stages_of(self._forward_results(self.saved_places), self._leaves())

    @cached_property
    def inference(self) -> Stages:
        """The stages of the forward step alone."""
        return stages_of(self._forward_results(None), self._leaves())

    @cached_property
    def backward(self) -> Stages:
        """The stages of backward."""
        sources = self._leaves()
        sources |= self.saved_places
        for node in needed(self.gradients, self.saved):
            if node.op == "grad_y":
                sources[node] = Place(Buffer(BufferKind.GRAD_Y), node.width)
            elif node.op == "grad_state":
                sources[node] = Place(Buffer(BufferKind.GRAD_STATE, node.attr[0]), node.width)
        return stages_of(self._backward_results(), sources)

    def _leaves(self) -> dict[Node, Place]:
        return {
            node: Place(Buffer(BufferKind(node.op), node.attr[0]), node.width)
            for node in self.step.graph.nodes
            if node.op in ("part", "state", "vector")
        }

    def _forward_results(self, saved: Mapping[Node, Place] | None) -> list[Store]:
        """Return what a step stores; what is kept for backward goes to `saved`, if it is given."""
        results = [
            Store(node, Place(Buffer(BufferKind.NEXT_STATE, k), node.width))
            for k, node in enumerate(self.step.next_states)
        ]
        results.append(Store(self.step.output, Place(Buffer(BufferKind.Y), self.step.output.width)))
        if saved is not None:
            results += [Store(node, place) for node, place in saved.items()]
            results += [
                Store(node, Place(Buffer(BufferKind.OPERAND, k), node.width)) for k, node in enumerate(self.operands)
            ]
        return results

    def _backward_results(self) -> list[Store]:
        derivative, step = self.derivative, self.step
        results = [
            Store(self._wide(node, width), Place(Buffer(BufferKind.GRAD_BEFORE, k), width))
            for k, (node, width) in enumerate(zip(derivative.states, step.state_widths, strict=True))
        ]
        for k, (node, width) in enumerate(zip(derivative.parts, step.part_widths, strict=True)):
            if Buffer(BufferKind.GRAD_PART, k) in self.gradient_widths:
                results.append(Store(self._wide(node, width), Place(Buffer(BufferKind.GRAD_PART, k), width)))
        for k, node in enumerate(self.product_gradients):
            results.append(Store(node, Place(Buffer(BufferKind.GRAD_PRODUCT, k), node.width)))
        for k, node in enumerate(derivative.vectors):
            if node.op != "number":
                results.append(Store(node, Place(Buffer(BufferKind.GRAD_VECTOR, k), node.width)))
        return results

    def _wide(self, node: Node, width: int) -> Node:
        return self.step.graph.expand(node, width)


def state_of(deferred: Deferred) -> Node | None:
    """Return the state that a deferred product multiplies, or a piece of: it is kept anyway."""
    operand = deferred.operand
    if operand.op == "slice" and operand.inputs[0].op == "state" and deferred.pieces == 1:
        return operand.inputs[0]
    return operand if operand.op == "state" else None


def _without_stops(step: Lowered, derivative: Derivative) -> tuple[Lowered, Derivative]:
    """Return a step and its derivative, in which what was held back from the gradient is no more apart."""
    deferred = [node for product in derivative.deferred for node in (product.operand, product.gradient)]
    results = [step.output, *step.next_states, *derivative.states, *derivative.parts, *derivative.vectors, *deferred]
    new = step.graph.rebuilt(results)
    return (
        replace(
            step,
            output=new[step.output],
            next_states=[new[node] for node in step.next_states],
            names={new[node]: name for node, name in step.names.items() if node in new},
        ),
        Derivative(
            [new[node] for node in derivative.states],
            [new[node] for node in derivative.parts],
            [new[node] for node in derivative.vectors],
            [d._replace(operand=new[d.operand], gradient=new[d.gradient]) for d in derivative.deferred],
            {new[of]: new[node] for of, node in derivative.gradients.items() if of in new and node in new},
        ),
    )
