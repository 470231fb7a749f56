"""What two processes do together, for test_processes.py: each writes what it saw to FOLDER/RANK.json."""

import json
import math
import sys
from pathlib import Path

import torch
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.training.process_group import process_group

STEPS = 6
TASKS = {"adding": {"seq_len": 7}, "chars": {"seq_len": 16, "text": __file__}}
CASES = {
    "full": ("gru", "adding", "float64", {}),
    "full, float32": ("gru", "adding", "float32", {}),
    "truncated, accumulated": ("lstm", "chars", "float64", {"truncate": (3, 5), "accumulate": 2}),
    "clipped by value, averaged": ("rnn", "adding", "float64", {"clip": 0.01, "clip_by": "value", "average": 0.9}),
    "losses scaled": ("gru", "adding", "float16", {"autocast": torch.float16}),
    "a weight without part in some windows": ("learnt_state(gru)", "chars", "float64", {"truncate": (8, 8)}),
}


def training(case, processes=None, dropout=0.0):
    cell, task, dtype, options = CASES[case]
    task = rnnkit.tasks[task](**TASKS[task])
    torch.manual_seed(0)
    model = rnnkit.Model(task, cell, 6, num_layers=2, dropout=dropout, unroller="loop")
    model = model.to(torch.float32 if dtype == "float16" else getattr(torch, dtype))
    return rnnkit.Training(
        model, task, steps=STEPS, batch_size=4, lr=0.05, validate_every=4, processes=processes, **options
    )


def curve(training, steps=STEPS):
    """Take steps up to that one, and give what an observer sees."""
    seen = []
    for record in training.records():
        validation = list(record.validation) if record.validation else []
        norm = record.gradient_norm if math.isfinite(record.gradient_norm) else -1.0
        seen.append([record.loss, record.metric, norm, record.tokens, record.skipped, *validation])
        if record.step == steps:
            break
    return seen


def weights(training):
    return [parameter.tolist() for parameter in training.eval_model.parameters()]


def resumed(training, path):
    training.resume(path)
    return training


class Odd(rnnkit.Task):
    """A task whose validation each process sees in its own way."""

    name, metric_name, input_size, output_size = "odd", "error", 1, 1
    rank, ragged, every_step = 0, False, True

    def batch(self, size, generator):
        xs = torch.randn(5, size, 1, generator=generator)
        lengths = torch.arange(size) % 5 + 1 if self.ragged else None
        return rnnkit.Batch(xs, xs if self.every_step else xs[-1], lengths)

    def loss(self, outputs, targets):
        return F.mse_loss(outputs, targets)

    def metric(self, outputs, targets):
        return self.loss(outputs, targets) * (1 - 2 * self.rank)


def odd(processes, *, batch_size=4, **attributes):
    task = Odd()
    vars(task).update(attributes, rank=processes.rank)
    model = rnnkit.Model(task, "rnn", 2)
    return rnnkit.Training(
        model, task, steps=5, batch_size=batch_size, validate_every=1, patience=1, processes=processes
    )


def refused(act):
    try:
        act()
    except UsageError as error:
        return str(error)
    return None


def observed(processes, folder):
    seen = {"curves": {}, "weights": {}}
    for case in CASES:
        one = training(case, processes)
        seen["curves"][case], seen["weights"][case] = curve(one), weights(one)

    whole = training("truncated, accumulated", processes, dropout=0.5)
    seen["undisturbed"] = [curve(whole), weights(whole)]
    half = training("truncated, accumulated", processes, dropout=0.5)
    begun = curve(half, 3)
    half.save(folder / "dropout")
    processes.highest(0)  # it is written
    half = resumed(training("truncated, accumulated", processes, dropout=0.5), folder / "dropout")
    seen["stopped"] = [begun + curve(half), weights(half)]
    seen["drawn"] = torch.rand(3).tolist()

    half = training("truncated, accumulated", processes)
    curve(half, 3)
    half.save(folder / "of two")
    half = resumed(training("truncated, accumulated", processes), folder / "of one")
    seen["one goes on as two"] = [curve(half), weights(half)]

    differing = odd(processes)
    seen["told"] = [[record.validation.metric for record in differing.records()], differing.best, differing.waited]
    seen["refused"] = [
        refused(lambda: odd(processes, batch_size=3)),
        refused(lambda: curve(odd(processes, ragged=True))),
        refused(lambda: curve(odd(processes, ragged=True, every_step=False))),
    ]
    return seen


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    with process_group("cpu") as processes:
        (folder / f"{processes.rank}.json").write_text(json.dumps(observed(processes, folder)))
