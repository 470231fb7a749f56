"""check_task: a good task passes; each broken promise is caught, and no other is blamed."""

import math

import pytest
import torch

import rnnkit
from rnnkit import testing
from rnnkit.errors import CheckError


class GoodTask(rnnkit.Task):
    """Keeps every promise; each of the others breaks one."""

    name = "good"
    metric_name = "MSE"
    input_size, output_size = 2, 1

    def batch(self, size, generator):
        xs = torch.rand(5, size, 2, generator=generator)
        return rnnkit.Batch(xs, xs.sum(-1, keepdim=True))

    def loss(self, outputs, targets):
        return (outputs - targets).square().mean()

    metric = loss


class TooManyFeatures(GoodTask):
    input_size = 1


class IntegersForReals(GoodTask):
    def batch(self, size, generator):
        batch = super().batch(size, generator)
        return batch._replace(xs=(batch.xs * 100).long())


class SymbolsOutOfRange(GoodTask):
    symbols = True
    input_size = 3

    def batch(self, size, generator):
        xs = torch.randint(4, (50, size), generator=generator)
        return rnnkit.Batch(xs, xs.unsqueeze(-1).float())


class TargetsOnlyAtTheEnd(GoodTask):
    def batch(self, size, generator):
        batch = super().batch(size, generator)
        return batch._replace(targets=batch.targets[-1])


class GlobalRandomness(GoodTask):
    def batch(self, size, generator):
        batch = super().batch(size, generator)
        return batch._replace(targets=batch.targets + 0 * torch.rand(()))


class SeedWithoutEffect(GoodTask):
    def batch(self, size, generator):
        return super().batch(size, torch.Generator().manual_seed(0))


class AlwaysTheSame(SeedWithoutEffect):
    random = False


class RandomAfterAll(GoodTask):
    random = False


class LossOfEachElement(GoodTask):
    def loss(self, outputs, targets):
        return (outputs - targets).square()


class LossWithoutGradient(GoodTask):
    def loss(self, outputs, targets):
        return super().loss(outputs.detach(), targets)


class MetricOfNan(GoodTask):
    def metric(self, outputs, targets):
        return outputs.mean() * math.nan


class NoValidation(GoodTask):
    def validation(self):
        return iter(())


class ValidationDrawnAnew(GoodTask):
    def validation(self):
        yield self.batch(3, torch.Generator().manual_seed(int(torch.randint(2**31, ()))))


class ValidationShrinks(GoodTask):
    given = 0

    def validation(self):
        self.given += 1
        return (self.batch(3, torch.Generator().manual_seed(0)) for _ in range(4 - self.given))


class StateOfTuples(GoodTask):
    def data_state(self):
        return {"scale": (1.0, 2.0)}


class StateThatIsForgotten(GoodTask):
    scale = 2.0

    def data_state(self):
        return {"scale": self.scale}

    @classmethod
    def from_data_state(cls, state, **options):
        task = cls(**options)
        task.scale = 3.0
        return task


class OtherBatchesFromTheState(GoodTask):
    scale = 1.0

    def batch(self, size, generator):
        batch = super().batch(size, generator)
        return batch._replace(xs=batch.xs * self.scale)

    def data_state(self):
        return {"names": ["a"]}

    @classmethod
    def from_data_state(cls, state, **options):
        task = cls(**options)
        task.scale = 3.0
        return task


class SummaryOfTwoLines(GoodTask):
    def data_summary(self):
        return "inputs: a\ntargets: b"


class BaselineOfNan(GoodTask):
    def baselines(self):
        return {"nothing": math.nan}


class TestBatches(GoodTask):
    __test__ = False  # no test of pytest's
    seed = 7

    def test(self):
        yield self.batch(3, torch.Generator().manual_seed(self.seed))


class NoTestBatch(GoodTask):
    def test(self):
        return iter(())


class TestDrawnAnew(TestBatches):
    @property
    def seed(self):
        return int(torch.randint(2**31, ()))


class TestIsValidation(TestBatches):
    def validation(self):
        return self.test()


class Text(GoodTask):
    symbols = True
    input_size = 4

    def batch(self, size, generator):
        xs = torch.randint(4, (50, size), generator=generator)
        return rnnkit.Batch(xs, xs.unsqueeze(-1).float())

    def prompt(self, text=""):
        return torch.tensor([1])

    def sample(self, symbols):
        return "".join("abcd"[symbol] for symbol in symbols)


class WordsWithSpacesBetween(Text):
    def sample(self, symbols):
        return " ".join("abcd"[symbol] for symbol in symbols)


class FurtherFigures(GoodTask):
    def further_figures(self, model):
        assert not model.training
        assert not torch.is_grad_enabled()
        return {"MSE, again": rnnkit.evaluate(model, self).metric}


class FurtherFiguresOfWords(Text):
    def further_figures(self, model):
        return {"MSE, again": rnnkit.evaluate(model, self).metric}


class FurtherFigureOfNan(GoodTask):
    def further_figures(self, model):
        return {"nothing": math.nan}


class CalibrationOfNan(GoodTask):
    def calibration(self, model):
        return {"error": math.nan}


class PredictorOfWords(GoodTask):
    def predictor(self, model, calibration):
        return "tomorrow"


class AsTheyAre(torch.nn.Module):
    def forward(self, outputs, raw):
        return outputs


