"""The shortcuts that a layer has found, and when it looks for one."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor

from rnnkit.core.cell import State
from rnnkit.core.input_checks import casts_automatically
from rnnkit.core.watching import watched_by
from rnnkit.layers.advancing_shortcut import AdvancingShortcut, is_of_few_rows
from rnnkit.layers.bound_cells import BoundCells
from rnnkit.layers.bound_shortcut import BoundShortcut
from rnnkit.layers.sequence import Sequences
from rnnkit.layers.shortcut import is_simple

if TYPE_CHECKING:
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.state_layout import States

Found = TypeVar("Found", AdvancingShortcut, BoundShortcut, BoundCells)

MOST_FORMS = 8
"""Forms of input for which shortcuts are kept."""

PATIENCE = 1024
"""Calls, at most, that go the long way before a shortcut is looked for again where none held."""


class Shortcuts:
    """The shortcuts that a layer has found; a copy of the layer, or one that is read from a file, begins with none."""

    def __init__(self) -> None:
        self._of_few_rows, self._of_many_rows = Known(AdvancingShortcut), Known(BoundShortcut)
        self._with_gradients = Known(BoundShortcut)
        self._cells, self._cells_with_gradients = Known(BoundCells), Known(BoundCells)

    def __reduce__(self) -> tuple[type["Shortcuts"], tuple[()]]:
        return Shortcuts, ()

    def run(self, layer: "RNN", input: Any, hx: Any) -> "tuple[Tensor, States] | None":
        """Return what a layer would without lengths and resets; None: it is to go the long way."""
        if type(input) is not Tensor or input.is_nested or watched_by() or casts_automatically(input.device):
            return None
        shortcut = self.for_input(input).valid_for(layer, input, hx)
        return None if shortcut is None else shortcut.run(input, hx)

    def bound(
        self, layer: "RNN", xs: Tensor, states: Sequence[State | None], sequences: Sequences
    ) -> BoundCells | None:
        """Return what runs each cell of a layer that is given xs (T, B, D) and states; None: its unroller does.

        None, too, for calls of which a shortcut takes the whole layer, once it is found.
        """
        if sequences.is_plain and is_simple(layer):
            return None
        if torch.compiler.is_compiling() or watched_by() or casts_automatically(xs.device):
            return None
        return self.for_cells().valid_for(layer, xs, states)

    def for_cells(self) -> "Known[BoundCells]":
        """Return the `BoundCells` that are known for a call now, with gradients or without."""
        return self._cells_with_gradients if _keeps_gradients() else self._cells

    def for_input(self, input: Tensor) -> "Known[AdvancingShortcut] | Known[BoundShortcut]":
        """Return the shortcuts known for a call now with an input: of few rows or many, with gradients or without."""
        if _keeps_gradients():
            return self._with_gradients
        return self._of_few_rows if is_of_few_rows(input) else self._of_many_rows


def _keeps_gradients() -> bool:
    return torch.is_grad_enabled() and not torch.is_inference_mode_enabled()


class Known(Generic[Found]):
    """What of one kind was found.

    Args:
        kind: of shortcut.
    """

    def __init__(self, kind: type[Found]) -> None:
        self._kind: Any = kind
        self._known: dict[Hashable, Found | None] = {}
        self._waits = self._failures = 0

    def valid_for(self, layer: "RNN", input: Tensor, hx: Any) -> Found | None:
        """Return the shortcut that is known for a call and still holds; None: it is to go the long way."""
        form = self._kind.form(input)
        shortcut = self._known.get(form)
        if shortcut is None:
            self._look_for(layer, input, form)
            return None
        if not shortcut.fits(input, hx):
            return None
        if not shortcut.holds(layer):
            self._forget(form)
            return None
        self._failures = 0
        return shortcut

    def _forget(self, form: Hashable) -> None:
        """Forget what holds no more, and wait the longer the more often that happens."""
        self._known.pop(form, None)
        self._failures += 1
        self._waits = min(PATIENCE, 2**self._failures)

    def _look_for(self, layer: "RNN", input: Tensor, form: Hashable) -> None:
        """Look for the shortcut of calls like this one, from the second of them on."""
        if self._waits:
            self._waits -= 1
        elif form not in self._known:
            if len(self._known) >= MOST_FORMS:
                self._known.clear()
            self._known[form] = None
        else:
            found = self._known[form] = self._kind.find(layer, input)
            self._waits = 0 if found else PATIENCE
