"""Verification: a written file is held to the model before it is put in its place."""

from collections.abc import Iterator

import torch
from torch import Tensor

from rnnkit.errors import CheckError
from rnnkit.export.format import Runner
from rnnkit.export.interface import Interface, Table

SIZES = ((4, 3), (11, 1))
"""Steps and rows that a file is run at; it is traced at others."""

TOLERANCES = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Relative and absolute, of what the model puts out before it is brought into units; of other dtypes 16 roundings."""

ROUNDING = 1e-14
"""Of a number in units, which is float64: what bringing it there may cost."""


def verify(run: Runner, model: Interface, *, step: bool, state: bool) -> float:
    """Compare a file with the model, in evaluation, on random input and states.

    Args:
        run: the file.
        model: whole sequences through the model itself.
        step: the file takes single steps; as many are taken as the sequence has.
        state: the file takes the state before the first step.

    Returns:
        The largest difference found.

    Raises:
        CheckError: a tensor differs by more than rounding, or in shape or dtype.
    """
    worst = 0.0
    for time, batch in SIZES:
        xs, start = model.example(time, batch)
        bare, after = model.bare(xs, start) if step or state else model.bare(xs)
        slacks = {"the output": _slack(model, bare, xs)}
        computed = _stepped(run, model, xs, start) if step else run(xs, start) if state else run(xs)
        for name, one, other in _pairs(computed, (model.in_units(bare, xs), after)):
            what = f"{name} after {time} steps of {batch} rows"
            worst = max(worst, _difference(what, one, other, slacks.get(name)))
    return worst


def _slack(model: Interface, bare: Tensor, xs: Tensor) -> Tensor | None:
    """Return how far an output in units may be off: by what its tolerance comes to there; None: it has no units."""
    if model.into_units is None:
        return None
    tolerance = tolerance_of(bare.dtype)
    bare = bare.double()
    output = model.in_units(bare, xs)
    slack = ROUNDING * output.abs()
    for place in range(bare.shape[-1]):  # each by itself: a softmax minds no change that all share
        changed = bare.clone()
        changed[..., place] += tolerance * (1 + changed[..., place].abs())
        slack += (model.in_units(changed, xs) - output).abs()
    return slack


def _stepped(run: Runner, model: Interface, xs: Tensor, state: Table) -> tuple[Tensor, Table]:
    """Take single steps over a sequence."""
    time = model.time
    ys = []
    for x in xs.unbind(time):
        y, state = run(x, state)
        ys.append(y)
    return torch.stack(ys, time), state


def _pairs(computed: tuple[Tensor, Table], wanted: tuple[Tensor, Table]) -> Iterator[tuple[str, Tensor, Tensor]]:
    if list(computed[1]) != list(wanted[1]):
        raise CheckError(f"the file gives the states {list(computed[1])}, the model {list(wanted[1])}")
    yield "the output", computed[0], wanted[0]
    for name, tensor in wanted[1].items():
        yield f"state {name!r}", computed[1][name], tensor


def _difference(what: str, computed: Tensor, wanted: Tensor, slack: Tensor | None = None) -> float:
    if (computed.shape, computed.dtype) != (wanted.shape, wanted.dtype):
        raise CheckError(
            f"{what} is {computed.dtype} {tuple(computed.shape)} from the file, "
            f"{wanted.dtype} {tuple(wanted.shape)} from the model"
        )
    difference = (computed.to(torch.complex128) - wanted.to(torch.complex128)).abs().nan_to_num(nan=0.0)
    worst = float(difference.max()) if difference.numel() else 0.0
    if not _near(computed, wanted, slack).all():
        raise CheckError(f"{what} from the file differs from the model's by up to {worst:.1e}")
    return worst


def _near(computed: Tensor, wanted: Tensor, slack: Tensor | None) -> Tensor:
    """Tell of each number whether it differs by no more than rounding, or than a slack of its own."""
    if slack is not None:
        same = (computed == wanted) | (computed.isnan() & wanted.isnan())
        return same | ((computed - wanted).abs() <= slack)
    tolerance = tolerance_of(wanted.dtype)
    return torch.isclose(computed, wanted, rtol=tolerance, atol=tolerance, equal_nan=True)


def tolerance_of(dtype: torch.dtype) -> float:
    """Return how far two results in a dtype may be apart, relatively and absolutely."""
    if not dtype.is_floating_point and not dtype.is_complex:
        return 0.0
    real = dtype.to_real()
    return TOLERANCES.get(real, 16 * torch.finfo(real).eps)
