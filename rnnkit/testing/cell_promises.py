"""The promises of a Cell: a sentence, and the author's line, for each way in which one is broken."""

from collections.abc import Iterator
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor

from rnnkit.core.cell import Cell, building, parts_of, starting_state, time_slice
from rnnkit.errors import one_line
from rnnkit.plugin.cell_spec import CellChoice
from rnnkit.plugin.registry import unrollers
from rnnkit.plugin.resolve import reference_unroller
from rnnkit.testing import culprits
from rnnkit.testing.author import Author, Place
from rnnkit.testing.certificate import Certificate
from rnnkit.testing.conformance import STEPS, Promise, Sizes, located
from rnnkit.testing.dependence import IDLE, idle_tensors
from rnnkit.testing.gate_order import misnamed_gates
from rnnkit.testing.gradcheck import gradcheck
from rnnkit.testing.gradient_report import GradientReport
from rnnkit.testing.in_place import writes_in_place
from rnnkit.testing.law import differences, labels, random, random_state
from rnnkit.testing.memory_of_calls import remembered
from rnnkit.testing.row_mixing import mixed_rows, seeded, unrolled
from rnnkit.testing.step_shapes import odd_signature, odd_steps

FIRST = ("shapes and state", "purity", "determinism")
REST = ("dtype", "device", "rows are independent", "dependence", "gates", "project agrees with step")
NEEDS: dict[str, tuple[str, ...]] = {
    "purity": FIRST[:1],
    "determinism": FIRST[:2],
    **dict.fromkeys((*REST, "gradients", "every unroller's law"), FIRST),
    "second gradients": (*FIRST, "gradients"),
}
"""For a promise, those without which it means nothing."""


