"""Training that stops after any update and goes on elsewhere ends with the same bits as one that never stopped."""

from itertools import islice

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import rnnkit
from rnnkit.checkpoints.checkpoint import load_checkpoint, restore, save_checkpoint
from rnnkit.training.training import Training

STEPS, B, D = 7, 3, 2


class Flow(rnnkit.Task):
    """Batches that continue each other in threes."""

    name = "flow"
    metric_name = "MSE"
    input_size, output_size = D, 1
    fresh_at_breaks = True

    def batch(self, size, generator):
        xs = torch.randn(6, size, D, generator=generator)
        return rnnkit.Batch(xs, xs.mean(-1, keepdim=True).cumsum(0))

    def batches(self, size, generator):
        while True:
            for number in range(3):
                yield self.batch(size, generator)._replace(continues=number > 0)

    def validation(self):
        yield self.batch(20, torch.Generator().manual_seed(9))

    def loss(self, outputs, targets):
        return F.mse_loss(outputs, targets)

    metric = loss


class Stale(Flow):
    """The same, but it must be read from its beginning."""

    name = "stale"
    fresh_at_breaks = False


class Last(Flow):
    """One target a sequence, rows of different lengths."""

    name = "last"
    every_step = False

    def batch(self, size, generator):
        batch = super().batch(size, generator)
        lengths = torch.randint(1, 7, (size,), generator=generator)
        return rnnkit.Batch(batch.xs, batch.targets[-1], lengths)


class Two(nn.Module):
    """Two layers side by side, so that the state is nested."""

    def __init__(self, task):
        super().__init__()
        self.first, self.second = rnnkit.RNN("lstm", D, 4), rnnkit.RNN("gru", 4, 4)
        self.readout = nn.Linear(4, task.output_size)

    def forward(self, xs, state=None, *, lengths=None):
        one, two = (None, None) if state is None else state
        ys, one = self.first(xs, one, lengths=lengths)
        ys, two = self.second(ys, two, lengths=lengths)
        return self.readout(ys), (one, two)


def build(task, cell="gru", seed=0, **options):
    torch.manual_seed(seed)
    if cell == "two":
        return Two(task)
    return rnnkit.Model(task, cell, 4, unroller="loop", **options)


CASES = {
    "adam": {},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop", "optimizer_options": {"momentum": 0.5, "centered": True}},
    "sgd": {"optimizer": "sgd"},
    "momentum": {"optimizer": "sgd", "optimizer_options": {"momentum": 0.9}, "weight_decay": 0.01},
    "amsgrad": {"optimizer_options": {"amsgrad": True}},
    "warmup": {"warmup": 4},
    "cosine": {"schedule": "cosine", "warmup": 2},
    "plateau": {"schedule": "plateau", "validate_every": 1, "lr": 3.0, "optimizer": "sgd"},
    "average": {"average": 0.8, "validate_every": 3},
    "accumulate": {"accumulate": 2},
    "accumulate over windows": {"accumulate": 4, "truncate": (2, 2)},
    "dropout": {"model": {"num_layers": 2, "dropout": 0.4}},
    "zoneout": {"cell": "zoneout"},
    "weights dropped": {"cell": "variational"},
    "truncated": {"truncate": (2, 2)},
    "overlapping": {"truncate": (2, 4)},
    "overlapping by a step": {"truncate": (1, 5)},
    "overlapping, stale": {"truncate": (2, 5), "task": Stale},
    "lstm": {"cell": "lstm", "truncate": (2, 4)},
    "nested": {"cell": "two", "truncate": (2, 3)},
    "one target": {"task": Last},
    "bfloat16": {"autocast": torch.bfloat16, "cell": "lstm", "truncate": (2, 4)},
    "float16": {"autocast": torch.float16, "average": 0.9, "clip": 10.0},
    "validation": {"validate_every": 2},
    "patience": {"patience": 2, "validate_every": 1, "lr": 3.0, "optimizer": "sgd"},
    "value": {"clip": 1e-3, "clip_by": "value"},
    "everything": {
        "optimizer": "adamw",
        "weight_decay": 0.1,
        "schedule": "plateau",
        "warmup": 2,
        "average": 0.9,
        "accumulate": 2,
        "truncate": (2, 4),
        "validate_every": 2,
        "autocast": torch.bfloat16,
        "cell": "lstm",
        "model": {"num_layers": 2, "dropout": 0.3},
    },
}


