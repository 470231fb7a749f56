"""Influences: the derivatives of the state by what came before it, carried forward in time with the state.

    S = J S_before + M                              J = ∂h/∂h_before,  M = ∂h/∂θ with h_before held

from one stretch of steps to the next.

A dense influence holds (N, P) numbers a row, for N of the state and P of the parameter. Where the Jacobian goes element
by element and each number of the parameter acts on one unit, all but that unit's are zero, and (n, P) are held, for n
state tensors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layout:
    """How the state's Jacobian and influences are held."""

    tensors: int
    """Tensors of the state."""

    width: int
    """Numbers of a row of the whole state."""

    elementwise: bool
    """Whether the Jacobian has one number for each pair of state tensors and unit, (n, n, H), in place of (N, N)."""

    @property
    def units(self) -> int:
        """Numbers of each tensor, if they all have the same."""
        return self.width // self.tensors

    @property
    def height(self) -> int:
        """First size of an influence: n or N."""
        return self.tensors if self.elementwise else self.width

    def seeds(self, like: Tensor) -> Tensor:
        """Return what the new state is multiplied by, one after the other, for its Jacobian: (height, N).

        That also is the influence of the state on itself at once.
        """
        each = torch.eye(self.height, dtype=like.dtype, device=like.device)
        return each.repeat_interleave(self.units, 1) if self.elementwise else each

    def matrix(self, rows: Tensor) -> Tensor:
        """Return the Jacobian from the products of all seeds with it, (..., height, N)."""
        return rows.reshape(*rows.shape[:-1], self.tensors, self.units) if self.elementwise else rows

    def through(self, derivatives: Tensor, jacobian: Tensor) -> Tensor:
        """Return derivatives by the old state, (B, R, N), from those by the new one."""
        if not self.elementwise:
            return derivatives @ jacobian
        if self.tensors == 1:
            return derivatives * jacobian[:, 0]
        of_new = self.matrix(derivatives).unsqueeze(3)
        return (of_new * jacobian.unsqueeze(1)).sum(2).flatten(2)


class Influence:
    """The influence of R rows of C numbers on the state of each row of the batch.

    Args:
        layout: of the state.
        begun: (B, height, R, C), at the start.
        unit: (R,) the unit that the numbers of a row act on; needed where the Jacobian goes element by element.
        shared: whether the rows of the batch have the numbers in common, so that their gradients add up.
    """

    def __init__(self, layout: Layout, begun: Tensor, unit: Tensor | None, shared: bool) -> None:
        self.layout, self.held, self.shared = layout, begun, shared
        self.unit = None if unit is None else unit.clamp_min(0)  # the influence of those that act on none stays zero
        batch, _, rows, columns = begun.shape
        size = (rows, columns) if shared else (batch, rows, columns)
        self.total = torch.zeros(size, dtype=begun.dtype, device=begun.device)
        """The gradient so far: (R, C) or, of each row of the batch its own, (B, R, C)."""

    @classmethod
    def of_state(cls, layout: Layout, like: Tensor, begun: Tensor | float) -> "Influence":
        """Return that of a state (B, N), of each row its own, on itself or on another."""
        unit = torch.arange(layout.units, device=like.device).repeat(layout.tensors)
        held = torch.zeros(len(like), layout.height, layout.width, 1, dtype=like.dtype, device=like.device)
        held += begun.unsqueeze(2) if isinstance(begun, Tensor) else begun
        return cls(layout, held, unit, shared=False)

    @classmethod
    def of_weight(cls, layout: Layout, weight: Tensor, unit: Tensor | None, batch: int) -> "Influence":
        """Return that of a weight, which all rows have in common, on a state that it has not acted on yet.

        Args:
            layout: of the state.
            weight: any shape.
            unit: as the weight: the unit that each of its numbers acts on; None: it is not known.
            batch: B.
        """
        size: tuple[int, ...] = (weight.numel(), 1)
        rows = None
        if unit is not None:
            table = unit.reshape(len(unit), -1) if unit.ndim else unit.view(1, 1)
            alike = bool((table == table[:, :1]).all())
            size, rows = (tuple(table.shape), table[:, 0]) if alike else (size, unit.flatten())
        begun = torch.zeros(batch, layout.height, *size, dtype=weight.dtype, device=weight.device)
        return cls(layout, begun, None if rows is None else rows.to(weight.device), shared=True)

    def read(self, coming: Tensor) -> None:
        """Add what a gradient of the state, (B, N), says of the numbers."""
        if self.layout.elementwise:
            coming = coming.view(len(coming), self.layout.tensors, -1)[..., self.unit]
            seen = coming.unsqueeze(3) * self.held  # and a sum: many times as fast as the product that einsum makes
            found = seen.sum((0, 1)) if self.shared else seen.sum(1)
        else:
            found = torch.einsum("bn,bnrc->rc" if self.shared else "bn,bnrc->brc", coming, self.held)
        self.total += found

    def advance(self, jacobian: Tensor, own: Tensor | None) -> None:
        """Go one stretch on; `own` (B, height, ...) is what acts on its end within it."""
        if not self.layout.elementwise:
            after = (jacobian @ self.held.flatten(2)).view(self.held.shape)
        elif self.layout.tensors == 1:
            after = jacobian[:, 0][..., self.unit].unsqueeze(3) * self.held
        else:
            after = torch.einsum("bklr,blrc->bkrc", jacobian[..., self.unit], self.held)
        if own is not None:
            after += own.reshape(self.held.shape)
        self.held = after


class PastStates:
    """The influence of every state so far on the present one: what the gradient of the input needs.

    It takes T times the room and the time of a state's own influence, since no pass goes back.
    """

    def __init__(self, layout: Layout, steps: int, like: Tensor) -> None:
        shape = (len(like), layout.height, layout.width)
        self.layout, self.steps = layout, 0
        self.held = torch.zeros(steps, *shape, dtype=like.dtype, device=like.device)
        self.gradient = torch.zeros(steps, len(like), layout.width, dtype=like.dtype, device=like.device)

    def read(self, coming: Tensor) -> None:
        """Add what a gradient of the state, (B, N), says of all states before it."""
        held = self.held[: self.steps]
        if self.layout.elementwise:
            seen = coming.view(len(coming), self.layout.tensors, -1).repeat(1, 1, self.layout.tensors)
            self.gradient[: self.steps] += (seen * held).sum(2)
        else:
            self.gradient[: self.steps] += torch.einsum("bn,sbnp->sbp", coming, held)

    def begin(self, gradient: Tensor) -> None:
        """Begin with the states of the present stretch, of which a gradient (C, B, N) is known."""
        self.gradient[self.steps : self.steps + len(gradient)] = gradient

    def advance(self, jacobian: Tensor, own: Tensor) -> None:
        """Go one stretch on, whose states, (C, B, height, N), are past ones from then on."""
        held = self.held[: self.steps]
        if self.layout.elementwise:
            spread = jacobian.repeat(1, 1, 1, self.layout.tensors)
            held.copy_(torch.einsum("bklp,sblp->sbkp", spread, held))
        else:
            held.copy_(jacobian @ held)
        self.held[self.steps : self.steps + len(own)] = own
        self.steps += len(own)


def cut(flat: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Take (..., N) apart into tensors with the features of these (B, ...)."""
    pieces = flat.split_with_sizes([tensor[0].numel() for tensor in like], dim=-1)
    return [piece.reshape(*flat.shape[:-1], *tensor.shape[1:]) for piece, tensor in zip(pieces, like, strict=True)]