class CellPromises:
    """The promises of one Cell class.

    Args:
        kind: the class.
        options: of its own.
        sizes: at which it is checked.
    """

    def __init__(self, kind: type[Cell], options: dict[str, Any], sizes: Sizes) -> None:
        self.kind = kind
        self.options = options
        self.sizes = sizes
        self.subject = f"cell {getattr(kind, 'name', kind.__name__)!r}"
        self.notes: list[str] = []
        self.reports: dict[int, GradientReport] = {}
        """What the gradient checks found, by their order."""

    def promises(self) -> dict[str, Promise]:
        """Return each promise by name."""
        return {
            "shapes and state": self.shapes,
            "purity": self.purity,
            "determinism": self.determinism,
            "dtype": self.dtype,
            "device": self.device,
            "rows are independent": self.rows,
            "dependence": self.dependence,
            "gates": self.gates,
            "project agrees with step": self.agreement,
            "gradients": partial(self.gradients, 1),
            "second gradients": partial(self.gradients, 2),
            "every unroller's law": self.law,
        }

    def certificate(self) -> Certificate | None:
        """Sum up the gradient checks; None unless both ran."""
        if len(self.reports) < 2 or not all(report.rows for report in self.reports.values()):
            return None
        return Certificate.of(self.reports[1], self.reports[2])

    def place_of(self, error: Exception) -> Place | None:
        """Return the author's line that an exception came through; of one that comes from elsewhere, None."""
        return self.author.raising(error)

    @cached_property
    def author(self) -> Author:
        """The author of the class and, where it can be built, of what is inside."""
        try:
            return Author.of(self.build())
        except Exception:
            return Author([self.kind])

    def build(self, dtype: torch.dtype = torch.float64, device: str | None = None) -> Cell:
        """Build the cell."""
        with building(device, dtype):
            return CellChoice(self.kind).build(self.sizes.input, self.sizes.hidden, self.options).eval()

    def shapes(self) -> Iterator[str]:
        """Constructor, names, initial state, projection, output and new state are as they must be."""
        if fault := odd_signature(self.kind, self.author):
            yield fault
            return
        cell = self.build()
        yield from odd_steps(cell, self.author, self.sizes.batch)

    def dtype(self) -> Iterator[str]:
        """Everything is in the dtype in which the cell was built, what is computed on the way too."""
        for dtype in (torch.float64, torch.float32):
            cell = self.build(dtype)
            strays = [(n, t) for n, t in [*cell.named_parameters(), *cell.named_buffers()] if _is_stray(t, dtype)]
            for name, tensor in strays:
                sentence = f"{name} is {tensor.dtype} in a cell built as {dtype}; create it without a dtype of its own"
                yield located(sentence, self.author.setting(name.partition(".")[0]))
            x = random(self.sizes.batch, self.sizes.input).to(dtype)
            y, state = cell(x)
            place = culprits.making(self.author, partial(cell, x), partial(_is_stray, dtype=dtype))
            wrong = [(name, t) for name, t in zip(labels(cell), (y, *state), strict=True) if _is_stray(t, dtype)]
            for name, tensor in wrong:
                yield located(
                    f"{name} is {tensor.dtype} in a cell built as {dtype}", place, self.author.definition("step")
                )
            if place and not wrong and not strays:
                yield located(f"a number in a cell built as {dtype} is of another dtype, named in its code", place)

    def device(self) -> Iterator[str]:
        """Everything is where the cell was built, and nothing looks at values: `meta` tensors have none."""
        cell = self.build(device="meta")
        for name, value in vars(cell).items():
            if isinstance(value, Tensor):
                sentence = f"attribute {name!r} is a plain tensor, which .to() leaves behind; use register_buffer()"
                yield located(sentence, self.author.setting(name))
        for name, tensor in [*cell.named_parameters(), *cell.named_buffers()]:
            if not tensor.is_meta:
                sentence = (
                    f"{name} is on {tensor.device} in a cell built on meta; create it without a device of its own"
                )
                yield located(sentence, self.author.setting(name.partition(".")[0]))
        x = torch.empty(self.sizes.batch, self.sizes.input, dtype=torch.float64, device="meta")
        try:
            y, state = cell(x)
        except Exception as error:
            sentence = f"a step on the meta device fails, so it looks at values or names a device ({one_line(error)})"
            yield located(sentence, self.author.raising(error), self.author.definition("step"))
            return
        for name, tensor in zip(labels(cell), (y, *state), strict=True):
            if not tensor.is_meta:
                place = culprits.making(self.author, partial(cell, x), lambda made: not made.is_meta)
                yield located(f"{name} is on {tensor.device} in a cell on meta", place, self.author.definition("step"))

    def purity(self) -> Iterator[str]:
        """Nothing is written in place, in training neither."""
        cell = self.build().train()
        yield from writes_in_place(
            cell, random(STEPS, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        )

    def rows(self) -> Iterator[str]:
        """A row of the batch depends on no other, and not on how many there are."""
        cell = self.build()
        xs, state = random(STEPS, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        yield from mixed_rows(cell, self.author, xs, state)

    def determinism(self) -> Iterator[str]:
        """The same seed gives the same numbers, `step` draws none, and nothing is remembered beside the state."""
        cell = self.build().train()
        begin = partial(starting_state, cell, self.sizes.batch, random(1))
        for name, first, second in zip(cell.state_names, begin(), begin(), strict=True):
            if not torch.equal(first, second):
                sentence = f"initial_state() gives another {name!r} at each call; hand a random state in instead"
                place = culprits.drawing(self.author, begin)
                yield located(sentence, place, self.author.definition("initial_state"))
        xs, state = random(STEPS, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        p = time_slice(cell.project(xs), 0)
        forgetful = True
        for sentence in remembered(cell, self.author, p, state):
            forgetful = False
            yield sentence
        run = seeded(unrolled, cell, xs, state)
        pairs = zip(labels(cell), run(), run(), strict=True)
        differ = [name for name, first, second in pairs if not torch.equal(first, second)]
        if forgetful and differ:
            place = culprits.differing(self.author, run, run)
            sentence = f"{differ[0]} differs between two runs from the same seed{_and_of(differ[1:])}"
            yield located(sentence, place, self.author.definition("step"))
        place = culprits.drawing(self.author, partial(cell.step, p, state))
        before = torch.get_rng_state()
        cell.step(p, state)
        if not torch.equal(before, torch.get_rng_state()):
            sentence = "step() draws random numbers; draw them in project(), for the whole sequence"
            yield located(sentence, place, self.author.definition("step"))

    def dependence(self) -> Iterator[str]:
        """What is computed depends on the input, on the state and on every parameter."""
        cell = self.build()
        xs, state = random(STEPS, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        for name in idle_tensors(cell, xs, state):
            sentence = IDLE.get(name, f"nothing depends on parameter {name!r}; use it, or leave it out")
            place = None if name in IDLE else self.author.setting(name.partition(".")[0])
            yield located(sentence, place, self.author.definition("step"))

    def gates(self) -> Iterator[str]:
        """The gates that the class declares are the blocks of its weights, and an open forget gate keeps the state."""
        cell = self.build()
        xs, state = random(1, self.sizes.batch, self.sizes.input), random_state(cell, self.sizes.batch)
        for sentence in misnamed_gates(cell, xs, state):
            yield located(sentence, self.author.definition("gates"))

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
                    sentence = f"project() of the sequence and of step {t} alone differ"
                    yield located(f"{sentence}; a step may use its own input only", self.author.definition("project"))
                    return
        y, after = cell(xs[0], state)
        expected_y, expected = cell.step(time_slice(whole, 0), state)
        pairs = zip(labels(cell), (y, *after), (expected_y, *expected), strict=True)
        differ = [name for name, a, b in pairs if not torch.allclose(a, b, rtol=1e-9, atol=1e-9)]
        if differ:
            sentence = f"{differ[0]} differs between forward() and step() of the projection{_and_of(differ[1:])}"
            yield located(sentence, self.author.definition("forward"))

    def gradients(self, order: int) -> Iterator[str]:
        """Autograd's gradients equal central differences."""
        report = self.reports[order] = gradcheck(self.kind, reference_unroller(), order, **self.options)
        self.notes += [note for note in report.notes if note not in self.notes]
        for problem in report.problems:
            yield located(problem, self.author.raising(report.raised) or self._where_gradients_end())
        if wrong := sorted((row for row in report.rows if row.problem), key=lambda row: -row.relative_error):
            others = _and_of([row.tensor for row in wrong[1:]])
            yield located(f"{wrong[0].problem}{others}", self._where_gradients_end())

    def _where_gradients_end(self) -> Place | None:
        """Return the line that cuts autograd's graph, or else that of a backward of the author's own."""
        cell = self.build()
        xs = random(STEPS, self.sizes.batch, self.sizes.input).requires_grad_()
        state = tuple(t.requires_grad_(t.is_floating_point()) for t in random_state(cell, self.sizes.batch))
        run = partial(reference_unroller(), cell, xs, state)
        if place := culprits.cutting(self.author, run):
            return place
        ys, last = run()
        return culprits.backward_of([ys, *last]) or self.author.definition("step")

    def law(self) -> Iterator[str]:
        """Every registered unroller, in each way that it may ever choose for the cell, gives the loop's numbers."""
        cell = self.build()
        loop = unrollers.declaring("is_reference")
        ways = [way for kind in unrollers.values() if kind is not loop for way in kind.variants()]
        tried = [way for way in ways if way.applies(cell)]
        self.notes.append(f"held to the loop: {', '.join(map(str, tried)) or 'nothing, for none goes with the cell'}")
        for unroller in tried:
            for sentence in differences(unroller, cell, STEPS, self.sizes.batch, 1e-10):
                yield located(sentence, self.author.definition("step"))


def _and_of(names: list[str]) -> str:
    """Return what is to be said of others that are broken in the same way; "" of none."""
    return f"; so it is with {', '.join(names)}" if names else ""


def _is_stray(tensor: Tensor, dtype: torch.dtype) -> bool:
    return tensor.is_floating_point() and tensor.dtype != dtype
