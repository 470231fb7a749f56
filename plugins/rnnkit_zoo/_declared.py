"""What all cells of the catalogue share: they declare their parameters, and how each of them starts."""

import inspect
from collections.abc import Callable, Collection, Iterator
from typing import Any, ClassVar

import torch
from torch import nn

import rnnkit
from rnnkit.errors import UsageError, check_flag, check_whole
from rnnkit_zoo._starts import Starts, listed, starting


class Declared(rnnkit.Cell):
    """A cell whose class says what parameters it has: `w: Annotated[nn.Parameter, "3H, D"]` is one of that shape.

    One that is there by an option has its name behind: `Annotated[nn.Parameter | None, "H", "peepholes"]`.

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether there are biases.
    """

    starts: ClassVar[Starts] = starting()
    """How parameters start, by name."""

    state_widths: ClassVar[tuple[str, ...] | None] = None
    """Width of each state tensor, such as ("H", "D", "1"); None: H."""

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each state tensor."""
        return super().state_sizes if self.state_widths is None else tuple(map(self._width, self.state_widths))

    def make_parameters(self) -> None:
        """Make the parameters that the class declares, and those that the cell adds, and draw all."""
        for name, shape, *option in self._declared_parameters():
            self.check(check_flag, **{word: getattr(self, word) for word in option})
            there = all(getattr(self, word) for word in option)
            sizes = [self._width(word) for word in shape.split(", ")]
            self.register_parameter(name, nn.Parameter(torch.empty(sizes)) if there else None)
        self.add_parameters()
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

    def add_parameters(self) -> None:
        """Add what a cell has beside these, before all are drawn."""

    def _declared_parameters(self) -> Iterator[tuple[str, ...]]:
        for kind in reversed(type(self).__mro__):
            for name, hint in inspect.get_annotations(kind).items():
                if told := getattr(hint, "__metadata__", ()):
                    yield name, *told

    def _width(self, word: str) -> int:
        sizes = {"D": self.input_size, "H": self.hidden_size}
        return int(word[:-1] or 1) * sizes[word[-1]] if word[-1] in sizes else int(word)

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
            start, first = self.starts.of(name), name.partition(".")[0]
            names = said.setdefault("as torch draws its modules" if start is None else start.words, [])
            if first not in names:
                names.append(first)
        return "; ".join(f"{listed(names)}: {words}" for words, names in said.items())

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw the parameters as `starts` says, and those of submodules otherwise as torch does."""
        for module in self.modules():
            if module is not self and callable(reset := getattr(module, "reset_parameters", None)):
                reset()
        for name, parameter in self.named_parameters():
            if start := self.starts.of(name):
                start.draw(parameter, self)
