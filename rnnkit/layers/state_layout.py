"""The states of a stack of cells, as a layer takes and gives them."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, starting_state
from rnnkit.core.input_checks import casts_automatically
from rnnkit.errors import ShapeError, UsageError

Stacked: TypeAlias = Tensor | State
"""One state of several cells, each tensor (cells, B, ...): bare if there is one, as in torch's GRU, else a tuple."""

States: TypeAlias = Stacked | list[Stacked]
"""The states of a whole layer: of all cells together, or where they differ, a list with an entry for each layer."""


class StateLayout:
    """How the states of a stack are laid out: as torch does where all cells are alike, else layer by layer.

    Args:
        cells: in the order layer * directions + direction.
        directions: 1 or 2.
        by_layer: lay them out layer by layer even if all are alike.
    """

    def __init__(self, cells: Sequence[Cell], directions: int, by_layer: bool) -> None:
        self._cells = cells
        # Shapes are asked for once, so that `hx` can be checked before anything is computed; "meta" keeps no numbers.
        self._like = [tuple(t.detach().to("meta") for t in starting_state(cell, 1)) for cell in cells]
        kinds = {(cell.state_names, tuple(t.shape for t in like)) for cell, like in zip(cells, self._like, strict=True)}
        self.by_layer = by_layer or len(kinds) > 1
        positions = range(len(cells))
        width = directions if self.by_layer else len(cells)
        self._groups = [positions[start : start + width] for start in range(0, len(cells), width)]

    def names(self, mark: str = "") -> list[str]:
        """Name each tensor: "h", "c", or where layers differ "h_l0", "c_l0", "h_l1", ...; `mark` follows the letter."""
        suffixes = [f"{mark}_l{k}" if self.by_layer else mark for k in range(len(self._groups))]
        return [name + suffix for group, suffix in zip(self._groups, suffixes, strict=True) for name in self._of(group)]

    def shape_of(self, which: int, rows: int) -> tuple[int, ...]:
        """Return the shape that one of the states must have for so many rows.

        Raises:
            UsageError: the cells have no such state, or the layers differ.
        """
        likes = self._like[0]
        if self.by_layer or which >= len(likes):
            kind = "layers differ" if self.by_layer else f"cell {self._cells[0].name!r} has {len(likes)} state tensors"
            raise UsageError(f"there is no one shape of state {which}: {kind}")
        return (len(self._cells), rows, *likes[which].shape[1:])

    def _of(self, group: range) -> tuple[str, ...]:
        return self._cells[group[0]].state_names

    def check(self, hx: object, rows: int | None, values: Tensor) -> None:
        """Raise ShapeError unless `hx` fits `rows` (None: no batch dimension), and the input's dtype and device."""
        for k, (group, part) in enumerate(zip(self._groups, self._parts(hx), strict=True)):
            where = f"hx of layer {k}" if self.by_layer else "hx"
            names = self._of(group)
            tensors = (part,) if isinstance(part, Tensor) else part
            if not isinstance(tensors, tuple | list) or not all(isinstance(tensor, Tensor) for tensor in tensors):
                kinds = (
                    [type(t).__name__ for t in tensors] if isinstance(tensors, tuple | list) else type(part).__name__
                )
                raise ShapeError(f"{where} is {kinds}; it must be {_expected(names)}")
            if len(tensors) != len(names) or (isinstance(part, Tensor) and len(names) > 1):
                given = f"{len(tensors)} tensor{'s' * (len(tensors) != 1)}"
                cell = self._cells[group[0]].name
                raise ShapeError(f"{where} has {given}; cell {cell!r} takes {_expected(names)}: {', '.join(names)}")
            for name, tensor, like in zip(names, tensors, self._like[group[0]], strict=True):
                shape = (len(group), *(() if rows is None else (rows,)), *like.shape[1:])
                _check_tensor(f"{where}: {name!r}", tensor, shape, like, values)

    def check_floating(self) -> None:
        """Raise UsageError for a state of integers, say, which cannot be returned over time beside the output."""
        for cell, like in zip(self._cells, self._like, strict=True):
            for name, tensor in zip(cell.state_names, like, strict=True):
                if not tensor.is_floating_point():
                    raise UsageError(
                        f"return_states: state {name!r} is {tensor.dtype}; only floating-point states are returned"
                    )

    def _parts(self, hx: object) -> list[object]:
        """Take `hx` apart into groups."""
        if not self.by_layer:
            return [hx]
        if not isinstance(hx, list | tuple) or len(hx) != len(self._groups):
            given = f"a {type(hx).__name__}" + (f" of {len(hx)}" if isinstance(hx, list | tuple) else "")
            raise ShapeError(f"hx is {given}; it must be a list of {len(self._groups)}, the states of each layer")
        return list(hx)

    def split(self, hx: States | None, prepare: Callable[[Tensor], Tensor]) -> list[State] | list[None]:
        """Return the state of each cell; `prepare` is applied to each tensor (cells, B, ...) first."""
        if hx is None:
            return [None] * len(self._cells)
        states: list[State] = []
        for group, part in zip(self._groups, self._parts(hx), strict=True):
            tensors = [prepare(tensor) for tensor in ((part,) if isinstance(part, Tensor) else part)]  # type: ignore[attr-defined]
            states += [tuple(tensor[k] for tensor in tensors) for k in range(len(group))]
        return states

    def join(self, states: Sequence[State]) -> States:
        """Stack the states of the cells; the inverse of `split`."""
        joined: list[Stacked] = []
        for group in self._groups:
            tensors = tuple(map(_stacked, zip(*(states[p] for p in group), strict=True)))
            joined.append(tensors[0] if len(tensors) == 1 else tensors)
        return joined if self.by_layer else joined[0]

    def flat(self, states: States) -> list[Tensor]:
        """Return the tensors of joined states, one for each of `names`."""
        parts = states if self.by_layer else [states]
        return [t for part in parts for t in ((part,) if isinstance(part, Tensor) else part)]  # type: ignore[misc]

    def unflat(self, tensors: Sequence[Tensor]) -> States:
        """Return joined states from their tensors; the inverse of `flat`."""
        left = iter(tensors)
        parts = [tuple(next(left) for _ in self._of(group)) for group in self._groups]
        bare: list[Stacked] = [part[0] if len(part) == 1 else part for part in parts]
        return bare if self.by_layer else bare[0]


def _stacked(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.stack(tensors) if len(tensors) > 1 else tensors[0].unsqueeze(0)


def _expected(names: tuple[str, ...]) -> str:
    return "a tensor" if len(names) == 1 else f"a tuple of {len(names)} tensors"


def _check_tensor(what: str, tensor: Tensor, shape: tuple[int, ...], like: Tensor, values: Tensor) -> None:
    if tuple(tensor.shape) != shape:
        batch = "" if len(shape) <= like.ndim else ", batch"
        raise ShapeError(
            f"{what} has shape {tuple(tensor.shape)}; it must be (layers * directions{batch}, ...) = {shape}"
        )
    dtype = like.dtype
    if like.is_floating_point():
        dtype = values.dtype.to_real()
    elif like.is_complex():
        dtype = values.dtype.to_complex()
    if tensor.dtype != dtype and not casts_automatically(values.device):
        raise ShapeError(f"{what} is {tensor.dtype}, the input is {dtype}; convert one of them by .to()")
    if tensor.device != values.device:
        raise ShapeError(f"{what} is on {tensor.device}, the input is on {values.device}")
