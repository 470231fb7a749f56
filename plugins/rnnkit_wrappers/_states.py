"""What wrappers ask about the state of the cell inside."""

import rnnkit


def continuous_names(cell: rnnkit.Cell) -> tuple[str, ...]:
    """Name the state tensors that hold real or complex numbers, not integers: those to be dropped, mixed or learnt."""
    state = zip(cell.state_names, cell.initial_state(1), strict=True)
    return tuple(name for name, tensor in state if tensor.is_floating_point() or tensor.is_complex())
