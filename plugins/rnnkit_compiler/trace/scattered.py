"""What is written through views of complex tensors: torch has no derivatives of its operations for that."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from rnnkit_compiler.trace.instead import Operator

aten = torch.ops.aten

SCATTERS = ("slice_scatter", "select_scatter", "diagonal_scatter")
"""Operations that torch derives for real numbers alone."""

NAMES = tuple(f"rnnkit::{name}" for name in SCATTERS)
"""What they are called where they are for complex ones."""


def _by_parts(operator: Any) -> Callable[..., Tensor]:
    """Return an operation on real and imaginary parts, given and returned as complex numbers; real ones it leaves."""

    def scatter(base: Tensor, source: Tensor, *words: Any) -> Tensor:
        if not base.is_complex():
            found: Tensor = operator(base, source, *words)
            return found
        source = source.to(base.dtype)
        return torch.complex(operator(base.real, source.real, *words), operator(base.imag, source.imag, *words))

    return scatter


def _operator(name: str) -> Operator:
    operator = getattr(aten, name).default
    schema = str(operator._schema).removeprefix("aten::").rpartition(" -> ")[0]
    return Operator(f"rnnkit::{schema}", _by_parts(operator), ())


_BY_NAME = {f"aten::{name}": _operator(name) for name in SCATTERS}

_as_complex = Operator(
    "rnnkit::view_as_complex(Tensor self)", lambda pairs: torch.view_as_complex(pairs.contiguous()), ()
)
_as_real = Operator(
    "rnnkit::view_as_real(Tensor self)", lambda number: torch.view_as_real(number.resolve_conj()).clone(), ()
)


def of_complex(operator: Any) -> Any:
    """Return the same operation for complex numbers, with a derivative."""
    return _BY_NAME.get(operator._schema.name, operator)


def back_from(view: str) -> Operator:
    """Return what makes of a view as pairs, or of pairs as complex numbers, what it is a view of."""
    return _as_complex if view == "view_as_real" else _as_real
