"""The promises of an Unroller."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import building
from rnnkit.core.unroller import Unroller
from rnnkit.errors import ShapeError
from rnnkit.plugin.registry import cells
from rnnkit.testing.conformance import BATCH, HIDDEN, INPUT, STEPS, Conformance, Promise, built
from rnnkit.testing.gradcheck import gradcheck
from rnnkit.testing.law import differences, random, random_state


def check_unroller(kind: type[Unroller], **options: Any) -> Conformance:
    """Test every promise of an Unroller class; raises CheckError with one sentence for each that is broken."""
    return inspect_unroller(kind, **options).raise_if_failed()


def inspect_unroller(kind: type[Unroller], **options: Any) -> Conformance:
    """Do as `check_unroller`, without raising."""
    subject = f"unroller {getattr(kind, 'name', kind.__name__)!r}"
    return built(subject, lambda: _UnrollerCheck(kind(**options)))


class _UnrollerCheck:
    """The promises of one Unroller."""

    def __init__(self, unroller: Unroller) -> None:
        self.unroller = unroller

    def promises(self) -> dict[str, Promise]:
        laws = {f"the loop's numbers for {name!r}": partial(self.law, name) for name in cells}
        return {
            **laws,
            "refuses what does not fit": self.boundary,
            "gradients": partial(self.gradients, 1),
            "second gradients": partial(self.gradients, 2),
        }

    def law(self, name: str) -> Iterator[str]:
        """Outputs, states and gradients equal the loop's, with lengths and resets too."""
        with building(None, torch.float64):
            cell = cells[name](INPUT, HIDDEN)
        if not self.unroller.applies(cell):
            return
        for steps, batch in ((1, 1), (2, 3), (17, 2)):
            yield from differences(self.unroller, cell, steps, batch, 1e-10)
            lengths = torch.randint(1, steps + 1, (batch,))
            reset = torch.rand(steps, batch) < 0.3
            yield from differences(self.unroller, cell, steps, batch, 1e-10, lengths=lengths, reset=reset)

    def boundary(self) -> Iterator[str]:
        """Inputs of a wrong shape raise ShapeError, before any step."""
        with building(None, torch.float64):
            cell = cells["lstm"](INPUT, HIDDEN)
        xs, state = random(STEPS, BATCH, INPUT), random_state(cell, BATCH)
        wrong: dict[str, tuple[Tensor, Any, dict[str, Tensor]]] = {
            "an input with a feature too many": (random(STEPS, BATCH, INPUT + 1), state, {}),
            "a state with a tensor too few": (xs, state[:1], {}),
            "a state of another batch": (xs, random_state(cell, BATCH + 1), {}),
            "lengths beyond the sequence": (xs, state, {"lengths": torch.full((BATCH,), STEPS + 1)}),
        }
        for what, (inputs, before, masks) in wrong.items():
            try:
                self.unroller(cell, inputs, before, **masks)
            except ShapeError:
                continue
            yield f"{what} is not refused; begin with rnnkit.prepare()"

    def gradients(self, order: int) -> Iterator[str]:
        """Autograd's gradients through the unroller equal central differences, for the first cell that it runs."""
        name = next(filter(self._runs, ("lstm", *cells)), None)
        if name is not None:
            yield from gradcheck(name, self.unroller, order).failures

    def _runs(self, name: str) -> bool:
        if self.unroller.takes_all_cells:
            return True
        with building(None, torch.float64):
            return self.unroller.applies(cells[name](INPUT, HIDDEN))
