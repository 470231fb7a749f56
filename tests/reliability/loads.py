"""Loads mutated checkpoints as `--resume` does, and says what came of it: in server.py's forks."""

import json
import logging
import os
import signal
from collections import Counter
from itertools import islice
from pathlib import Path

import torch
from mutations import DAMAGED, mutations
from safetensors.torch import save

SECONDS = 5.0
"""More is a hang."""


class HangError(BaseException):
    """A load takes too long."""


class Trainer:
    """Builds the training of a run again and again."""

    def __init__(self, run):
        from rnnkit.runs.folder import read_settings

        self.settings = read_settings(run)
        self.settings.steps = 10**6  # a run that has taken all is not resumed
        self.task = self.settings.make_task()

    def build(self):
        model = self.settings.make_model(self.task)
        return self.settings.make_training(model, self.task)


def prints(training):
    """Return all that training goes on from, as bytes."""
    from rnnkit.support.nested_tensors import pack

    plain, tensors = pack(training.state())
    models = [training.model] if training.averaged is None else [training.model, training.eval_model]
    weights = [save({name: t.clone() for name, t in model.state_dict().items()}) for model in models]
    return json.dumps(plain), save({name: tensor.clone() for name, tensor in tensors.items()}), *weights


def batch(run, report, first, every, limit=None):
    """Load each `every`-th mutation from the `first` on; report counts, and failures by name."""
    os.fsync = lambda descriptor: None  # what is asked is how things are read
    torch.set_num_threads(1)
    signal.signal(signal.SIGALRM, hang)
    run, report = Path(run), Path(report)
    names = sorted(path.name for path in (run / "checkpoints").iterdir())
    other, newest = ({p.name: p.read_bytes() for p in (run / "checkpoints" / name).iterdir()} for name in names)
    trainer = Trainer(run)
    told = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())
    logging.getLogger("rnnkit").addHandler(handler)
    logging.getLogger("rnnkit").propagate = False
    whole, fallen_back = (loaded(trainer, run, {names[1]: newest}), loaded(trainer, run, {names[0]: other}))
    counts, failures = Counter(), []
    for number, mutation in enumerate(islice(mutations(newest, other), first, limit, every)):
        report.with_suffix(".now").write_text(mutation.name)
        both = number % 8 == 0
        told.clear()
        checkpoints = {names[1]: mutation.files, **({names[0]: other} if both else {})}
        try:
            answer = judged(trainer, run, checkpoints, mutation.kind, {whole, fallen_back} if both else {whole})
        except HangError:
            answer = "it hangs"
        except BaseException as error:
            answer = f"{type(error).__name__}: {error}"
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if answer not in ("equal", "refused", "another training", "refused at the first update"):
            failures.append((mutation.name, answer))
        if any("\n" in line for line in told):
            failures.append((mutation.name, f"it is told in several lines: {told}"))
        counts[f"{mutation.kind}: {answer if len(answer) < 40 else 'failed'}"] += 1
    report.write_text(json.dumps({"counts": counts, "failures": failures}))


def judged(trainer, run, checkpoints, kind, expected):
    """Say how a load ended."""
    from rnnkit.errors import CheckpointError, DataError, RnnkitError

    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        found = loaded(trainer, run, checkpoints, goes_on=kind != DAMAGED)
    except (CheckpointError, DataError) as error:  # of other data, if that is what it says
        return "refused" if "\n" not in str(error) else f"in several lines: {error}"
    except RnnkitError as error:
        return f"another kind of error, {type(error).__name__}: {error}"
    if found in expected:
        return "equal"
    return "another training" if kind != DAMAGED else "it is not what was saved"


def loaded(trainer, run, checkpoints, goes_on=False):
    """Resume a run with these checkpoints, and take an update more if it `goes_on`."""
    from rnnkit.runs.folder import RunWriter

    folder = run.with_name("mutated")
    for name in os.listdir(folder / "checkpoints"):
        for file in os.listdir(folder / "checkpoints" / name):
            os.unlink(folder / "checkpoints" / name / file)
        os.rmdir(folder / "checkpoints" / name)
    for name, files in checkpoints.items():
        os.mkdir(folder / "checkpoints" / name)
        for file, data in files.items():
            (folder / "checkpoints" / name / file).write_bytes(data)
    (folder / "metrics.jsonl").write_bytes((run / "metrics.jsonl").read_bytes())
    training = trainer.build()
    with RunWriter.resume(folder, trainer.settings, training) as resumed:
        found = prints(training)
        if goes_on:
            update(resumed, training)
    return found


def update(resumed, training):
    """Take one more update, and save it."""
    from rnnkit.errors import RnnkitError

    training.steps = training.step + 1
    try:
        for _ in resumed.recording(training):
            pass
    except RnnkitError as error:
        if "\n" in str(error):
            raise


def hang(number, frame):
    raise HangError