def make(case, seed=0):
    """Build model and training of a case, the weights from a seed."""
    options = {"lr": 0.05, **case}
    task = options.pop("task", Flow)()
    model = build(task, options.pop("cell", "gru"), seed, **options.pop("model", {}))
    return Training(model, task, **{"steps": STEPS, "batch_size": B, "seed": 5, **options})


def plain(records):
    return [{key: value for key, value in vars(record).items() if key != "seconds"} for record in records]


def tensors(training):
    """Return all that was learnt: weights, averaged ones too."""
    judged = training.eval_model.state_dict() if training.averaged is not None else {}
    return [*training.model.state_dict().values(), *judged.values()]


def same_bits(first, second):
    return all(torch.equal(a, b) for a, b in zip(tensors(first), tensors(second), strict=True))


def moved(training, case, folder):
    """Save a training; give a fresh one of the same case that goes on from the file, in a process that drew numbers."""
    averaged = None if training.averaged is None else training.eval_model.state_dict()
    save_checkpoint(folder, training.model.state_dict(), training.state(), {}, averaged)
    found, fresh = load_checkpoint(folder), make(case, seed=77)
    restore(fresh.model, found.weights, folder)
    if averaged is not None:
        restore(fresh.eval_model, found.averaged, folder)
    fresh.load_state(found.training)
    torch.rand(3)
    return fresh


@pytest.mark.one_in(2)
@pytest.mark.parametrize("name", CASES)
def test_it_ends_with_the_same_bits_wherever_it_stopped(name, tmp_path):
    case = CASES[name]
    whole = make(case)
    expected = plain(whole.records())
    assert 1 < len(expected) <= STEPS
    for stop in range(len(expected)):
        first = make(case)
        before = plain(islice(first.records(), stop))
        second = moved(first, case, tmp_path / f"{stop}")
        after = plain(second.records())
        assert before + after == expected, stop
        assert same_bits(second, whole), stop
        assert (second.best, second.waited, second.done) == (whole.best, whole.waited, True)


def test_it_may_stop_after_every_update(tmp_path):
    case = CASES["everything"]
    whole, training, records = make(case), make(case), []
    for stop in range(STEPS):
        records += plain(islice(training.records(), 1))
        training = moved(training, case, tmp_path / f"{stop}")
    assert records == plain(whole.records())
    assert same_bits(training, whole)
    assert list(training.records()) == []


@pytest.mark.parametrize("name", ["dropout", "everything"])
def test_records_may_be_taken_in_several_goes(name):
    whole, pieces = make(CASES[name]), make(CASES[name])
    expected = plain(whole.records())
    found = plain(islice(pieces.records(), 2)) + plain(islice(pieces.records(), 1)) + plain(pieces.records())
    assert found == expected
    assert same_bits(pieces, whole)


MEANT = ["patience", "plateau", "float16"]


@pytest.mark.parametrize("case", [CASES[name] for name in MEANT], ids=MEANT)
def test_the_cases_meet_what_they_are_about(case):
    training = make(case)
    records = list(training.records())
    if "patience" in case:
        assert 2 < len(records) < STEPS
    elif "autocast" in case:
        assert 0 < records[-1].skipped < STEPS - 2
    else:
        assert records[-1].lr < records[0].lr


def test_seconds_go_on(tmp_path):
    training = make({})
    before = list(islice(training.records(), 3))
    after = list(moved(training, {}, tmp_path / "saved").records())
    seconds = [record.seconds for record in before + after]
    assert seconds == sorted(seconds)
    assert seconds[0] > 0


def test_more_steps_may_be_given(tmp_path):
    whole, first = make({"steps": 9}), make({"steps": 4})
    expected = plain(whole.records())
    before = plain(first.records())
    second = moved(first, {"steps": 9}, tmp_path / "saved")
    assert [{**record, "validation": None} for record in before] == expected[:4]
    assert plain(second.records()) == expected[4:]
    assert same_bits(second, whole)


