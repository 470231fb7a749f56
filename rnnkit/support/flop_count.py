"""The work of a computation: floating-point operations of its matrix products, as torch counts them."""

from collections.abc import Callable


def flops_of(compute: Callable[[], object]) -> int:
    """Compute something, and return the floating-point operations of its matrix products."""
    from torch.utils.flop_counter import FlopCounterMode  # brings Triton along, a tenth of a second or more

    counter = FlopCounterMode(display=False)
    with counter:
        compute()
    return int(counter.get_total_flops())
