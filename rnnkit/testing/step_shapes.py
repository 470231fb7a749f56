"""Shapes and state: what a cell takes, begins with and returns."""

import inspect
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, parts_of, starting_state, time_slice
from rnnkit.core.input_checks import check_step
from rnnkit.errors import ShapeError, one_line
from rnnkit.testing import culprits
from rnnkit.testing.author import Author, Place
from rnnkit.testing.call_watch import CallWatch
from rnnkit.testing.conformance import STEPS, located
from rnnkit.testing.law import labels, random


def odd_signature(kind: type[Cell], author: Author) -> str:
    """Return a sentence on a constructor that cannot take the two sizes; "" if it can."""
    try:
        inspect.signature(kind).bind_partial(1, 1)
    except TypeError:
        sentence = (
            f"__init__{inspect.signature(kind)} cannot take the sizes; write __init__(self, input_size, hidden_size)"
        )
        return located(sentence, author.definition("__init__"))
    except ValueError:  # it has no signature
        pass
    return ""


def odd_steps(cell: Cell, author: Author, batch: int) -> Iterator[str]:
    """Yield a sentence for each name, state, projection or output that is not as it must be; the first kind only."""
    names = cell.state_names
    if not isinstance(names, tuple) or len(set(names)) != len(names) or not all(isinstance(n, str) for n in names):
        sentence = f"state_names is {names!r}; it must be a tuple of different words"
        yield located(sentence, author.definition("state_names"))
        return
    known = {name for name, _ in cell.named_parameters()}
    try:
        faults = list(_odd_steps(cell, author, batch))
    except Exception:
        faults = list(_late_parameters(cell, author, known))  # of a dtype or size of their own, they may be why
        if not faults:
            raise
    yield from faults or _late_parameters(cell, author, known)


def _odd_steps(cell: Cell, author: Author, batch: int) -> Iterator[str]:
    for find in (_odd_beginning, _odd_projection, _odd_result, _odd_numbers, _other_batches):
        faults = list(find(cell, CallWatch(author), batch))
        if faults:  # only now under watch, which not every operation bears
            with suppress(Exception):
                watch = CallWatch(author)
                with watch.watching():
                    faults = list(find(cell, watch, batch)) or faults
            yield from faults
            return


def _late_parameters(cell: Cell, author: Author, known: set[str]) -> Iterator[str]:
    """Yield a sentence for each parameter that a step has made."""
    for name, _ in cell.named_parameters():
        if name not in known:
            sentence = f"parameter {name!r} is made as the cell is stepped; make it in __init__, or nothing trains it"
            yield located(sentence, author.setting(name.rpartition(".")[2]))


def _odd_beginning(cell: Cell, watch: CallWatch, batch: int) -> Iterator[str]:
    names = cell.state_names
    state = starting_state(cell, batch, random(1))
    if not isinstance(state, tuple) or len(state) != len(names):
        count = len(state) if isinstance(state, tuple) else type(state).__name__
        sentence = f"initial_state() returns {count} state tensors; state_names declares {names}"
        yield located(sentence, watch.origin(state), watch.author.definition("initial_state"))
        return
    for name, tensor in zip(names, state, strict=True):
        if tensor.ndim < 1 or tensor.shape[0] != batch:
            given = f"initial_state({batch}) gives {name!r} the shape {tuple(tensor.shape)}"
            place = watch.origin(tensor) or watch.origin(state)
            yield located(f"{given}; the batch comes first", place, watch.author.definition("initial_state"))


def _odd_projection(cell: Cell, watch: CallWatch, batch: int) -> Iterator[str]:
    projected = cell.project(random(STEPS, batch, cell.input_size))
    for part in parts_of(projected):
        if part.shape[:2] != (STEPS, batch):
            begin = (STEPS, batch)
            sentence = f"project() gives shape {tuple(part.shape)}; it must begin with (time, batch) = {begin}"
            yield located(sentence, watch.origin(part), watch.author.definition("project"))


def _odd_result(cell: Cell, watch: CallWatch, batch: int) -> Iterator[str]:
    state = starting_state(cell, batch, random(1))
    p = time_slice(cell.project(random(STEPS, batch, cell.input_size)), 0)
    result = cell.step(p, state)
    try:
        check_step(cell, result, state)
    except ShapeError as error:
        place = watch.origin(_at_fault(result, state)) or watch.origin(result)
        yield located(str(error), place, watch.author.definition("step"))
        return
    if result[0].shape != (batch, cell.output_size):
        shape, said = tuple(result[0].shape), (batch, cell.output_size)
        sentence = f"step() returns an output of shape {shape}; output_size says {said}"
        yield located(sentence, watch.origin(result[0]), watch.origin(result), watch.author.definition("step"))


def _at_fault(result: Any, before: State) -> Any:
    """Return the tensor of a step's result that is unlike the state before; the result if it is no single one."""
    if (
        isinstance(result, tuple)
        and len(result) == 2
        and isinstance(result[1], tuple)
        and len(result[1]) == len(before)
    ):
        for tensor, was in zip(result[1], before, strict=True):
            if not isinstance(tensor, Tensor) or (tensor.shape, tensor.dtype) != (was.shape, was.dtype):
                return tensor
        return result[0]
    return result


def _odd_numbers(cell: Cell, watch: CallWatch, batch: int) -> Iterator[str]:
    """Yield a sentence where the first step gives what is no finite number."""
    run = partial(cell, random(batch, cell.input_size))
    y, state = run()
    for name, tensor in zip(labels(cell), (y, *state), strict=True):
        if _is_odd(tensor):
            place = culprits.making(watch.author, run, _is_odd)
            sentence = f"{name} of the first step, from the initial state, is not finite"
            yield located(sentence, place, watch.author.definition("step"))
            return


def _is_odd(tensor: Tensor) -> bool:
    return tensor.is_floating_point() and not bool(torch.isfinite(tensor).all())


def _other_batches(cell: Cell, watch: CallWatch, batch: int) -> Iterator[str]:
    """Yield a sentence where another number of rows cannot be stepped."""
    for rows in (batch + 1, 1):
        place: Place | None = None
        try:
            state = starting_state(cell, rows, random(1))
            result = cell.step(time_slice(cell.project(random(STEPS, rows, cell.input_size)), 0), state)
            place = watch.origin(_at_fault(result, state)) or watch.origin(result)
            check_step(cell, result, state)
        except Exception as error:
            sentence = f"{batch} rows can be stepped and {rows} cannot: {one_line(error)}"
            yield located(sentence, watch.author.raising(error), place, watch.author.definition("step"))
            return