def test_the_state_of_a_training_that_has_not_begun(tmp_path):
    case = CASES["dropout"]
    torch.manual_seed(1234)
    whole, second = make(case), moved(make(case), case, tmp_path / "saved")
    assert plain(second.records()) == plain(whole.records())


def state_of(case, updates=2):
    training = make(case)
    list(islice(training.records(), updates))
    return training.state()


@pytest.mark.parametrize(
    ("saved", "here", "fault"),
    [
        ("adam", "sgd", "saved with the optimizer Adam, this one is SGD"),
        ("adam", "adamw", "saved with the optimizer Adam, this one is AdamW"),
        ("adam", "lstm", r"the optimizer's exp_avg is a tensor \(12, 2\) .*, it must be a tensor \(16, 2\)"),
        ("adam", "nested", "params is a list of 6, it must be a list of 10"),
        ("cosine", "adam", "saved with the schedule cosine, this one is constant"),
        ("average", "adam", r"averaged is a tensor \(\) .*, it must be NoneType None"),
        ("adam", "average", r"averaged is NoneType None, it must be a tensor \(\)"),
        ("overlapping by a step", "adam", "window"),
    ],
)
def test_the_state_of_another_training_is_refused(saved, here, fault):
    with pytest.raises(ValueError, match=fault):
        make(CASES[here]).load_state(state_of(CASES[saved], updates=4))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optimizer", {}),
        ("optimizer", None),
        ("stream", {}),
        ("stream", {"generator": torch.zeros(3), "batches": 0, "window": 0}),
        ("stream", {"generator": torch.zeros(3, dtype=torch.uint8), "batches": 0, "window": 0}),
        ("random", {}),
        ("random", {"cpu": torch.zeros(7, dtype=torch.uint8)}),
        ("random", {"cpu": None}),
        ("schedule", {}),
        ("state", 5),
        ("carried", "text"),
    ],
    ids=str,
)
def test_a_state_that_is_none(key, value):
    with pytest.raises((KeyError, ValueError, TypeError, RuntimeError)):
        make({}).load_state({**state_of({}), key: value})


def tensor(*shape, dtype=torch.float32):
    return torch.zeros(shape, dtype=dtype)


@pytest.mark.parametrize(
    "carried",
    [
        tensor(1, B, 4),
        (tensor(1, B, 4),),
        (tensor(1, B, 4), tensor(1, B, 5)),
        (tensor(1, B + 1, 4), tensor(1, B + 1, 4)),
        (tensor(2, B, 4), tensor(2, B, 4)),
        (tensor(1, B, 4), tensor(1, B, 4, dtype=torch.float64)),
        (tensor(1, B, 4), None),
        [],
    ],
    ids=["bare", "one", "too wide", "too many rows", "too many layers", "another dtype", "half", "nothing"],
)
@pytest.mark.parametrize("key", ["state", "carried"])
def test_a_state_that_the_model_does_not_take(key, carried):
    task = Flow()
    training = Training(rnnkit.Model(task, "lstm", 4), task, steps=9, batch_size=B, truncate=(2, 2))
    training.load_state({**training.state(), key: (tensor(1, B, 4), tensor(1, B, 4))})
    with pytest.raises(RuntimeError, match="hx"):
        training.load_state({**training.state(), key: carried})


def test_a_state_in_the_dtype_that_was_computed_in():
    task = Flow()
    model = rnnkit.Model(task, "lstm", 4)
    training = Training(model, task, steps=9, batch_size=B, truncate=(2, 2), autocast=torch.bfloat16)
    half = tensor(1, B, 4, dtype=torch.bfloat16)
    training.load_state({**training.state(), "carried": (half, tensor(1, B, 4))})


@pytest.mark.parametrize("key", list(state_of({})))
def test_a_state_that_lacks_something(key):
    state = state_of({})
    del state[key]
    with pytest.raises((KeyError, ValueError), match=key):
        make({}).load_state(state)
