"""What steps write on the cell that runs: the layer's own cell keeps it, though a copy may have run in its place."""

from typing import TYPE_CHECKING, Any

from rnnkit.core.cell import Cell
from rnnkit.layers.wrapper import nested_cells

if TYPE_CHECKING:
    from rnnkit.layers.parameter_owner import Owner

_MISSING = object()


class Writes:
    """Compares a cell, once it has run, with what it was before: attributes, and buffers that were exchanged.

    What is written in place, into a list or a tensor, needs no keeping, for a copy shares it.

    Args:
        owner: of the cells.
        position: of the cell among them.
        used: what runs, that cell or a copy; it has not run yet.
    """

    def __init__(self, owner: "Owner", position: int, used: Cell) -> None:
        self._owner, self._used = owner, used
        pairs = zip(nested_cells(used), nested_cells(owner._cells[position]), strict=True)
        self._copied = [(one, own, dict(vars(one)), dict(one._buffers)) for one, own in pairs if one is not own]
        lent = [loan for loan in owner._loans[position] if loan.table == "_buffers"]
        self._buffers = [(loan, loan.store(used).get(loan.name)) for loan in lent]

    def __enter__(self) -> None:
        pass

    def __exit__(self, *error: object) -> None:
        """Give what was written to the owner's cell and, of buffers, to the owner: of a step that fails as well."""
        for one, own, attributes, buffers in self._copied:
            _carry_over(vars(one), attributes, vars(own))
            _carry_over(one._buffers, buffers, own._buffers)
        for loan, before in self._buffers:
            written = loan.store(self._used).get(loan.name)
            if written is not before:
                setattr(self._owner, loan.alias, written)


def _carry_over(after: dict[str, Any], before: dict[str, Any], into: dict[str, Any]) -> None:
    """Put what is another than before into a third table."""
    for name, value in after.items():
        if value is not before.get(name, _MISSING):
            into[name] = value
    for name in before.keys() - after.keys():
        into.pop(name, None)
