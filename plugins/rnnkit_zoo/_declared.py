"""What all cells of the catalogue share: they declare their parameters, and how each of them starts."""

from collections.abc import Callable, Collection
from typing import Any, ClassVar

import torch
from torch import nn

import rnnkit
from rnnkit.errors import UsageError, check_flag, check_whole
from rnnkit_zoo._declaration import declarations, sizes
from rnnkit_zoo._starts import Start, Starts, listed, starting


class Declared(rnnkit.Cell):
    """A cell whose class says what parameters it has: `w: Annotated[nn.Parameter, "3H, D"]` is one of that shape.

    How it starts may stand behind: `Annotated[nn.Parameter, "H", normal(0.1)]`; and the option by which it is there:
    `Annotated[nn.Parameter | None, "H", "peepholes"]`.

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there are biases.
    """

    starts: ClassVar[Starts] = starting()
    """How the other parameters start, by name."""

    state_widths: ClassVar[tuple[str, ...] | None] = None
    """Width of each state tensor, such as ("H", "D", "1"); None: H."""

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each state tensor."""
        return super().state_sizes if self.state_widths is None else sizes(", ".join(self.state_widths), self)

    def make_parameters(self) -> None:
        """Make the parameters that the class declares, and draw all."""
        for name, declared in declarations(type(self)).items():
            there = declared.option is None or getattr(self, declared.option)
            self.check(check_flag, **{declared.option or name: there})
            shape = sizes(declared.shape, self)
            self.register_parameter(name, nn.Parameter(torch.empty(shape)) if there else None)
        self.reset_parameters()

    def check(self, check: Callable[[str, Any], None], **options: object) -> None:
        """Check each of these options of the cell alike: `self.check(check_positive, dt=dt)`."""
        for name, value in options.items():
            check(f"cell {self.name!r}: {name}", value)

    def chosen(self, choices: Collection[str], **option: str) -> str:
        """Return an option, which is one of the choices."""
        ((name, value),) = option.items()
        if value not in choices:
            raise UsageError(f"cell {self.name!r}: {name} is {value!r}; it must be one of {', '.join(choices)}")
        return value

    def check_divisor(self, **option: int) -> None:
        """Check that an option is a whole number that divides H."""
        ((name, value),) = option.items()
        self.check(check_whole, **option)
        if self.hidden_size % value:
            given = f"cell {self.name!r}: {name} is {value}"
            raise UsageError(f"{given}; it must divide hidden_size, {self.hidden_size}")

    def start_of(self, name: str) -> Start | None:
        """Return how a parameter starts; None: as torch draws its modules."""
        declared = declarations(type(self)).get(name)
        return (declared and declared.start) or self.starts.of(name)

    def notes(self) -> dict[str, str]:
        """Return what the docstring need not say: how parameters start, and the order of the blocks of their rows."""
        declared = type(self).reset_parameters is Declared.reset_parameters
        said = {"Initialisation": self._start_words() if declared else "", "Gate order": self.gate_order()}
        return {label: words for label, words in said.items() if words}

    def gate_order(self) -> str:
        """Return the order of the blocks of rows; "" where a weight has one."""
        return ""

    def _start_words(self) -> str:
        said: dict[str, list[str]] = {}
        for name, _ in self.named_parameters():
            start, first = self.start_of(name), name.partition(".")[0]
            names = said.setdefault("as torch draws its modules" if start is None else start.words, [])
            if first not in names:
                names.append(first)
        return "; ".join(f"{listed(names)}: {words}" for words, names in said.items())

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the parameters as they are declared, and those of submodules otherwise as torch does."""
        for module in self.modules():
            if module is not self and callable(reset := getattr(module, "reset_parameters", None)):
                reset()
        for name, parameter in self.named_parameters():
            if start := self.start_of(name):
                start.draw(parameter, self)
