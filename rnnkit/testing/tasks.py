"""The promises of a Task."""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit.core.prediction import Predictor
from rnnkit.core.task import Batch, Task
from rnnkit.core.units import Units
from rnnkit.errors import UsageError
from rnnkit.testing.conformance import BATCH, Conformance, Promise, built
from rnnkit.training.evaluation import evaluating, further_figures


def check_task(kind: type[Task] | Task, **options: Any) -> Conformance:
    """Test every promise of a Task class, or of a task; raises CheckError with one sentence for each that is broken.

    Args:
        kind: the class, or a task that is built.
        **options: of the class's own.

    Raises:
        CheckError: a promise is broken.
        UsageError: there are options for a task that is built.
    """
    return inspect_task(kind, **options).raise_if_failed()


def inspect_task(kind: type[Task] | Task, **options: Any) -> Conformance:
    """Do as `check_task`, without raising CheckError."""
    if isinstance(kind, Task):
        if options:
            raise UsageError(f"task {kind.name!r} is built already; options are for a class")
        task = kind
        return built(f"task {kind.name!r}", lambda: _TaskCheck(task, {}))
    make = kind
    return built(f"task {getattr(kind, 'name', kind.__name__)!r}", lambda: _TaskCheck(make(**options), options))


class _TaskCheck:
    """The promises of one Task."""

    def __init__(self, task: Task, options: dict[str, Any]) -> None:
        self.task, self.options = task, options

    def promises(self) -> dict[str, Promise]:
        return {
            "batches": self.batches,
            "seeds": self.seeds,
            "loss and metric": self.judgement,
            "validation": self.validation,
            "test": self.test,
            "text": self.text,
            "kept state": self.kept,
            "baselines": self.baselines,
            "further figures": self.further_figures,
            "predictions": self.predictions,
            "units": self.units,
        }

    @property
    def rows(self) -> int:
        """How many are asked for: what the task has at once, where its data are in batches already."""
        return self.task.fixed_batch_size or BATCH

    def draw(self, seed: int = 0) -> Batch:
        return self.task.batch(self.rows, torch.Generator().manual_seed(seed))

    def batches(self) -> Iterator[str]:
        """Inputs and targets have the layout that the task declares."""
        batch, task = self.draw(), self.task
        layout = "(time, batch) integers" if task.symbols else "(time, batch, input_size)"
        dimensions = 2 if task.symbols else 3
        if (
            batch.xs.ndim != dimensions
            or batch.xs.shape[1] != self.rows
            or task.symbols == batch.xs.is_floating_point()
        ):
            yield f"batch({self.rows}) gives xs of shape {tuple(batch.xs.shape)}, {batch.xs.dtype}; it must be {layout}"
        elif task.symbols and not 0 <= int(batch.xs.min()) <= int(batch.xs.max()) < task.input_size:
            yield f"batch() gives symbols outside 0 to input_size - 1 = {task.input_size - 1}"
        elif not task.symbols and batch.xs.shape[2] != task.input_size:
            yield f"batch() gives {batch.xs.shape[2]} features; input_size is {task.input_size}"
        begin = tuple(batch.xs.shape[:2]) if task.every_step else (self.rows,)
        if tuple(batch.targets.shape[: len(begin)]) != begin:
            yield f"batch() gives targets of shape {tuple(batch.targets.shape)}; every_step asks for {begin} first"

    def seeds(self) -> Iterator[str]:
        """The same generator gives the same batch, another seed another if the task is random; the global one stays."""
        before = torch.get_rng_state()
        first, second, other = self.draw(), self.draw(), self.draw(seed=1)
        if not torch.equal(first.xs, second.xs) or not _alike(first.targets, second.targets):
            yield "batch() differs between two generators of one seed; draw everything from the generator"
        if self.task.random and torch.equal(first.xs, other.xs):
            yield "batch() is the same for two seeds; a task of which that is true sets random = False"
        if not self.task.random and not torch.equal(first.xs, other.xs):
            yield "batch() is another for another seed, and random is False"
        if not torch.equal(before, torch.get_rng_state()):
            yield "batch() draws from torch's global generator; draw everything from the one that is handed in"

    def judgement(self) -> Iterator[str]:
        """Loss and metric are finite scalars, and the loss has a gradient."""
        batch = self.draw()
        rows = batch.xs.shape[:2] if self.task.every_step else (self.rows,)
        outputs = torch.randn(*rows, self.task.output_size, requires_grad=True)
        loss = self.task.loss(outputs, batch.targets)
        metric = self.task.metric(outputs.detach(), batch.targets)
        for name, value in (("loss", loss), ("metric", metric)):
            if value.shape != () or not math.isfinite(float(value.detach())):
                yield f"{name}() gives {value!r}; it must be one finite number"
        if not loss.requires_grad or not torch.autograd.grad(loss, outputs)[0].any():
            yield "loss() has no gradient in the outputs"

    def validation(self) -> Iterator[str]:
        """The held-out batches end, and are the same at every call."""
        return _held_out("validation", list(self.task.validation()), list(self.task.validation()))

    def test(self) -> Iterator[str]:
        """So do those kept for a test, where there are some; they are others."""
        first, second = self.task.test(), self.task.test()
        if first is None or second is None:
            return
        batches = list(first)
        yield from _held_out("test", batches, list(second))
        if batches and _same(batches, list(self.task.validation())):
            yield "test() gives the validation batches; give ones that no choice is made on, or None"

    def text(self) -> Iterator[str]:
        """A sample's pieces, joined, are its text."""
        if self.task.prompt() is None:
            return
        symbols = self.draw().xs[:, 0]
        if "".join(self.task.sample_stream(symbols.unbind())) != self.task.sample(symbols):
            yield "sample_stream() of symbols, joined, is not sample() of all of them"

    def kept(self) -> Iterator[str]:
        """What a run keeps of the data is JSON, and builds the same task again; its summary is one line."""
        if "\n" in self.task.data_summary():
            yield "data_summary() gives more than one line"
        state = self.task.data_state()
        try:
            same = json.loads(json.dumps(state, allow_nan=False)) == state
        except (TypeError, ValueError):
            same = False
        if not same:
            yield "data_state() is not JSON, or another value once it is read back; give text keys, lists and numbers"
            return
        if not state:
            return
        again = type(self.task).from_data_state(state, **self.options)
        if again.data_state() != state:
            yield "from_data_state() gives a task with another data_state()"
        sizes = [(task.input_size, task.output_size) for task in (self.task, again)]
        if sizes[0] != sizes[1] or not _same(list(self.task.validation()), list(again.validation())):
            yield "from_data_state() gives a task with other sizes or validation batches"

    def baselines(self) -> Iterator[str]:
        """Baselines are finite numbers with names."""
        return _unfit_figures("baselines()", self.task.baselines())

    def further_figures(self) -> Iterator[str]:
        """So are the further figures of a model, here of one without memory."""
        return _unfit_figures("further_figures()", further_figures(_Memoryless(self.task), self.task))

    def predictions(self) -> Iterator[str]:
        """What predictions need beside a model is JSON, and is taken as it comes back; none is taken too."""
        model = _Memoryless(self.task)
        with evaluating(model):
            state = self.task.calibration(model)
        try:
            plain: dict[str, Any] = json.loads(json.dumps(state, allow_nan=False))
        except (TypeError, ValueError):
            yield "calibration() is not JSON; give text keys, lists and finite numbers"
            return
        nothing: dict[str, Any] = {}
        for calibration in (plain, nothing):
            predictor: Any = self.task.predictor(model.eval(), calibration)
            if predictor is not None and not isinstance(predictor, Predictor):
                yield f"predictor() gives a {type(predictor).__name__}; it must be a rnnkit.Predictor, or None"

    def units(self) -> Iterator[str]:
        """Modules of units bring each column to the model, and each of its outputs back, in finite numbers."""
        units: Any = self.task.units()
        if units is None:
            return
        if not isinstance(units, Units) or self.task.symbols:
            yield f"units() gives a {type(units).__name__}; it must be a rnnkit.Units, or None, as of symbols"
            return
        if tuple(units.span.shape) != (2, len(units.columns)) or not bool((units.span[0] < units.span[1]).all()):
            yield f"units() gives a span that is not a low and a high number of each of {len(units.columns)} column(s)"
            return
        given = units.inputs(units.span)
        if tuple(given.shape) != (2, self.task.input_size) or not bool(given.isfinite().all()):
            yield f"units().inputs makes no finite numbers of shape (2, {self.task.input_size}) of its span"
        taken = units.outputs(torch.zeros(2, self.task.output_size), units.span)
        if tuple(taken.shape) != (2, len(units.targets)) or not bool(taken.isfinite().all()):
            yield f"units().outputs makes no finite numbers, {len(units.targets)} a row, of outputs"


