"""Unrollers that replay: what they keep, and how a model's layers are given others for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, inf
from typing import Any, NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from rnnkit.core.cell import Cell, State, starting_state, tensors_replaced
from rnnkit.core.unroller import Unroller
from rnnkit.layers.rnn import RNN

MOST_BLOCKS = 1024
"""Segments beyond which it takes too long to say how often a schedule runs each step."""


class Replaying(Protocol):
    """An unroller that declares `Unroller.replays`: it keeps some states and runs the rest again, segment by segment.

    Its constructor takes `segment`, steps, or `budget`, bytes.
    """

    segment: int | None
    budget: int | None

    def schedule(self, cell: Cell, xs: Tensor, state: State) -> Any:
        """Tell how `xs` (T, B, D) is taken back: `leaf` steps of a segment, `slots` states kept, `runs()` forward."""


class Replays(NamedTuple):
    """What the replaying layers of a model do with a window."""

    leaf: int
    """Steps of the longest segment."""
    kept: float
    """Bytes of the states kept for each row."""
    runs: float
    """How often each step is run forward; infinite: so many segments that counting takes longer than running."""


def layers_of(model: nn.Module) -> list[RNN]:
    """Return the recurrent layers in a model."""
    return [module for module in model.modules() if isinstance(module, RNN)]


def replays_of(model: nn.Module, rows: int, steps: int) -> Replays:
    """Ask the unrollers of a model how a window is replayed."""
    leaf, kept, runs = 0, 0.0, 1.0
    for unroller, cell in _replaying(model):
        xs = _like(model)
        state = starting_state(cell, rows, xs)
        copies = {name: buffer.clone() for name, buffer in cell.named_buffers()}
        with tensors_replaced(cell, copies):  # it may try a step
            schedule = unroller.schedule(cell, xs.expand(steps, rows, cell.input_size), state)
        leaf = max(leaf, schedule.leaf)
        kept += schedule.slots * sum(tensor.nbytes for tensor in state) / rows
        countable = ceil(steps / schedule.leaf) <= max(MOST_BLOCKS, schedule.slots + 1)
        runs = max(runs, schedule.runs() / steps if countable else inf)
    return Replays(leaf, kept, runs)


def replayed_state_bytes(model: nn.Module) -> int:
    """Return the bytes of one row's state in all layers that are replayed; zero: none is."""
    cells = [cell for _, cell in _replaying(model)]
    return sum(tensor.nbytes for cell in cells for tensor in starting_state(cell, 1, _like(model)))


def state_bytes(model: nn.Module) -> int:
    """Return the bytes of one row's state in all layers."""
    cells = [cell for layer in layers_of(model) for cell in layer.cells]
    return sum(tensor.nbytes for cell in cells for tensor in starting_state(cell, 1, _like(model)))


@contextmanager
def segmented(model: nn.Module, leaf: int) -> Iterator[None]:
    """Let the layers that are replayed be so in segments of `leaf` steps."""
    kinds: list[Any] = [type(layer.unroller) if layer.unroller.replays else None for layer in layers_of(model)]
    with _holding(model, [None if kind is None else kind(segment=leaf) for kind in kinds]):
        yield


@contextmanager
def unrolled_by(model: nn.Module, unroller: Unroller | None) -> Iterator[None]:
    """Let all layers be unrolled by one unroller; None: each by its own."""
    with _holding(model, [unroller] * len(layers_of(model))):
        yield


@contextmanager
def _holding(model: nn.Module, given: list[Unroller | None]) -> Iterator[None]:
    layers = layers_of(model)
    before = [layer.unroller for layer in layers]
    try:
        for layer, unroller in zip(layers, given, strict=True):
            layer.unroller = unroller or layer.unroller
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.unroller = own


def _replaying(model: nn.Module) -> list[tuple[Replaying, Cell]]:
    layers = [layer for layer in layers_of(model) if layer.unroller.replays]
    return [(cast("Replaying", layer.unroller), cell) for layer in layers for cell in layer.cells]


def _like(model: nn.Module) -> Tensor:
    """Return one number where the model is, to be expanded."""
    first = next(model.parameters())
    return torch.zeros(1, 1, 1, dtype=first.dtype, device=first.device)
