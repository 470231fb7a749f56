"""What may stand for a cell: a name, MODULE:CLASS, an expression, a class, or a class with some of its options."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from rnnkit.core.cell import Cell
from rnnkit.errors import UsageError
from rnnkit.plugin.expression import parse
from rnnkit.plugin.registry import cells
from rnnkit.plugin.resolve import check_options, construct, option_names, resolve

RESERVED = {
    *("cell", "input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional"),
    *("device", "dtype", "unroller", "residual", "trainable_state", "task", "embedding_size"),
}
"""Keywords of RNN and Model, which take options of the cell's own beside them."""


@dataclass(frozen=True)
class CellChoice:
    """A Cell class and options of its own, to be built in any size."""

    kind: type[Cell]
    options: Mapping[str, Any] = field(default_factory=dict)

    def accepted(self, options: Mapping[str, Any], bias: bool = True) -> dict[str, Any]:
        """Return all keywords to build the cell with; `bias=True`, the default, goes only to cells that have it.

        Raises:
            UsageError: the cell lacks an option, has it twice, or has one that would be taken for somebody else's.
        """
        names, _ = option_names(self.kind)
        for name in (options.keys() | self.options.keys()) & {*RESERVED, "self"}:
            raise UsageError(f"cell {self.kind.name!r} has no option {name!r}; it is a word of the layer's own")
        for name in names:
            if name in RESERVED:
                raise UsageError(
                    f"cell {self.kind.name!r} has an option {name!r}, a word of the layer's own; name it otherwise"
                )
        given = {**options} if bias else {"bias": False, **options}
        for name in self.options.keys() & given.keys():
            raise UsageError(f"cell {self.kind.name!r}: option {name!r} is given twice")
        given |= self.options
        if "bias" in names:
            given.setdefault("bias", bias)
        check_options("cell", self.kind, given)
        return given

    def build(self, input_size: int, hidden_size: int, options: Mapping[str, Any], bias: bool = True) -> Cell:
        """Build the cell.

        Raises:
            UsageError: it lacks an option, or refuses one; see `accepted` and `construct`.
            PluginError: its constructor fails.
        """
        return construct("cell", self.kind, input_size, hidden_size, **self.accepted(options, bias))

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.options.items())
        return f"{self.kind.name}({shown})" if shown else self.kind.name


CellLike: TypeAlias = str | type[Cell] | partial[Cell] | CellChoice
"""A registered name, "my_package.cells:MyCell", an expression of these such as "zoneout(lstm, rate=0.1)", a Cell class,
or `functools.partial` of one."""


def choose(cell: CellLike) -> CellChoice:
    """Return the class and options that a name, expression, class or partial stands for.

    Raises:
        UnknownNameError: no cell of that name.
        PluginError: the module of MODULE:CLASS cannot be imported.
        UsageError: it is none of these.
    """
    if isinstance(cell, CellChoice):
        return cell
    if isinstance(cell, partial):
        if cell.args:
            raise UsageError(
                f"the cell is {cell!r}; a partial may give keywords alone, since the layer gives the sizes"
            )
        kind: Any = cell.func
        return CellChoice(resolve(kind, Cell, cells, "cell"), cell.keywords)
    if not isinstance(cell, str):
        return CellChoice(resolve(cell, Cell, cells, "cell"))
    name, arguments, options = parse(cell)
    kind = resolve(name, Cell, cells, "cell")
    if arguments:
        if len(arguments) > 1 or "inner" not in option_names(kind)[0] or "inner" in options:
            raise UsageError(f"cell {cell!r}: {arguments[-1]!r} has no keyword; {name!r} takes option=value")
        choose(arguments[0])  # imported and refused before anything is built, on another device or in another dtype
        options["inner"] = arguments[0]
    return CellChoice(kind, options)
