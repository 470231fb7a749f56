"""Memory predicted and memory taken; what is refused, what is proposed instead, and that nothing is left behind."""

import random
import re
import sys
from math import isfinite
from pathlib import Path
from statistics import median

import pytest
import torch
from torch import nn

import rnnkit
from rnnkit import memory
from rnnkit.cli.options import MemorySize
from rnnkit.errors import ResourceError, UsageError
from rnnkit.memory import gauge, linear_fit, prediction
from rnnkit.memory.gauge import Watch, available_memory
from rnnkit.memory.prediction import Predictor, kept_by
from rnnkit.support.byte_size import parse_bytes, show_bytes

from ..slow_cases import slow_but

MIB = 2**20
WITHIN = 0.25
Checkpoint = rnnkit.unrollers["checkpoint"]

pytestmark = pytest.mark.early
glibc = pytest.mark.skipif(gauge._heap() is None, reason="memory in use is counted by glibc")


def build(cell="lstm", unroller="loop", seq_len=100, hidden=32, task="copy", **options):
    torch.manual_seed(0)
    task = rnnkit.tasks[task](seq_len=seq_len)
    return rnnkit.Model(task, cell, hidden, unroller=unroller, **options), task


def taken(model, task, batch_size, truncate=None, updates=3):
    """Measure what some updates take beyond the parameters."""
    records = rnnkit.train(model, task, steps=updates + 1, batch_size=batch_size, truncate=truncate)
    with Watch() as watch:
        for _ in range(updates):
            next(records)
    return watch.most


def agrees(predicted, measured):
    assert (1 - WITHIN) * measured < predicted < (1 + WITHIN) * measured, (predicted / MIB, measured / MIB)


@glibc
@pytest.mark.parametrize(
    ("cell", "unroller"),
    [
        ("lstm", "loop"),
        ("gru", "compiled"),
        pytest.param("layernorm", "checkpoint", marks=pytest.mark.slow),
        pytest.param("lstm", Checkpoint(budget=2 * MIB), marks=pytest.mark.slow),
    ],
    ids=str,
)
def test_updates_take_what_was_predicted(cell, unroller):
    model, task = build(cell, unroller, seq_len=180, hidden=64)
    found = memory.predict(model, task, batch_size=32)
    agrees(found.update - found.parameters, taken(model, task, 32))


@glibc
@pytest.mark.slow
@pytest.mark.parametrize(("batch_size", "steps", "hidden"), [(32, 300, 128), (4, 2000, 32), (8, 400, 256)])
@pytest.mark.parametrize("unroller", ["loop", "compiled", "checkpoint", Checkpoint(budget=4 * MIB)], ids=str)
@pytest.mark.parametrize("cell", ["lstm", "gru", "layernorm", "peephole"])
def test_updates_of_every_size_take_what_was_predicted(cell, unroller, batch_size, steps, hidden):
    model, task = build(cell, unroller, steps - 20, hidden)
    found = memory.predict(model, task, batch_size=batch_size)
    agrees(found.update - found.parameters, taken(model, task, batch_size))


@glibc
@pytest.mark.parametrize("unroller", slow_but(["loop"], ["loop", "checkpoint"]))
@pytest.mark.slow
def test_deep_and_both_ways(unroller):
    model, task = build("lstm", unroller, seq_len=180, num_layers=2)
    model.layer = rnnkit.RNN("lstm", 64, 32, num_layers=2, bidirectional=True, unroller=unroller)
    model.readout = nn.Linear(64, task.output_size)
    found = memory.predict(model, task, batch_size=16)
    agrees(found.update - found.parameters, taken(model, task, 16))


@glibc
@pytest.mark.parametrize("truncate", slow_but([(20, 100)], [(100, 100), (20, 100)]))
def test_truncated_windows_take_what_was_predicted(truncate):
    model, task = build(seq_len=280, hidden=32)
    found = memory.predict(model, task, batch_size=32, truncate=truncate)
    assert found.steps == 100
    agrees(found.update - found.parameters, taken(model, task, 32, truncate, updates=6))


@glibc
@pytest.mark.slow
def test_running_up_to_the_only_window_is_counted():
    """With one target a sequence, all steps before the window are run through at once."""
    model, task = build(seq_len=4000, task="adding", hidden=32)
    found = memory.predict(model, task, batch_size=32, truncate=(10, 10))
    agrees(found.update - found.parameters, taken(model, task, 32, (10, 10)))


@glibc
@pytest.mark.parametrize("unroller", ["loop", "compiled"])
def test_validation_takes_what_was_predicted(unroller):
    model, task = build("lstm", unroller, seq_len=180, hidden=64)
    found = memory.predict(model, task, batch_size=1)
    assert (found.validation_rows, found.validation_steps) == (100, 200)
    with Watch() as watch:
        rnnkit.evaluate(model, task)
    agrees(found.validation, watch.most)