class InUnits(GoodTask):
    """Two columns, in percent."""

    span = torch.tensor([[0.0, 0.0], [100.0, 100.0]], dtype=torch.float64)
    percent = torch.nn.Softshrink(50.0)  # some module that keeps the width
    columns = ("a", "b")

    def units(self):
        return rnnkit.Units(self.percent, AsTheyAre(), self.columns, ("sum",), self.span)


class UnitsAsATuple(InUnits):
    def units(self):
        return tuple(super().units())


class UnitsOfSymbols(Text):
    units = InUnits.units
    percent, columns, span = InUnits.percent, InUnits.columns, InUnits.span


class UnitsWithoutAColumn(InUnits):
    columns = ("a",)


class UnitsOfNoSpan(InUnits):
    span = torch.zeros(2, 2)


class UnitsOfAnotherWidth(InUnits):
    percent = torch.nn.Flatten(0)


class UnitsThatAreNotFinite(InUnits):
    percent = torch.nn.Threshold(1.0, math.nan)


class UnitsOfNoTarget(InUnits):
    def units(self):
        return super().units()._replace(targets=())


BROKEN_TASKS = {
    UnitsAsATuple: ("units", "units() gives a tuple; it must be a rnnkit.Units, or None"),
    UnitsOfSymbols: ("units", "it must be a rnnkit.Units, or None, as of symbols"),
    UnitsWithoutAColumn: ("units", "a span that is not a low and a high number of each of 1 column(s)"),
    UnitsOfNoSpan: ("units", "a span that is not a low and a high number of each of 2 column(s)"),
    UnitsOfAnotherWidth: ("units", "units().inputs makes no finite numbers of shape (2, 2) of its span"),
    UnitsThatAreNotFinite: ("units", "units().inputs makes no finite numbers of shape (2, 2) of its span"),
    UnitsOfNoTarget: ("units", "units().outputs makes no finite numbers, 0 a row, of outputs"),
    TooManyFeatures: ("batches", "batch() gives 2 features; input_size is 1"),
    IntegersForReals: ("batches", "torch.int64; it must be (time, batch, input_size)"),
    SymbolsOutOfRange: ("batches", "batch() gives symbols outside 0 to input_size - 1 = 2"),
    TargetsOnlyAtTheEnd: ("batches", "batch() gives targets of shape (3, 1); every_step asks for (5, 3) first"),
    GlobalRandomness: ("seeds", "batch() draws from torch's global generator"),
    SeedWithoutEffect: ("seeds", "batch() is the same for two seeds; a task of which that is true sets random = False"),
    RandomAfterAll: ("seeds", "batch() is another for another seed, and random is False"),
    LossOfEachElement: ("loss and metric", "it must be one finite number"),
    LossWithoutGradient: ("loss and metric", "loss() has no gradient in the outputs"),
    MetricOfNan: ("loss and metric", "metric() gives tensor(nan); it must be one finite number"),
    NoValidation: ("validation", "validation() gives no batch"),
    ValidationDrawnAnew: ("validation", "validation() differs between two calls"),
    ValidationShrinks: ("validation", "validation() differs between two calls"),
    NoTestBatch: ("test", "test() gives no batch"),
    TestDrawnAnew: ("test", "test() differs between two calls"),
    TestIsValidation: ("test", "test() gives the validation batches"),
    WordsWithSpacesBetween: ("text", "sample_stream() of symbols, joined, is not sample() of all of them"),
    StateOfTuples: ("kept state", "data_state() is not JSON, or another value once it is read back"),
    StateThatIsForgotten: ("kept state", "from_data_state() gives a task with another data_state()"),
    OtherBatchesFromTheState: ("kept state", "gives a task with other sizes or validation batches"),
    SummaryOfTwoLines: ("kept state", "data_summary() gives more than one line"),
    BaselineOfNan: ("baselines", "baselines() gives 'nothing': nan; it must be a finite number with a name"),
    CalibrationOfNan: ("predictions", "calibration() is not JSON; give text keys, lists and finite numbers"),
    PredictorOfWords: ("predictions", "predictor() gives a str; it must be a rnnkit.Predictor, or None"),
    FurtherFigureOfNan: ("further figures", "further_figures() gives 'nothing': nan; it must be a finite number"),
}


@pytest.mark.parametrize(
    "kind", [GoodTask, AlwaysTheSame, TestBatches, Text, FurtherFigures, FurtherFiguresOfWords, InUnits]
)
def test_a_good_task_passes(kind):
    assert len(testing.check_task(kind).promises) == 11


@pytest.mark.parametrize("kind", BROKEN_TASKS, ids=lambda kind: kind.__name__)
def test_a_broken_task_is_caught_and_nothing_else_is_blamed(kind):
    promise, sentence = BROKEN_TASKS[kind]
    found = testing.inspect_task(kind)
    assert [label for label, sentences in found.promises.items() if sentences] == [promise], found
    assert any(sentence in line for line in found.promises[promise]), found
    with pytest.raises(CheckError, match=f"task {kind.name!r} breaks"):
        testing.check_task(kind)


def test_what_cannot_be_built_has_one_sentence():
    found = rnnkit.testing.inspect_task(rnnkit.Task)
    assert list(found.promises) == ["can be built"]
    assert "cannot be built" in found.failures[0]
