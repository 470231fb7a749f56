"""Whether a Cell keeps its promises."""

from dataclasses import replace
from typing import Any

from rnnkit.core.cell import Cell
from rnnkit.errors import check_whole
from rnnkit.testing.cell_promises import NEEDS, CellPromises
from rnnkit.testing.conformance import BATCH, HIDDEN, INPUT, Conformance, Sizes, keep_promises


def check_cell(
    kind: type[Cell],
    *,
    batch_size: int = BATCH,
    input_size: int = INPUT,
    hidden_size: int = HIDDEN,
    **options: Any,
) -> Conformance:
    """Test every promise of a Cell class.

    Gradients are held to finite differences at small sizes of their own, whatever is asked for here; `rnnkit.gradcheck`
    takes others.

    Args:
        kind: the class.
        batch_size: B of all other checks.
        input_size: D.
        hidden_size: H.
        **options: of the cell's own.

    Raises:
        CheckError: a promise is broken; with one sentence for each, and the line of the class's source.
    """
    sizes = {"batch_size": batch_size, "input_size": input_size, "hidden_size": hidden_size}
    return inspect_cell(kind, **sizes, **options).raise_if_failed()


def inspect_cell(
    kind: type[Cell],
    *,
    batch_size: int = BATCH,
    input_size: int = INPUT,
    hidden_size: int = HIDDEN,
    **options: Any,
) -> Conformance:
    """Do as `check_cell`, without raising."""
    for label, size in (("batch_size", batch_size), ("input_size", input_size), ("hidden_size", hidden_size)):
        check_whole(label, size)
    cell = CellPromises(kind, options, Sizes(batch_size, input_size, hidden_size))
    result = keep_promises(cell.subject, cell.promises(), NEEDS, cell.place_of)
    return replace(result, notes=tuple(cell.notes), certificate=cell.certificate())