@glibc
def test_what_a_first_call_sets_up_is_in_no_trial(monkeypatch):
    """Whatever it takes, and however many nodes its graph has; a fast graph has as many whatever the steps."""
    tried = []

    def trial(self, rows, steps, judged=None):
        first = (judged is None) not in tried
        tried.extend([judged is None, steps])
        self.nodes = 7 if first else 1
        return rows * steps + first * 2**30

    monkeypatch.setattr(linear_fit.Trials, "update", trial)
    monkeypatch.setattr(linear_fit.Trials, "still", trial)
    first, second = (memory.predict(*build(hidden=8), batch_size=4) for _ in range(2))
    assert first == second
    assert max(tried) > 2 * linear_fit.FEW


@glibc
def test_a_task_s_own_validation_is_asked_for_its_size():
    model, task = build("lstm", task="chars", seq_len=50)
    found = memory.predict(model, task, batch_size=1)
    assert (found.validation_rows, found.validation_steps) == (32, 50)


@glibc
@pytest.mark.slow
def test_ragged_rows():
    class Ragged(rnnkit.tasks["adding"]):
        def batch(self, size, generator):
            return super().batch(size, generator)._replace(lengths=torch.full((size,), self.seq_len - 1))

    _, task = build(task="adding")
    task.__class__ = Ragged
    predictor = Predictor(rnnkit.Model(task, "gru", 16, unroller="loop"), task)
    found = predictor.predict(64)
    assert found.update < 64 * MIB
    assert "--tbptt" not in memory.advice(predictor, found, found.update - 1)


@glibc
def test_a_small_batch_and_a_short_sequence():
    model, task = build(seq_len=1, hidden=4)
    found = memory.predict(model, task, batch_size=1)
    assert found.steps == 21
    # Each update takes a moment, seldom looked at; what else the process does meanwhile is as large: the median.
    measured = [taken(model, task, 1, updates=30) for _ in range(3)]
    agrees(found.update - found.parameters, median(measured))


class Counting(rnnkit.cells["lstm"]):
    """An LSTM with a buffer that changes, and noise from torch's generator, in training."""

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.register_buffer("count", torch.zeros(1))

    def project(self, xs):
        if self.training:
            self.count += 1
        return super().project(xs + torch.rand_like(xs))


