"""Gradient checks: every gradient of a cell or layer, through any unroller, against central differences."""

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, building
from rnnkit.core.unroller import Unroller
from rnnkit.errors import RnnkitError, UsageError, one_line
from rnnkit.layers.rnn import RNN
from rnnkit.plugin.cell_spec import CellLike, choose
from rnnkit.plugin.resolve import resolve_unroller, willing
from rnnkit.support.random_states import drawn_apart
from rnnkit.testing.central_differences import BatchedDifferences, differences_one_by_one
from rnnkit.testing.gradient_probe import GradientProbe
from rnnkit.testing.gradient_report import GradientReport, Row
from rnnkit.testing.in_place import writes_in_place

ABSOLUTE, RELATIVE = 1e-7, 1e-6
"""Tolerance: absolute, and relative to the tensor's largest gradient. A central difference in float64 errs by about
1e-9: rounding 1e-16 x |loss| / `STEP`, truncation `STEP` squared x third derivative."""


def gradcheck(
    subject: CellLike | Cell | RNN,
    unroller: str | type[Unroller] | Unroller = "loop",
    order: int = 1,
    *,
    steps: int = 5,
    batch_size: int = 2,
    input_size: int = 3,
    hidden_size: int = 4,
    lengths: Sequence[int] | None = None,
    seed: int = 0,
    device: torch.device | str | None = None,
    **cell_options: Any,
) -> GradientReport:
    """Compare autograd's gradients with central differences, in float64, element by element.

    The scalar that is differentiated weighs every output and every final state with random numbers, so that no error
    cancels another. Order 2 differentiates a random combination of the first gradients by double backward.

    The differences of a tensor are taken in one batched pass of the loop, where the module can be run so and the
    unroller gives the loop's numbers; else, and before a gradient is called wrong, one by one through the unroller.

    Args:
        subject: what `rnnkit.RNN` takes as a cell, built small in float64; or a Cell or layer, checked as a copy.
        unroller: through which to differentiate, a layer too.
        order: 1 or 2.
        steps: T.
        batch_size: B.
        input_size: D, for a name or class.
        hidden_size: H, for a name or class.
        lengths: steps of each row, at most `steps`; None: all.
        seed: of weights, inputs and states.
        device: where to compute; None: where the subject is, or torch's default.
        **cell_options: of the cell's own, for a name or class; one called as an argument here goes with a built cell.

    Returns:
        The report. A wrong gradient does not raise; see `GradientReport.raise_if_failed`.

    Raises:
        UsageError: the subject, the order or an option makes no sense.
    """
    if order not in (1, 2):
        raise UsageError(f"order is {order!r}; it must be 1 or 2")
    with drawn_apart():
        torch.manual_seed(seed)
        module, strays = _in_float64(subject, input_size, hidden_size, device, cell_options)
        subjects: tuple[Cell, ...] = tuple(module.cells) if isinstance(module, RNN) else (module,)
        cell, through = subjects[0], willing(resolve_unroller(unroller, *subjects), *subjects)
        rows, notes, raised = tuple[Row, ...](), tuple[str, ...](), None
        try:
            probe = GradientProbe(module, through, steps, batch_size, lengths, seed)
            problems = _hindrances(probe, cell)
            if not problems:
                rows = tuple(_rows(probe, order, strays))
                rows, notes = _excused(rows, cell) if cell.straight_through else (rows, ())
        except RnnkitError as error:
            problems = [str(error)]
        except Exception as error:  # whatever somebody's cell may raise
            problems, raised = [f"cell {cell.name!r}: {one_line(error)}"], error
    return GradientReport(cell.name, str(through), order, rows, tuple(problems), notes, raised)


def _hindrances(probe: GradientProbe, cell: Cell) -> list[str]:
    """Return what leaves nothing to compare: states written in place, or a result that depends on nothing."""
    problems = writes_in_place(*probe.first_step())
    if not problems and not any(gradient.any() for gradient in probe.gradients(probe.loss()).values()):
        return [f"cell {cell.name!r}: all gradients are zero; nothing depends on anything differentiably"]
    return problems


def _excused(rows: tuple[Row, ...], cell: Cell) -> tuple[tuple[Row, ...], tuple[str, ...]]:
    """Demand of no gradient that it is a derivative, since the cell says that one is not; say which differ."""
    differing = [row.tensor for row in rows if not row.ok]
    outcome = f"those of {', '.join(differing)} differ" if differing else "none differs"
    note = f"cell {cell.name!r} declares straight_through: no gradient is held to the differences; {outcome}"
    return tuple(replace(row, problem="") for row in rows), (note,)


def _in_float64(
    subject: CellLike | Cell | RNN,
    input_size: int,
    hidden_size: int,
    device: torch.device | str | None,
    options: dict[str, Any],
) -> tuple[Cell | RNN, dict[str, torch.dtype]]:
    """Return a float64 copy, and the dtypes of parameters that did not follow the others by themselves."""
    if isinstance(subject, Cell | RNN):
        if options:
            raise UsageError("options of the cell go with a name or class; this one is built already")
        module: Cell | RNN = copy.deepcopy(subject)
        dtypes = Counter(p.dtype for p in module.parameters() if p.is_floating_point())
        expected = max(dtypes, key=lambda dtype: (dtypes[dtype], dtype.itemsize), default=torch.float64)
    else:
        choice = choose(subject)
        with building(device, torch.float64):
            module = choice.build(input_size, hidden_size, options)
        expected = torch.float64
    tensors = [*module.named_parameters(), *module.named_buffers()]
    strays = {name: t.dtype for name, t in tensors if t.is_floating_point() and t.dtype != expected}
    return module.double().to(device), strays


def _rows(probe: GradientProbe, order: int, strays: dict[str, torch.dtype]) -> Iterator[Row]:
    """Compare each tensor's gradient with its differences; one that seems wrong with those taken one by one."""
    batched = BatchedDifferences(probe, order)
    for name, gradient in probe.gradients(probe.scalar(order, create_graph=True)).items():
        gradient, stray = gradient.detach(), strays.get(name)
        differences = batched.of(name)
        row = None if differences is None else _row(name, gradient, differences, stray)
        if row is None or row.problem:
            row = _row(name, gradient, differences_one_by_one(probe, name, order), stray)
        yield row


def _row(name: str, gradient: Tensor, differences: Tensor, stray: torch.dtype | None) -> Row:
    errors = (gradient - differences).abs()
    worst = int(errors.argmax()) if errors.numel() else 0
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(worst), errors.shape))
    largest = float(differences.abs().max()) if errors.numel() else 0.0
    error = float(errors.flatten()[worst]) if errors.numel() else 0.0
    problem = ""
    if stray is not None:
        problem = f"{name} is {stray} where the others are not: it was created with a dtype of its own"
    elif not error <= ABSOLUTE + RELATIVE * largest:  # so that NaN fails too
        problem = (
            f"the gradient of {name} at {list(index)} is wrong: autograd says {gradient[index].item():.6g}, "
            f"differences say {differences[index].item():.6g}"
        )
    relative = error / largest if largest else float(error > 0)
    return Row(name, tuple(gradient.shape), float(gradient.norm()), error, relative, index, problem)
