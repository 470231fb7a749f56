"""`rnnkit.tasks.from_loader`: a task from a loader, with what is not said found from its first batch."""

import logging
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader

from rnnkit.core.task import Batch, Task
from rnnkit.errors import DataError, UsageError, check_flag, check_whole
from rnnkit.loaders.judge import Judge, Judging, check_classes
from rnnkit.loaders.layout import Layout, found_every_step, split
from rnnkit.loaders.loader_task import LoaderTask, Sizes, Sources, blamed
from rnnkit.loaders.passes import SeededPass
from rnnkit.loaders.source import Source

FIRST_ROWS = 100
"""Rows of a Dataset that are looked at."""

log = logging.getLogger(__name__)


def from_loader(
    loader: Any,
    *,
    validation: Any = None,
    test: Any = None,
    batch_first: bool = False,
    every_step: bool | None = None,
    loss: Judging | None = None,
    metric: Judging | None = None,
    metric_name: str | None = None,
    higher_is_better: bool | None = None,
    input_size: int | None = None,
    output_size: int | None = None,
    name: str = "loader",
) -> Task:
    """Make a task of data of your own, to train on as on any other.

        task = rnnkit.tasks.from_loader(loader, validation=held_out, batch_first=True)
        model = rnnkit.Model(task, "lstm")
        for record in rnnkit.train(model, task, steps=1000): ...

    A batch is (xs, targets), (xs, targets, lengths) or a `rnnkit.Batch`, which is time first always. Inputs are real
    (T, B, D), or (T, B), taken as D = 1, or integers (T, B), symbols. Targets are (T, B, ...) or (B, ...). A Dataset of
    pairs (sequence, target) is shuffled and put into batches here, by `rnnkit.collate`.

    Passes follow each other without end. What the loader draws of torch, NumPy and Python is a function of the
    training's seed, and a training that is resumed reads no more than the pass again that it stopped in. A generator of
    the loader's own is seeded for each pass and put back; what a data set draws from others is its own affair.

    Args:
        loader: a DataLoader, a Dataset, or whatever else yields batches each time it is iterated, such as a list.
        validation: the same, of held-out data; None: validated on what is trained on, which is said.
        test: the same, of data that no choice is made on.
        batch_first: whether inputs, and targets at every step, are (B, T, ...).
        every_step: whether there is a target at every step, or one a sequence; None: as the shapes say.
        loss: maps outputs (T, B, O), or (B, O) with one target a sequence, and targets to a mean. None: cross-entropy
            if targets are integers, else the mean squared error; targets past a row's end are left out then, and those
            of a loss of your own must be marked for it.
        metric: as `loss`, to be reported. None: the loss of your own; else accuracy, or the mean squared error.
        metric_name: what the metric is called; None: as its function.
        higher_is_better: whether a higher metric is a better one; None: of accuracy alone.
        input_size: D, or how many symbols there are; None: as in the first batch.
        output_size: O; None: as many as the first batch has classes, or numbers a target.
        name: what errors call the task.

    Raises:
        UsageError: an argument makes no sense, or the loader can be read once only.
        DataError: there is no batch, or the first is unfit.
    """
    _check(name, (batch_first, every_step, higher_is_better), (input_size, output_size))
    sources = _sources(name, loader, validation, test)
    layout, first = _looked_at(sources, batch_first, every_step, marks=loss is None)
    judge = Judge.of(first.targets, loss, metric, metric_name, higher_is_better)
    sizes = Sizes(
        input_size or _inputs(first), output_size or _outputs(first, layout.every_step), _rows(sources, first)
    )
    task = LoaderTask(name, sources, layout, judge, sizes, symbols=not first.xs.is_floating_point())
    _tell(task, first, guessed=(input_size is None, output_size is None), held_out=validation is not None)
    return task