def everything(model):
    """Return all that a prediction could have changed."""
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return {
        "addresses": {name: tensor.data_ptr() for name, tensor in tensors.items()},
        "values": {name: tensor.detach().clone() for name, tensor in tensors.items()},
        "gradients": {name: p.grad if p.grad is None else p.grad.clone() for name, p in model.named_parameters()},
        "versions": {name: tensor._version for name, tensor in tensors.items()},
        "hooks": [len(module._forward_hooks) for module in model.modules()],
        "modes": [module.training for module in model.modules()],
        "unroller": model.layer.unroller,
        "random": (torch.get_rng_state(), random.getstate(), torch.initial_seed()),
        "switches": (torch.is_grad_enabled(), sys.getswitchinterval()),
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a is b or a == b


@glibc
@pytest.mark.parametrize(
    "unroller", [pytest.param("loop", marks=pytest.mark.slow), "compiled", Checkpoint(budget=MIB)], ids=str
)
@pytest.mark.parametrize("graded", [pytest.param(False, marks=pytest.mark.slow), True])
def test_nothing_is_changed(unroller, graded):
    model, task = build(Counting, unroller)
    model.eval()
    model.embedding.train()
    if graded:
        task.loss(model(torch.zeros(3, 2, dtype=torch.long))[0], torch.zeros(3, 2, dtype=torch.long)).backward()
    before = everything(model)
    with torch.no_grad():
        predictor = Predictor(model, task)
        found = predictor.predict(32)
        inside = torch.is_grad_enabled()
    assert not inside
    memory.advice(predictor, found, found.update // 2)
    assert same(everything(model), before)


@glibc
def test_nothing_stays_in_memory():
    model, task = build("lstm", "compiled", hidden=256)
    memory.predict(model, task)
    with Watch() as watch:
        memory.predict(model, task)
        before = watch.gauge()
        memory.predict(model, task)
        after = watch.gauge()
    assert abs(after - before) < MIB


@glibc
def test_neither_all_steps_nor_all_rows_are_run():
    class Few(rnnkit.unrollers["loop"]):
        def __call__(self, cell, xs, state=None, **masks):
            assert xs.shape[0] <= 48
            assert xs.shape[1] <= max(16, 4 * torch.get_num_threads())
            return super().__call__(cell, xs, state, **masks)

    model, task = build(unroller=Few(), task="adding", seq_len=200_000)
    assert memory.predict(model, task, batch_size=10_000).update > 10**12


@glibc
def test_the_parts_add_up():
    model, task = build(hidden=16)
    found = memory.predict(model, task, optimizer="adam")
    size = sum(parameter.nbytes for parameter in model.parameters())
    assert (found.parameters, found.gradients, found.optimizer) == (size, size, 2 * size)
    assert found.batch == 2 * 120 * 32 * 8
    assert found.update == 4 * size + found.batch + found.window
    assert found.total == max(found.update, 4 * size + found.validation)
    assert memory.predict(model, task, optimizer="sgd").optimizer == 0


def test_what_an_optimizer_keeps_is_measured():
    parameters = [nn.Parameter(torch.zeros(2, 3))]
    assert kept_by(torch.optim.SGD(parameters)) == 0
    assert kept_by(torch.optim.SGD(parameters, momentum=0.9)) == 1
    assert kept_by(torch.optim.AdamW(parameters)) == 2
    assert kept_by(torch.optim.Adam(parameters, amsgrad=True)) == 3


@glibc
def test_frozen_parameters_have_neither_gradient_nor_optimizer_state():
    model, task = build()
    model.embedding.weight.requires_grad_(False)
    found = memory.predict(model, task)
    assert found.gradients == found.parameters - model.embedding.weight.nbytes
    assert found.optimizer == 2 * found.gradients


@glibc
def test_under_the_limit_nothing_is_said():
    model, task = build()
    found = memory.check_memory(model, task, limit=2**40)
    predictor = Predictor(model, task)
    assert memory.refusal(predictor, found, found.total) is None
    assert memory.advice(predictor, found, found.update) is None


NUMBER = r"([\d.]+ [KMGT]iB)"


@glibc
def test_over_the_limit_it_says_what_fits():
    model, task = build(seq_len=9980, hidden=64)
    found = memory.predict(model, task, batch_size=128)
    limit = found.update * 6 // 10
    with pytest.raises(ResourceError) as caught:
        memory.check_memory(model, task, batch_size=128, limit=limit)
    assert caught.value.exit_code == 8
    words = re.fullmatch(
        rf"full BPTT over T = 10000 steps of 128 rows needs about {NUMBER}, more than --memory-limit {NUMBER}; "
        rf"take --unroller checkpoint --set unroller\.budget=(\d+) \(about {NUMBER}, each step run forward "
        rf"([\d.]+) times\) or --tbptt (\d+),(\d+) \(about {NUMBER}\)",
        str(caught.value),
    )
    assert words, str(caught.value)
    budget, steps, other = int(words[3]), int(words[6]), int(words[7])
    assert steps == other < 10000
    assert 1.5 <= float(words[5]) < 4
    for proposed in (
        memory.predict(model, task, batch_size=128, truncate=(steps, steps)),
        Predictor(model, task).predict(128, unroller=Checkpoint(budget=budget)),
    ):
        assert 0.7 * limit < proposed.update <= 1.02 * limit


@glibc
@pytest.mark.slow
def test_what_is_proposed_holds_when_it_is_run():
    model, task = build(seq_len=580, hidden=32)
    predictor = Predictor(model, task)
    found = predictor.predict(16)
    limit = found.update // 2
    advice = memory.advice(predictor, found, limit)
    budget = int(re.search(r"budget=(\d+)", advice)[1])
    steps = int(re.search(r"--tbptt (\d+)", advice)[1])
    assert taken(model, task, 16, (steps, steps)) < (1 + WITHIN) * limit
    model.layer.unroller = Checkpoint(budget=budget)
    assert taken(model, task, 16) < (1 + WITHIN) * limit


@glibc
@pytest.mark.slow
def test_a_batch_is_proposed_where_the_steps_cannot_be_cut():
    model, task = build(seq_len=80, hidden=128, unroller="checkpoint")
    predictor = Predictor(model, task)
    found = predictor.predict(5000)
    fixed = predictor.predict(1).update
    advice = memory.advice(predictor, found, 2 * fixed)
    rows = int(re.search(r"--batch (\d+) ", advice)[1])
    assert predictor.predict(rows).update <= 2 * fixed < predictor.predict(2 * rows + 2).update


@glibc
def test_weights_alone_can_be_too_much():
    model, task = build(hidden=512)
    with pytest.raises(ResourceError, match=r"the weights, their gradients and .* take [\d.]+ MiB, more than --mem"):
        memory.check_memory(model, task, limit=4 * MIB)


@glibc
def test_where_nothing_fits_it_says_so():
    model, task = build(hidden=64)
    predictor = Predictor(model, task)
    found = predictor.predict(2)
    complaint = memory.refusal(predictor, found, found.fixed + 1)
    assert "no unroller, window or batch fits; take shorter sequences" in complaint


@glibc
def test_validation_alone_can_be_too_much():
    model, task = build(seq_len=2000, hidden=64, unroller="checkpoint")
    predictor = Predictor(model, task)
    found = predictor.predict(1)
    complaint = memory.refusal(predictor, found, (found.update + found.total) // 2, "what is allowed:")
    assert complaint.startswith("validation over T = 2020 steps of 100 rows needs about ")
    assert "more than what is allowed: " in complaint


@glibc
def test_a_budget_of_too_many_segments_is_not_counted():
    model, task = build(seq_len=49_980, task="adding", unroller=Checkpoint(budget=400_000), hidden=32)
    assert not isfinite(memory.predict(model, task, batch_size=16).runs)


@glibc
def test_a_warning_where_there_is_too_little(monkeypatch):
    model, task = build(hidden=64)
    assert memory.memory_warning(model, task) is None
    monkeypatch.setattr("rnnkit.memory.limits.available_memory", lambda device: 8 * MIB)
    sentence = memory.memory_warning(model, task)
    assert re.match(rf"full BPTT over T = 120 steps of 32 rows needs about {NUMBER}, more than the 8.\d MiB", sentence)
    monkeypatch.setattr("rnnkit.memory.limits.available_memory", lambda device: None)
    assert memory.memory_warning(model, task) is None


def test_without_a_gauge_nothing_is_predicted(monkeypatch):
    monkeypatch.setattr(prediction, "gauge_of", lambda device: None)
    model, task = build()
    with pytest.raises(ResourceError, match="memory in use on cpu cannot be counted here"):
        memory.predict(model, task)


@glibc
@pytest.mark.parametrize(("batch_size", "truncate"), [(0, None), (1, (4, 2))])
def test_senseless_arguments(batch_size, truncate):
    model, task = build()
    with pytest.raises(UsageError):
        memory.predict(model, task, batch_size=batch_size, truncate=truncate)


@glibc
def test_a_watch_sees_what_comes_and_goes():
    with Watch() as watch:
        for _ in range(20):
            torch.ones(2**23)
    assert 2**25 <= watch.most < 1.5 * 2**25


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_available_memory_is_between_nothing_and_what_the_machine_has():
    total = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())[1]) * 1024
    assert 0 < available_memory() <= total
    assert available_memory("meta") is None


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """Return the folder of control groups, with a group of this process as a file of /proc says."""

    def write(line, files):
        for path, text in files.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text(text)
        real = gauge._read
        monkeypatch.setattr(gauge, "_read", lambda path: line if path == Path("/proc/self/cgroup") else real(path))

    monkeypatch.setattr(gauge, "CGROUPS", tmp_path)
    return write


def test_the_limit_of_a_control_group_around_counts(groups):
    stat = "anon 5\ninactive_file 1000\n"
    groups(
        "0::/outer/inner\n",
        {
            "outer/inner/memory.max": "max\n",
            "outer/inner/memory.current": "7\n",
            "outer/memory.max": "500000\n",
            "outer/memory.current": "200000\n",
            "outer/memory.stat": stat,
        },
    )
    assert available_memory() == 301_000


def test_limits_of_the_first_version_count(groups):
    groups(
        "5:cpu:/else\n4:memory:/job\n",
        {"memory/job/memory.limit_in_bytes": "90000\n", "memory/job/memory.usage_in_bytes": "95000\n"},
    )
    assert available_memory() == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4GiB", 4 * 2**30),
        ("500MB", 500_000_000),
        ("2g", 2**31),
        ("2G", 2**31),
        (" 1.5 gib ", 3 * 2**29),
        (".5k", 512),
        ("1000000", 1_000_000),
        ("17b", 17),
        ("3TB", 3 * 10**12),
    ],
)
def test_sizes(text, count):
    assert parse_bytes(text) == count
    assert MemorySize().convert(text, None, None) == count


@pytest.mark.parametrize("text", ["", "g", "0", "-1", "4 parsecs", "1e9", "0.1b", "nan", "٤", "4GiBs", "1,5g"])
def test_no_sizes(text):
    with pytest.raises(ValueError, match="is not a number of bytes > 0 such as 4GiB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 KiB"), (12.34 * 2**30, "12.3 GiB"), (600 * MIB, "600 MiB")],
)
def test_sizes_are_shown_short(count, shown):
    assert show_bytes(count) == shown