class _Memoryless(nn.Module):
    """A model whose outputs (T, B, O) are a linear function of the inputs of the same step."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.read = (nn.Embedding if task.symbols else nn.Linear)(task.input_size, task.output_size)

    def forward(self, xs: Tensor, state: None = None, *, lengths: Tensor | None = None) -> tuple[Tensor, None]:
        """Map (T, B, D), or (T, B) symbols, to (T, B, O); there is no state."""
        return self.read(xs if xs.dtype == torch.long else xs.to(self.read.weight)), None


def _unfit_figures(source: str, figures: Mapping[str, float]) -> Iterator[str]:
    for name, value in figures.items():
        if not isinstance(name, str) or not math.isfinite(value):
            yield f"{source} gives {name!r}: {value!r}; it must be a finite number with a name"


def _held_out(name: str, first: list[Batch], second: list[Batch]) -> Iterator[str]:
    if not first:
        yield f"{name}() gives no batch"
    if not _same(first, second):
        yield f"{name}() differs between two calls"


def _same(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(a.xs, b.xs) and _alike(a.targets, b.targets) for a, b in zip(first, second, strict=True)
    )


def _alike(targets: Tensor, others: Tensor) -> bool:
    """Tell whether targets are equal; NaN, by which some tasks mark what is missing, is equal to NaN."""
    if targets.shape != others.shape:
        return False
    return bool(((targets == others) | (targets.isnan() & others.isnan())).all())
