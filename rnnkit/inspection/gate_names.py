"""The names of a cell's gates: which activation of its step is which."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, Projected, State, map_parts, parts_of, tensors_replaced
from rnnkit.inspection.activations import Activation, ActivationWatch, Range, unseen
from rnnkit.inspection.coordinates import differentiable
from rnnkit.layers.step_locals import local_tensors
from rnnkit.layers.wrapper import innermost

STACKED = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Parameters whose rows are the blocks of `Cell.gates`."""


class Gate(NamedTuple):
    """An activation of a step; of one that computes several gates at once, a piece."""

    name: str
    activation: int
    """Its number among the activations of the step."""
    units: slice
    """Of the last dimension."""
    range: Range

    def values(self, seen: Sequence[Activation]) -> Tensor:
        """Return the gate's values (B, ...) among the activations of a step."""
        return seen[self.activation].result[..., self.units]


class Gates(NamedTuple):
    """The gates of a cell, and what could not be seen of its step."""

    gates: tuple[Gate, ...]
    notes: tuple[str, ...]
    variables: tuple[str, ...]
    """Local variables of the step that hold tensors as it returns."""


class Leaf(NamedTuple):
    """A tensor in whose rows or columns the gates are stacked."""

    tensor: Tensor
    dimension: int


@torch.enable_grad()
def gates_of(cell: Cell, p: Projected, state: State, generator: torch.Generator) -> Gates:
    """Name the activations of a step.

    One takes the name of the block of `Cell.gates` on which it is the first to depend: the blocks are rows of
    weight_ih, weight_hh, bias_ih and bias_hh and columns of the projection, and autograd says what depends on which.
    What is left takes the name of the local variable that holds it as the step returns; else it is called after what it
    is computed from, "tanh(c)", where a variable or the state holds that; else "tanh 1" and the like.

    Args:
        cell: whose step; its own weights do not matter, for saturated gates have no gradient to tell by.
        p: a time slice of its projection.
        state: what the step reads.
        generator: of the numbers with which the step is tried.
    """
    blocks = _Blocks(cell, generator)
    p = map_parts(blocks.drawn_projection, p)
    state = tuple(_drawn(tensor, generator, 0.1, tensor) for tensor in state)
    weights = blocks.drawn_weights(cell)
    watch = ActivationWatch()
    with tensors_replaced(cell, weights), local_tensors(cell) as variables, watch:
        y, after = cell.step(p, state)
    leaves = [Leaf(tensor, 0) for tensor in weights.values()]
    leaves += [Leaf(part, 1) for part in parts_of(p) if part.requires_grad]
    held = [*variables.items(), *zip(cell.state_names, after, strict=False)]
    held += [(f"{name} before", tensor) for name, tensor in zip(cell.state_names, state, strict=False)]
    gates = list(_unlike(blocks.gates(watch.seen, leaves), watch.seen, variables, held))
    order = {name: place for place, name in enumerate(blocks.names)}
    gates.sort(key=lambda gate: order.get(gate.name, len(order)))  # as the cell declares them, then as they are called
    return Gates(tuple(gates), tuple(unseen([y, *after], watch.seen)), tuple(variables))


