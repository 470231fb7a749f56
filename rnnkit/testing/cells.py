"""The promises of a Cell."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, State, building, parts_of, starting_state, time_slice
from rnnkit.core.input_checks import check_step
from rnnkit.errors import check_whole, one_line
from rnnkit.plugin.cell_spec import CellChoice
from rnnkit.plugin.registry import unrollers
from rnnkit.plugin.resolve import reference_unroller
from rnnkit.testing.conformance import BATCH, HIDDEN, INPUT, STEPS, Conformance, Promise, Sizes, keep_promises
from rnnkit.testing.gradcheck import gradcheck
from rnnkit.testing.in_place import writes_in_place
from rnnkit.testing.law import differences, labels, random, random_state


def check_cell(
    kind: type[Cell],
    *,
    batch_size: int = BATCH,
    input_size: int = INPUT,
    hidden_size: int = HIDDEN,
    **options: Any,
) -> Conformance:
    """Test every promise of a Cell class.

    Gradients are held to finite differences at small sizes of their own, whatever is asked for here; `rnnkit.gradcheck`
    takes others.

    Args:
        kind: the class.
        batch_size: B of all other checks.
        input_size: D.
        hidden_size: H.
        **options: of the cell's own.

    Raises:
        CheckError: a promise is broken; with one sentence for each.
    """
    sizes = {"batch_size": batch_size, "input_size": input_size, "hidden_size": hidden_size}
    return inspect_cell(kind, **sizes, **options).raise_if_failed()


def inspect_cell(
    kind: type[Cell],
    *,
    batch_size: int = BATCH,
    input_size: int = INPUT,
    hidden_size: int = HIDDEN,
    **options: Any,
) -> Conformance:
    """Do as `check_cell`, without raising."""
    for label, size in (("batch_size", batch_size), ("input_size", input_size), ("hidden_size", hidden_size)):
        check_whole(label, size)
    check = _CellCheck(kind, options, Sizes(batch_size, input_size, hidden_size))
    result = keep_promises(
        f"cell {getattr(kind, 'name', kind.__name__)!r}", check.promises(), decisive=("shapes and state", "purity")
    )
    return replace(result, notes=tuple(check.notes))


class _CellCheck:
    """The promises of one Cell class."""

    def __init__(self, kind: type[Cell], options: dict[str, Any], sizes: Sizes) -> None:
        self.kind = kind
        self.options = options
        self.sizes = sizes
        self.notes: list[str] = []

    def promises(self) -> dict[str, Promise]:
        return {
            "shapes and state": self.shapes,
            "purity": self.purity,
            "dtype": self.dtype,
            "device": self.device,
            "rows are independent": self.rows,
            "determinism": self.determinism,
            "project agrees with step": self.agreement,
            "gradients": partial(self.gradients, 1),
            "second gradients": partial(self.gradients, 2),
            "every unroller's law": self.law,
        }

    def build(self, dtype: torch.dtype = torch.float64, device: str | None = None) -> Cell:
        with building(device, dtype):
            return CellChoice(self.kind).build(self.sizes.input, self.sizes.hidden, self.options).eval()

    def shapes(self) -> Iterator[str]:
        """Names, initial state, projection, output and new state have the shapes that they must."""
        cell = self.build()
        names = cell.state_names
        if not isinstance(names, tuple) or len(set(names)) != len(names) or not all(isinstance(n, str) for n in names):
            yield f"state_names is {names!r}; it must be a tuple of different words"
            return
        state = starting_state(cell, self.sizes.batch, random(1))
        if not isinstance(state, tuple) or len(state) != len(names):
            count = len(state) if isinstance(state, tuple) else type(state).__name__
            yield f"initial_state() returns {count} state tensors; state_names declares {names}"
            return
        for name, tensor in zip(names, state, strict=True):
            if tensor.ndim < 1 or tensor.shape[0] != self.sizes.batch:
                given = f"initial_state({self.sizes.batch}) gives {name!r} the shape {tuple(tensor.shape)}"
                yield f"{given}; the batch comes first"
        projected = cell.project(random(STEPS, self.sizes.batch, self.sizes.input))
        for part in parts_of(projected):
            if part.shape[:2] != (STEPS, self.sizes.batch):
                begin = (STEPS, self.sizes.batch)
                yield f"project() gives shape {tuple(part.shape)}; it must begin with (time, batch) = {begin}"
        result = cell.step(time_slice(projected, 0), state)
        check_step(cell, result, state)
        if result[0].shape != (self.sizes.batch, cell.output_size):
            yield (
                f"step() returns an output of shape {tuple(result[0].shape)}; "
                f"output_size says {(self.sizes.batch, cell.output_size)}"
            )

    def dtype(self) -> Iterator[str]:
        """Everything is in the dtype in which the cell was built."""
        for dtype in (torch.float64, torch.float32):
            cell = self.build(dtype)
            for name, tensor in [*cell.named_parameters(), *cell.named_buffers()]:
                if tensor.is_floating_point() and tensor.dtype != dtype:
                    yield f"{name} is {tensor.dtype} in a cell built as {dtype}; create it without a dtype of its own"
            y, state = cell(random(self.sizes.batch, self.sizes.input).to(dtype))
            for name, tensor in [("the output", y), *zip(cell.state_names, state, strict=True)]:
                if tensor.is_floating_point() and tensor.dtype != dtype:
                    yield f"{name} is {tensor.dtype} in a cell built as {dtype}"

    def device(self) -> Iterator[str]:
        """Everything is where the cell was built, and nothing looks at values: `meta` tensors have none."""
        cell = self.build(device="meta")
        for name, value in vars(cell).items():
            if isinstance(value, Tensor):
                yield f"attribute {name!r} is a plain tensor, which .to() leaves behind; use register_buffer()"
        for name, tensor in [*cell.named_parameters(), *cell.named_buffers()]:
            if tensor.device.type != "meta":
                yield f"{name} is on {tensor.device} in a cell built on meta; create it without a device of its own"
        try:
            y, state = cell(torch.empty(self.sizes.batch, self.sizes.input, dtype=torch.float64, device="meta"))
        except Exception as error:
            yield f"a step on the meta device fails, so it looks at values or names a device ({one_line(error)})"
            return
        for name, tensor in [("the output", y), *zip(cell.state_names, state, strict=True)]:
            if tensor.device.type != "meta":
                yield f"{name} is on {tensor.device} in a cell on meta"

    def purity(self) -> Iterator[str]:
        """Nothing is written in place."""
        cell = self.build()
        yield from writes_in_place(
            cell, random(STEPS, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        )

    def rows(self) -> Iterator[str]:
        """Changing one row of the batch changes no other."""
        cell = self.build()
        xs, state = random(STEPS, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        others = torch.arange(self.sizes.batch) != 1
        torch.manual_seed(1)
        before = _unroll(cell, xs, state)
        xs[:, 1] += 1
        torch.manual_seed(1)
        for name, was, now in zip(labels(cell), before, _unroll(cell, xs, state), strict=True):
            rows = (slice(None), others) if name == "the output" else others
            if not torch.allclose(was[rows], now[rows], rtol=1e-9, atol=1e-9):
                yield f"{name} of one row depends on another row of the batch"

    def determinism(self) -> Iterator[str]:
        """The same seed gives the same numbers, and `step` draws none."""
        cell = self.build().train()
        begun = (starting_state(cell, self.sizes.batch, random(1)) for _ in range(2))
        for name, first, second in zip(cell.state_names, *begun, strict=True):
            if not torch.equal(first, second):
                yield f"initial_state() gives another {name!r} at each call; hand a random state in instead"
        xs, state = random(STEPS, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        runs = []
        for _ in range(2):
            torch.manual_seed(1)
            runs.append(_unroll(cell, xs, state))
        for name, first, second in zip(labels(cell), *runs, strict=True):
            if not torch.equal(first, second):
                yield f"{name} differs between two runs from the same seed"
        p = time_slice(cell.project(xs), 0)
        before = torch.get_rng_state()
        cell.step(p, state)
        if not torch.equal(before, torch.get_rng_state()):
            yield "step() draws random numbers; draw them in project(), for the whole sequence"

    def agreement(self) -> Iterator[str]:
        """A step of the projected sequence is the projection of the step, and `forward` does both."""
        cell = self.build()
        xs, state = random(STEPS, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        whole = cell.project(xs)
        if not all(map(torch.equal, parts_of(whole), parts_of(cell.project(xs)))):
            return  # it draws, and what it draws for a step alone is something else
        for t in range(STEPS):
            alone = parts_of(time_slice(cell.project(xs[t : t + 1]), 0))
            for of_whole, part in zip(parts_of(time_slice(whole, t)), alone, strict=True):
                if not torch.allclose(of_whole, part, rtol=1e-9, atol=1e-9):
                    yield f"project() of the sequence and of step {t} alone differ; a step may use its own input only"
                    return
        y, after = cell(xs[0], state)
        expected_y, expected = cell.step(time_slice(whole, 0), state)
        for name, a, b in zip(labels(cell), (y, *after), (expected_y, *expected), strict=True):
            if not torch.allclose(a, b, rtol=1e-9, atol=1e-9):
                yield f"{name} differs between forward() and step() of the projection"

    def gradients(self, order: int) -> Iterator[str]:
        """Autograd's gradients equal central differences."""
        report = gradcheck(self.kind, reference_unroller(), order, **self.options)
        self.notes += [note for note in report.notes if note not in self.notes]
        yield from report.failures

    def law(self) -> Iterator[str]:
        """Every registered unroller, in each way that it may ever choose for the cell, gives the loop's numbers."""
        cell = self.build()
        loop = unrollers.declaring("is_reference")
        ways = [way for kind in unrollers.values() if kind is not loop for way in kind.variants()]
        tried = [way for way in ways if way.applies(cell)]
        self.notes.append(f"held to the loop: {', '.join(map(str, tried)) or 'nothing, for none goes with the cell'}")
        for unroller in tried:
            yield from differences(unroller, cell, STEPS, self.sizes.batch, 1e-10)


def _unroll(cell: Cell, xs: Tensor, state: State) -> list[Tensor]:
    with torch.no_grad():
        ys, last = reference_unroller()(cell, xs, state)
    return [ys, *last]
