"""The task: what is learned. Batches, a loss, and one metric in the field's usual unit."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self

import torch
from torch import Tensor, nn

from rnnkit.core.cell import name_after_class
from rnnkit.core.prediction import Predictor
from rnnkit.core.units import Units
from rnnkit.support.paths import check_path


class Batch(NamedTuple):
    """A batch of sequences, time first."""

    xs: Tensor
    """(T, B, D) real inputs, or (T, B) integers where the task's inputs are symbols."""

    targets: Tensor
    """(T, B, ...) with a target at every step, or (B, ...) with one a sequence: see `Task.every_step`."""

    lengths: Tensor | None = None
    """(B,) steps of each row; None: all have T. Targets past a row's end must be ones that the loss passes over."""

    continues: bool = False
    """The rows go on where those of the batch before ended, so the state is carried over."""


class Task(ABC):
    """Something to learn: where batches come from and how outputs are judged.

    Options of a task are keyword arguments of its constructor; the command line sets them with `--set task.KEY=VALUE`.
    """

    name: ClassVar[str]
    """What the registry and the command line call the task."""

    metric_name: str
    """What `metric` measures, with its unit: "bits per character", "MSE", "accuracy". An attribute of the class; where
    it goes with an option, the constructor sets another and `metric_named` says so."""

    higher_is_better: ClassVar[bool] = False
    """Whether a higher metric is a better one."""

    every_step: ClassVar[bool] = True
    """True: a target at every step; False: one a sequence, compared with the last output."""

    symbols: bool = False
    """True: inputs are integers below `input_size`, which the model embeds; False: real vectors. Of a class, or of a
    task whose data decide."""

    random: ClassVar[bool] = True
    """Whether `batch` draws anything; False where it is always the same, as with one sequence in all."""

    fixed_batch_size: int | None = None
    """Rows of every batch, where the data are in batches already; None: as many as are asked for."""

    defaults: ClassVar[Mapping[str, float]] = MappingProxyType({})
    """Settings of a run that suit this task (steps, batch, lr, hidden, ...), where the user gives none."""

    files: ClassVar[tuple[str, ...]] = ()
    """Options that name files of the user's; a run keeps them as absolute paths, so that it can be resumed from
    anywhere."""

    unpacks: ClassVar[bool] = False
    """Whether a file of `files` whose name ends in .gz is unpacked as it is read; then a run may keep a packed copy."""

    fresh_at_breaks: ClassVar[bool] = True
    """Whether `batches`, called with the generator as it was before a batch that does not continue the one before, goes
    on with that batch: then a resumed run need not read again all that came before it. A class that has `batches` of
    its own says so itself, or it is taken not to."""

    input_size: int
    """Width D of the inputs, or the number of symbols."""

    output_size: int
    """Width of the outputs that `loss` takes."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Name a class that sets no name after itself, and take one with `batches` of its own not to begin anew."""
        super().__init_subclass__(**options)
        name_after_class(cls)
        if "batches" in vars(cls):
            cls.fresh_at_breaks = vars(cls).get("fresh_at_breaks", False)

    def __new__(cls, *given: Any, **options: Any) -> Self:
        """Refuse an option of `files` that is no path, before the class's own constructor makes something of it."""
        for name in cls.files:
            if options.get(name) is not None:
                check_path(f"task {cls.name!r}: {name}", options[name])
        return super().__new__(cls)

    @abstractmethod
    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` sequences; all randomness comes from `generator`."""

    def batches(self, size: int, generator: torch.Generator) -> Iterator[Batch]:
        """Yield batches for training without end; a task over a long stream gives ones that continue each other.

        Where the data are read in passes, the iterator may have an attribute `is_first`: whether the batch that it gave
        last begins a pass, and could be had again from the generator as it was before it. Then a resumed run reads that
        pass again alone.
        """
        while True:
            yield self.batch(size, generator)

    def validation(self) -> Iterator[Batch]:
        """Yield the held-out batches, the same ones at every call: here 1000 sequences from a seed of their own."""
        generator = torch.Generator().manual_seed(2**31 - 1)
        for _ in range(10):
            yield self.batch(100, generator)

    def test(self) -> Iterator[Batch] | None:
        """Return the batches that no choice is made on, the same ones at every call; None where the task keeps none.

        They are neither trained on nor validated with, so that they judge what was chosen by validation figures.
        """
        return None

    @abstractmethod
    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar to minimise, a mean, from outputs (T, B, O), or (B, O) with one target a sequence."""

    @abstractmethod
    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the scalar to report, a mean over the elements that the loss is of, or over rows of them."""

    def metric_by_loss(self, loss: Tensor) -> Tensor | None:
        """Return the metric of outputs whose loss is this, bit for bit, where it follows from that; None: it does not.

        Then a loss that is there need not be computed once more. It counts as long as no class derived from the one
        that has it changes `loss` or `metric`.
        """
        return None

    @classmethod
    def metric_named(cls, **options: Any) -> str:
        """Return the `metric_name` of a task with these options, which is not built for it."""
        return cls.metric_name

    def fingerprint(self) -> str:
        """Return a text that differs where the data do, so that a resumed run can tell; "" where they cannot change."""
        return ""

    def data_state(self) -> dict[str, Any]:
        """Return what was computed from the data and stays as it is in a finished run: a scale, columns, an alphabet.

        Values are JSON's. A run keeps them in its folder, and whatever opens the run later builds the task by
        `from_data_state`, so that data which have changed since, or are gone, change nothing of the model. {}: nothing.
        """
        return {}

    @classmethod
    def from_data_state(cls, state: Mapping[str, Any], **options: Any) -> Self:
        """Build the task of a finished run from what `data_state` returned, and the run's options.

        A task with `files` reads them when batches are asked for and not before, so that a model whose data have moved
        can be sampled and exported.

        Raises:
            LookupError, TypeError, ValueError: `state` is not what `data_state` returns.
        """
        return cls(**options)

    def data_summary(self) -> str:
        """Return one line: what of the data is used, as what, and what is left out and why. "": nothing to say.

        It is shown as a run begins, and kept with it.
        """
        return ""

    def baselines(self) -> dict[str, float]:
        """Return what simple methods reach on the validation batches, by name, in the metric's unit."""
        return {}

    def further_figures(self, model: nn.Module) -> dict[str, float]:
        """Return further figures of a trained model on held-out data, by name; each name says what it is a figure of.

        What one metric cannot show, such as accuracy by depth, or how long a forecast follows that is fed with itself.
        `rnnkit run` shows them at its end, and `rnnkit eval`. `rnnkit.evaluate(model, self, batches)` gives the metric
        on any batches.

        Args:
            model: maps (xs, state, lengths=) to (outputs, state), and is in evaluation mode; no gradients are kept.
        """
        return {}

    def calibration(self, model: nn.Module) -> dict[str, Any]:
        """Return what `predictor` needs beside the model and is measured on held-out data, such as how far off it is.

        Values are JSON's. A run keeps them as its training ends, so that they are there when the data are gone. {}:
        nothing is needed.

        Args:
            model: as `further_figures` takes it.
        """
        return {}

    def predictor(self, model: nn.Module, calibration: Mapping[str, Any]) -> Predictor | None:
        """Return what says of other data, in their own units, what the model makes of them; see `rnnkit predict`.

        None where there is nothing to predict. The data that the task was built with are read when they are asked for,
        and not before.

        Args:
            model: as `further_figures` takes it; it stays with the predictor.
            calibration: what `calibration` returned for this model; {}: it is not known.

        Raises:
            LookupError, TypeError, ValueError: `calibration` is something else.
        """
        return None

    def symbol_names(self) -> list[str] | None:
        """Return the text of each symbol, which an exported model has with it; None: they have none of their own.

        Here by `sample`, where the task has text.
        """
        if not self.symbols or self.prompt() is None:
            return None
        texts = [self.sample(torch.tensor([symbol])) for symbol in range(self.input_size)]
        return texts if len(set(texts)) == len(texts) else None

    def output_names(self) -> list[str] | None:
        """Return what each output is of, such as a label, which an exported model has with it; None: nothing."""
        return None

    def units(self) -> Units | None:
        """Return what turns numbers in the data's own units into what the model takes, and its outputs back.

        `rnnkit export` puts it into the file, around the model. None: numbers have no units but the task's.
        """
        return None

    def prompt(self, text: str = "") -> Tensor | None:
        """Turn text into symbols (N,) to begin a sample with; without text, give an ordinary beginning.

        None where the task has no text.
        """
        return None

    def sample(self, symbols: Tensor) -> str:
        """Turn symbols (N,) that a model drew into text; where `prompt` gives some, this must too."""
        raise NotImplementedError

    def sample_stream(self, symbols: Iterable[Tensor]) -> Iterator[str]:
        """Turn symbols () into text as they are drawn; the pieces, joined, are what `sample` gives of all.

        Here each symbol by itself. A task in which several may be one character holds it back until it is whole.
        """
        return (self.sample(symbol.view(1)) for symbol in symbols)
