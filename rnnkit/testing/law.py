"""The law: an unroller gives the loop's numbers."""

from collections.abc import Iterator

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, starting_state
from rnnkit.core.state_domains import random_like
from rnnkit.core.unroller import Unroller
from rnnkit.plugin.resolve import reference_unroller


def differences(
    unroller: Unroller,
    cell: Cell,
    steps: int,
    batch: int,
    tolerance: float,
    *,
    lengths: Tensor | None = None,
    reset: Tensor | None = None,
) -> Iterator[str]:
    """Compare an unroller with the loop: a sentence for each output, state or gradient that differs.

    Args:
        unroller: to compare.
        cell: what to step, in any dtype.
        steps: T.
        batch: B.
        tolerance: relative to the largest element of each tensor; 0 asks for the same bits.
        lengths: as in `Unroller`.
        reset: as in `Unroller`.
    """
    parameter = next(cell.parameters(), None)
    dtype = torch.float64 if parameter is None else parameter.dtype
    xs, state = random(steps, batch, cell.input_size).to(dtype), random_state(cell, batch)
    loop = reference_unroller()
    seed, own = int(torch.randint(2**31, ())), dict(cell.named_parameters(remove_duplicate=False))
    reference, result = (_everything(u, cell, xs, state, lengths, reset, seed) for u in (loop, unroller))
    for name, tensor in cell.named_parameters(remove_duplicate=False):
        if own.get(name) is not tensor:
            yield f"unroller {unroller!s} with cell {cell.name!r} leaves another tensor as parameter {name!r}"
    for name, expected in reference.items():
        actual, expected = (t.double() if t.dtype == torch.bool else t for t in (result[name], expected))
        error = float((actual - expected).abs().max()) if expected.numel() else 0.0
        if not error <= tolerance * max(1.0, float(expected.abs().max()) if expected.numel() else 1.0):
            masks = "".join(f", {m}" for m, given in (("lengths", lengths), ("reset", reset)) if given is not None)
            yield (
                f"unroller {unroller!s} with cell {cell.name!r} (T={steps}, B={batch}{masks}): "
                f"{name} differs from the loop's by {error:.1e}"
            )


def _everything(
    unroller: Unroller,
    cell: Cell,
    xs: Tensor,
    state: State,
    lengths: Tensor | None,
    reset: Tensor | None,
    seed: int,
) -> dict[str, Tensor]:
    """Return outputs, last state and all gradients, by name."""
    state = tuple(tensor.clone().requires_grad_(tensor.is_floating_point()) for tensor in state)
    masks = {"lengths": lengths, "reset": reset}
    tensors = _with_gradients(unroller, cell, xs, state, masks, seed)
    if type(cell).initial_state is not Cell.initial_state:  # it may be learnt
        begun = _with_gradients(unroller, cell, xs, None, masks, seed)
        tensors |= {f"{name}, from the initial state,": tensor for name, tensor in begun.items()}
    return tensors


def _with_gradients(
    unroller: Unroller, cell: Cell, xs: Tensor, state: State | None, masks: dict[str, Tensor | None], seed: int
) -> dict[str, Tensor]:
    xs = xs.clone().requires_grad_()
    torch.manual_seed(seed)
    ys, last = unroller(cell, xs, state, **masks)
    outputs = dict(zip(labels(cell), (ys, *last), strict=True))
    weights = {n: torch.randn_like(t) for n, t in outputs.items() if t.is_floating_point()}
    weighed = [(outputs[n] * weight).sum() for n, weight in weights.items() if outputs[n].requires_grad]
    named = {"input": xs, **{f"{n}0": t for n, t in zip(cell.state_names, state or (), strict=False)}}
    named |= {f"parameter {n}": t for n, t in cell.named_parameters()}
    named = {n: t for n, t in named.items() if t.requires_grad}
    outputs = {n: t.detach() for n, t in outputs.items()}
    if not weighed:
        return outputs
    computed = torch.autograd.grad(torch.stack(weighed).sum(), list(named.values()), allow_unused=True)
    gradients = zip(named.items(), computed, strict=True)
    return outputs | {f"the gradient of {n}": torch.zeros_like(t) if g is None else g for (n, t), g in gradients}


def random(*shape: int) -> Tensor:
    """Draw a float64 tensor from the normal distribution."""
    return torch.randn(*shape, dtype=torch.float64)


def random_state(cell: Cell, batch: int) -> State:
    """Draw a state shaped as the cell's initial one, within its domains; integers stay as they are."""
    return random_like(cell, starting_state(cell, batch, torch.empty(0, dtype=torch.float64)))


def labels(cell: Cell) -> list[str]:
    """Name the output and each state tensor, as sentences do."""
    return ["the output", *(f"state {name!r}" for name in cell.state_names)]
