"""Solvers that raise of a singular matrix: what they report is looked at by a call of its own, which gives nothing."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import rnnkit
from rnnkit_compiler.trace.draws import generators_of
from rnnkit_compiler.trace.generators import remembered
from rnnkit_compiler.trace.recording import Call, Recording

Results = tuple[Tensor, rnnkit.State]


def with_checks(calls: Sequence[Call]) -> list[Call]:
    """Return calls in which the solvers themselves raise where a later call would have."""
    checked = {call.reads[0] for call in calls if call.operator is torch.ops.aten._linalg_check_errors.default}
    return [
        call._replace(kwargs=call.kwargs | {"check_errors": True}) if checked.intersection(call.outputs) else call
        for call in calls
    ]


def sound(recording: Recording, device: torch.device, run: Callable[..., Results], *given: Any) -> Results | None:
    """Return the output and last states of a run, which have to be finite where a solver might have raised; else None.

    A kernel cannot raise, and the loop has its own words. It draws anew what project and step have drawn.
    """
    if not recording.raises:
        return run(*given)
    put_back = remembered(generators_of(recording.draws, device))
    try:
        output, last = run(*given)
        finite = [tensor.isfinite().all() for tensor in (output, *last)]
        if bool(torch.stack(finite).all()):  # a device is waited for once
            return output, last
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        pass
    put_back()
    return None
