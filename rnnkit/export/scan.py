"""Unrollers that a graph can hold: torch's `scan`, one node for any number of steps, and a single step."""

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, time_slice
from rnnkit.core.input_checks import check_step, describe
from rnnkit.core.unroller import Unroller, prepare
from rnnkit.errors import ResourceError, RnnkitError, UsageError
from rnnkit.export.reason import reason


class Graph(Unroller):
    """An unroller for `torch.export`: the plain loop would be written down step by step, for one length only."""

    def __call__(
        self,
        cell: Cell,
        xs: Tensor,
        state: State | None = None,
        *,
        lengths: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Unroll `cell` over `xs` (T, B, D), all rows to the end; see `rnnkit.Unroller`.

        Raises:
            UsageError: torch cannot write the cell down as a graph; the sentence gives its reason.
        """
        xs, state, _ = prepare(cell, xs, state, lengths, reset)
        try:
            return self.traced(cell, xs, state)
        except RnnkitError:
            raise
        except Exception as error:
            raise UsageError(f"{describe(cell)} cannot be exported: {reason(error)}") from error

    def traced(self, cell: Cell, xs: Tensor, state: State) -> tuple[Tensor, State]:
        """Unroll in operations that a graph can hold."""
        raise NotImplementedError


class Scan(Graph):
    """Any number of steps, as one node with the cell's step inside.

    Raises:
        ResourceError: this version of torch has no `scan`.
    """

    name = "scan"

    def __init__(self) -> None:
        try:  # not yet a public name
            self._scan = import_module("torch._higher_order_ops.scan").scan
        except (ImportError, AttributeError):
            raise ResourceError(f"torch {torch.__version__} has no scan, which export needs; 2.13 has it") from None

    def traced(self, cell: Cell, xs: Tensor, state: State) -> tuple[Tensor, State]:
        """Unroll; what is carried and put out is cloned, for `scan` takes nothing that shares memory."""

        def step(carried: list[Tensor], p: Any) -> tuple[list[Tensor], Tensor]:
            y, state = cell.step(p, tuple(carried[: len(carried) - len(padding)]))
            return [tensor.clone() for tensor in (*state, *padding)], y.clone()

        padding = [] if state else [xs.new_zeros(1)]  # `scan` carries at least one tensor
        carried = [tensor.clone() for tensor in (*state, *padding)]
        carried, ys = self._scan(step, carried, cell.project(xs))
        return ys, tuple(carried[: len(state)])


class Once(Graph):
    """One step."""

    name = "once"

    def traced(self, cell: Cell, xs: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: xs (1, B, D)."""
        result = cell.step(time_slice(cell.project(xs), 0), state)
        check_step(cell, result, state)
        y, state = result
        return y.unsqueeze(0), state
