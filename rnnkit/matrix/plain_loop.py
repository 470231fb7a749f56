"""The truth's own path: a layer as a plain loop over the steps of single rows, without unroller, mask or layer."""

import copy
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, starting_state, tensors_replaced
from rnnkit.layers.rnn import RNN
from rnnkit.matrix.layout import Layout


class PlainLoop:
    """The cells of a layer of one or two directions, stepped row by row.

    A row ends by being stepped no further, and starts again by taking the initial state; from the other end it is
    stepped in another order. So nothing here can be wrong as a mask or a flip can be.

    Args:
        layer: whose cells are copied.
        layout: with lengths and resets.
    """

    def __init__(self, layer: RNN, layout: Layout) -> None:
        owned = {id(tensor): name for name, tensor in layer.named_parameters()}
        self.cells = copy.deepcopy(layer.cells)
        self.layout = layout
        self._names = [
            {path: owned[id(tensor)] for path, tensor in cell.named_parameters(remove_duplicate=False)}
            for cell in layer.cells
        ]
        self._state_names = layer.state_names

    def run(self, tensors: Mapping[str, Tensor], states: Sequence[Tensor] | None) -> dict[str, Tensor]:
        """Return output (T, B, directions * O) and last states (directions, B, ...).

        Args:
            tensors: "input" (T, B, D), and the parameters by the layer's names.
            states: each (directions, B, ...); None: the cells' own.
        """
        outputs, last = [], []
        with ExitStack() as stack:
            for position, (cell, names) in enumerate(zip(self.cells, self._names, strict=True)):
                stack.enter_context(tensors_replaced(cell, {path: tensors[name] for path, name in names.items()}))
                own = starting_state(cell, self.layout.rows, tensors["input"])
                before = own if states is None else tuple(state[position] for state in states)
                ys, after = self._one_way(cell, tensors["input"], before, own, reverse=position == 1)
                outputs.append(ys)
                last.append(after)
        joined = [torch.stack(parts) for parts in zip(*last, strict=True)]
        return dict(zip(("output", *self._state_names), [torch.cat(outputs, dim=-1), *joined], strict=True))

    def _one_way(self, cell: Cell, xs: Tensor, before: State, own: State, reverse: bool) -> tuple[Tensor, State]:
        """Step all rows in one direction; return ys (T, B, O) and the last state (B, ...)."""
        orders = [self._order(row, reverse) for row in range(self.layout.rows)]
        seen = self.layout.order
        projected = cell.project(torch.stack([_gathered(xs[:, row], orders[row]) for row in seen], dim=1))
        ys: list[list[Tensor]] = []
        last: list[State] = []
        for row, order in enumerate(orders):
            state, outputs = _row(before, row), dict[int, Tensor]()
            for place, t in enumerate(order):
                if self._starts(t, row, reverse):
                    state = _row(own, row)
                y, state = cell.step(_at(projected, place, seen.index(row)), state)
                outputs[t] = y[0]
            nothing = torch.zeros_like(y[0])
            ys.append([outputs.get(t, nothing) for t in range(self.layout.steps)])
            last.append(state)
        output = torch.stack([torch.stack(row) for row in ys], dim=1)
        return output, tuple(torch.cat(rows) for rows in zip(*last, strict=True))

    def _order(self, row: int, reverse: bool) -> list[int]:
        """Return the steps of a row in the order in which they are taken."""
        lengths = self.layout.lengths
        steps = list(range(self.layout.steps if lengths is None else int(lengths[row])))
        return steps[::-1] if reverse else steps

    def _starts(self, t: int, row: int, reverse: bool) -> bool:
        """Tell whether a row starts again at step t: a border before a step is, from the other end, one after it."""
        border = t + 1 if reverse else t
        reset = self.layout.reset
        return reset is not None and border < self.layout.steps and bool(reset[border, row])


def _gathered(xs: Tensor, order: list[int]) -> Tensor:
    """Return a row's steps (T, D) in their order, and zeros after them."""
    return torch.stack([xs[t] for t in order] + [torch.zeros_like(xs[0])] * (len(xs) - len(order)))


def _row(state: State, row: int) -> State:
    return tuple(tensor[row : row + 1] for tensor in state)


def _at(projected: Any, step: int, row: int) -> Any:
    """Return one row (1, ...) of one step of what `project` returned."""
    if isinstance(projected, tuple | list):
        return tuple(_at(part, step, row) for part in projected)
    return projected[step, row : row + 1]