class _Blocks:
    """The blocks that a cell declares by `gates`, each as wide as its state."""

    def __init__(self, cell: Cell, generator: torch.Generator) -> None:
        inner = innermost(cell)
        declared = getattr(type(inner), "gates", ())
        named = isinstance(declared, tuple | list) and all(isinstance(name, str) for name in declared)
        self.names = tuple(declared) if named else ()
        self.width = inner.hidden_size
        self._rows = len(self.names) * self.width
        self._generator = generator

    def drawn_weights(self, cell: Cell) -> dict[str, Tensor]:
        """Return random numbers in place of the stacked parameters."""
        return {
            name: _drawn(tensor, self._generator, 0.3)
            for name, tensor in cell.named_parameters()
            if name.rpartition(".")[2] in STACKED and self._rows and len(tensor) == self._rows
        }

    def drawn_projection(self, part: Tensor) -> Tensor:
        """Return random numbers in place of the projection, where it has the gates as columns."""
        stacked = differentiable(part) and part.ndim == 2 and self._rows and part.shape[1] == self._rows
        return _drawn(part, self._generator, 0.3) if stacked else part

    def gates(self, seen: Sequence[Activation], leaves: list[Leaf]) -> Iterator[Gate]:
        """Yield the gates of all activations in their order; a name that no block gives is empty."""
        taken: set[str] = set()
        for number, activation in enumerate(seen):
            named = []
            for units in self._pieces(activation.result):
                new = self._used_by(activation.result[..., units], leaves) - taken
                taken |= new if len(new) == 1 else set()
                named.append(Gate(new.pop() if len(new) == 1 else "", number, units, activation.range))
            whole = Gate("", number, slice(None), activation.range)
            yield from named if any(gate.name for gate in named) else [whole]

    def _pieces(self, result: Tensor) -> list[slice]:
        """Return an activation's units in pieces of the cell's width, where it has several."""
        last = result.shape[1] if result.ndim == 2 else 0
        if last <= self.width or last % self.width:
            return [slice(None)]
        return [slice(start, start + self.width) for start in range(0, last, self.width)]

    def _used_by(self, result: Tensor, leaves: list[Leaf]) -> set[str]:
        """Return the blocks on which a result depends: those that all leaves name which have any say.

        A normalisation over all gates makes each depend on all rows of the weight, but not on those of the bias.
        """
        if not leaves or not result.requires_grad:
            return set()
        weights = torch.randn(result.shape, generator=self._generator, dtype=torch.float64).to(result)
        tensors = [leaf.tensor for leaf in leaves]
        gradients = torch.autograd.grad((result * weights).sum(), tensors, retain_graph=True, allow_unused=True)
        agreed: set[str] | None = None
        for leaf, gradient in zip(leaves, gradients, strict=True):
            if gradient is not None:
                parts = torch.split(gradient, self.width, leaf.dimension)
                used = {name for name, part in zip(self.names, parts, strict=True) if bool((part != 0).any())}
                agreed = used if agreed is None else agreed & used if used else agreed
        return agreed or set()


def _drawn(tensor: Tensor, generator: torch.Generator, scale: float, near: Tensor | None = None) -> Tensor:
    """Return small random numbers of a tensor's form that require gradients."""
    if not differentiable(tensor):
        return tensor
    numbers = scale * torch.randn(tensor.shape, generator=generator, dtype=torch.float64).to(tensor)
    return (numbers if near is None else near.detach() + numbers).requires_grad_()


def _unlike(
    gates: Iterator[Gate],
    seen: Sequence[Activation],
    variables: Mapping[str, Tensor],
    held: Sequence[tuple[str, Tensor]],
) -> Iterator[Gate]:
    """Name what has no name yet, each otherwise.

    Args:
        gates: of a step.
        seen: its activations.
        variables: its local variables, one of which may hold the activation.
        held: tensors by name, to one of which it may have been applied.
    """
    gates_ = list(gates)
    taken = {gate.name for gate in gates_}
    counts: Counter[str] = Counter()
    counted: set[int] = set()
    for gate in gates_:
        function = seen[gate.activation].function
        counts[function] += gate.activation not in counted
        counted.add(gate.activation)
        if gate.name:
            yield gate
            continue
        of = seen[gate.activation]
        known = [name for name, value in variables.items() if value is of.result]
        known += [f"{function}({name})" for name, value in held if value is of.argument]
        name = next((name for name in known if name not in taken), f"{function} {counts[function]}")
        name += f", from unit {gate.units.start}" if gate.units.start else ""
        taken.add(name)
        yield gate._replace(name=name)
