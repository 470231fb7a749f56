"""Whether two ways to compute the same differ by more than rounding."""

import torch
from torch import Tensor

BOUNDS = {torch.float64: 1e-9, torch.float32: 5e-4, torch.float16: 3e-2, torch.bfloat16: 0.15}
"""How much of its magnitude a tensor may stray by: some roundings of the dtype."""

ROUNDED = 2e-2
"""The same of float32 where factors of products are rounded to TF32 or bfloat16."""


def differ(found: Tensor, expected: Tensor, rounded: bool = False) -> bool:
    """Tell whether two tensors differ by more than rounding, or in where they are not finite.

    Args:
        found: by the one way; rounding is that of its dtype.
        expected: by the other.
        rounded: whether factors of products are rounded to a lower precision than the dtype's.
    """
    bound = BOUNDS.get(found.real.dtype if found.is_complex() else found.dtype, 0.0)
    bound = max(bound, ROUNDED) if rounded and bound else bound
    found, expected = (
        tensor.to(torch.complex128 if tensor.is_complex() else torch.float64) for tensor in (found, expected)
    )
    finite = expected.isfinite()
    if not torch.equal(found.isfinite(), finite):
        return True
    error = torch.where(finite, found - expected, 0).abs()
    scale = torch.where(finite, expected, 0).abs()
    return bool(error.numel()) and float(error.max()) > bound * max(1e-2, float(scale.max()))