def _check(name: object, flags: tuple[object, ...], sizes: tuple[object, ...]) -> None:
    """Raise UsageError for arguments that make no sense."""
    if not isinstance(name, str) or not name.isprintable() or not name or " " in name:
        raise UsageError(f"name is {name!r}; it must be a word")
    for label, flag in zip(("batch_first", "every_step", "higher_is_better"), flags, strict=True):
        if flag is not None or label == "batch_first":
            check_flag(label, flag)
    for label, size in zip(("input_size", "output_size"), sizes, strict=True):
        if size is not None:
            check_whole(label, size)


def _sources(name: str, loader: Any, validation: Any, test: Any) -> Sources:
    """Return what is read for each purpose."""
    return Sources(
        Source(f"task {name!r}: the loader", loader, shuffle=True),
        Source(f"task {name!r}: validation", loader if validation is None else validation, shuffle=False),
        None if test is None else Source(f"task {name!r}: test", test, shuffle=False),
    )


def _looked_at(sources: Sources, batch_first: bool, every_step: bool | None, *, marks: bool) -> tuple[Layout, Batch]:
    """Return how batches lie, and the first of them."""
    train = sources.train
    item = next(SeededPass(train.open(FIRST_ROWS), 0), None)
    if item is None:
        raise DataError(f"{train.label} gives no batch; give one that has data")
    with blamed(train):
        each = found_every_step(item, batch_first) if every_step is None else every_step
        layout = Layout(batch_first, each, marks)
        first = layout.read(item)
        _tell_of_rows(train, split(item, batch_first, each).xs, isinstance(item, Batch))
        if marks and not first.targets.is_floating_point():
            check_classes(first.targets, each)
    for source in filter(None, sources):
        source.every_step = each
    return layout, first


def _tell_of_rows(train: Source, xs: Tensor, is_batch: bool) -> None:
    """Say that the second dimension of inputs (T, N) is taken for rows; of a single sequence it is features.

    Integers are told where they come in a list, which may be one of sequences; not where they are a `Batch`.
    """
    if not train.ours and isinstance(train.given, list | tuple) and xs.ndim == 2 and not xs.is_floating_point():
        if not is_batch:
            log.warning(
                "%s: a list is taken for one of batches, the first of %d rows; of single sequences make a Dataset, and "
                "give each batch as a rnnkit.Batch to be sure",
                *(train.label, xs.shape[1]),
            )
        return
    if not train.ours and xs.ndim == 2 and xs.is_floating_point():
        log.warning(
            "%s: real inputs of two dimensions are taken for %d rows of one feature; of single sequences make a "
            "Dataset, and give (time, batch, 1) to be sure",
            *(train.label, xs.shape[1]),
        )


def _inputs(first: Batch) -> int:
    return first.xs.shape[-1] if first.xs.is_floating_point() else _count(first.xs)


def _outputs(first: Batch, every_step: bool) -> int:
    """Return one output a class, or a number of the target's."""
    if not first.targets.is_floating_point():
        return _count(first.targets)
    return int(first.targets.shape[-1]) if first.targets.ndim > 1 + every_step else 1


def _count(integers: Tensor) -> int:
    """Return how many there are, counted from 0 to the highest."""
    return max(1, int(integers.max()) + 1)


def _rows(sources: Sources, first: Batch) -> int | None:
    """Return the rows of a batch, which are the loader's affair unless we put the batches together."""
    train = sources.train
    if train.ours:
        return None
    stated = train.given.batch_size if isinstance(train.given, DataLoader) else None
    return stated or int(first.xs.shape[1])


def _tell(task: Task, first: Batch, guessed: tuple[bool, bool], held_out: bool) -> None:
    """Say what was guessed and may be wrong: how many symbols and classes there are, and that nothing is held out."""
    for label, size, unknown, integers, noun in (
        ("input_size", task.input_size, guessed[0], first.xs, "symbol"),
        ("output_size", task.output_size, guessed[1], first.targets, "class"),
    ):
        if unknown and not integers.is_floating_point():
            log.warning(
                "task %r: %s is taken to be %d, one above the highest %s of the first batch; give it if there are more",
                *(task.name, label, size, noun),
            )
    if not held_out:
        log.warning("task %r: no validation is given, so it is validated on what it is trained on", task.name)
