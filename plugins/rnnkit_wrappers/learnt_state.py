"""Learnt initial state.

    s_0 = a parameter, the same for every row, in place of the inner cell's initial state

A row that is reset begins from it again; a state that is handed in takes its place.

Paper: the initial state is a parameter like any other, and its gradient is that of the first step's state, in Werbos,
"Backpropagation Through Time: What It Does and How to Do It", Proceedings of the IEEE 78(10), 1990; the practice is
Forcada & Carrasco's, "Learning the Initial State of a Second-Order Recurrent Neural Network during Regular-Language
Inference", Neural Computation 7(5), 1995.

What differs: it starts at the inner cell's own initial state instead of a random one.
"""

from typing import Any

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import CellLike, State
from rnnkit_wrappers._states import continuous_names


class LearntState(rnnkit.Wrapper):
    """Any cell, with a trainable initial state (Forcada & Carrasco 1995).

    Parameters beside the inner cell's: `initial_<name>` for each floating-point state tensor, shaped as
    one row of it: initial_h (H,), ...

    Args:
        input_size: D.
        hidden_size: H.
        inner: the cell: a name, an expression, a class or a `functools.partial` of one.
        **options: of the inner cell.
    """

    name = "learnt_state"
    learns_initial_state = True

    def __init__(self, input_size: int, hidden_size: int, *, inner: CellLike = "lstm", **options: Any) -> None:
        super().__init__(input_size, hidden_size, inner=inner, **options)
        rows = {} if self._is_learnt_already() else self._rows()
        # A state called "state" would claim the name of a method.
        self.parameter_names = {name: f"initial_{name}" + "_" * hasattr(self, f"initial_{name}") for name in rows}
        for name, row in rows.items():
            self.register_parameter(self.parameter_names[name], nn.Parameter(row.clone()))

    def _is_learnt_already(self) -> bool:
        """Tell whether a cell inside learns the state: parameters in its place would leave its own without use."""
        return any(isinstance(cell, LearntState) for cell in rnnkit.nested_cells(self.inner))

    def _rows(self) -> dict[str, Tensor]:
        """Return one row of each tensor of the inner cell's initial state that can be learnt."""
        state = dict(zip(self.state_names, super().initial_state(1), strict=True))
        return {name: state[name][0].detach() for name in continuous_names(self.inner)}

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the inner cell's parameters again; begin as it does."""
        super().reset_parameters()
        rows = self._rows()
        for name, own in self.parameter_names.items():
            self.get_parameter(own).copy_(rows[name])

    def initial_state(self, batch_size: int) -> State:
        """Return the learnt state for every row."""
        state = dict(zip(self.state_names, super().initial_state(batch_size), strict=True))
        state |= {name: getattr(self, own).expand_as(state[name]) for name, own in self.parameter_names.items()}
        return tuple(state.values())


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the learnt initial state."""
    return [LearntState]
