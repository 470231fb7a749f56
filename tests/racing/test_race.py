"""Races from beginning to end: in this process, in others, stopped and resumed, with trainings that fail."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import rnnkit
from rnnkit.checkpoints.lock import locked
from rnnkit.errors import CheckpointError, DataError, KindError, PluginError, ResourceError, UsageError
from rnnkit.racing.course import Course
from rnnkit.racing.entry import prepared
from rnnkit.racing.settings import RaceSettings
from rnnkit.racing.trial import Result, Trial, trained
from rnnkit.runs.settings import Settings

from .conftest import SMALL

TIMES = ("seconds", "sha256", "folder")

CELLS = """
import os, signal
import torch
import rnnkit


class Plain(rnnkit.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = torch.nn.Linear(input_size + hidden_size, hidden_size)

    def step(self, x, state):
        h = torch.tanh(self.read(torch.cat([x, state[0]], 1)))
        return h, (h,)


class Greedy(Plain):
    def step(self, x, state):
        if torch.is_grad_enabled() and x.shape[0] > 2:
            raise MemoryError("no room for a state")
        return super().step(x, state)


class Broken(Plain):
    def step(self, x, state):
        if torch.is_grad_enabled() and x.shape[0] > 2:
            raise RuntimeError("out of order")
        return super().step(x, state)


class Doomed(Plain):
    def step(self, x, state):
        if os.getpid() != int(os.environ["THE_TEST"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(x, state)


class Warning_(Plain):
    def step(self, x, state):
        import warnings

        if x.shape[0] > 2:
            warnings.warn("it is late", UserWarning)
        return super().step(x, state)
"""


@pytest.fixture
def own_cells(tmp_path, monkeypatch):
    """Let `own_race_cells:Greedy` and the like be imported, by other processes too."""
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "own_race_cells.py").write_text(CELLS)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("THE_TEST", str(os.getpid()))
    yield
    sys.modules.pop("own_race_cells", None)


def figures(result):
    """Return all figures of a race that do not depend on its time or place."""

    def timeless(value):
        if isinstance(value, dict):
            return {key: timeless(item) for key, item in value.items() if key not in TIMES}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    return timeless(json.loads(result.to_json()))


def kept(folder):
    """Return the results of a race's folder, without their times, by file."""
    read = {path.name: json.loads(path.read_text()) for path in (folder / "trials").iterdir()}
    return {name: {key: value for key, value in result.items() if key not in TIMES} for name, result in read.items()}


def test_a_race_leaves_what_it_says_and_without_matplotlib_no_picture(small_race, caplog):
    result = small_race()
    assert result.folder.parent == Path("runs")
    assert result.folder.name.startswith("race-adding-")
    assert {path.name for path in result.folder.iterdir()} == {
        *("race.toml", "env.json", "data.json", "lock", "trials", "index.html"),
        *("leaderboard.json", "leaderboard.csv"),
    }
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"pictures need matplotlib: pip install 'rnnkit[plot]'; then --resume {result.folder} draws them"
    assert len(list((result.folder / "trials").iterdir())) == result.settings.trainings == 8
    assert json.loads((result.folder / "leaderboard.json").read_text()) == json.loads(result.to_json())
    assert [place.cell for place in result.leaderboard] in (["lstm", "gru"], ["gru", "lstm"])


def test_with_matplotlib_a_race_leaves_pictures(small_race, monkeypatch, tmp_path):
    small_race(lr=0.01, seeds=1, out=tmp_path / "first")
    monkeypatch.undo()
    again = rnnkit.race(resume=tmp_path / "first", jobs=0)
    assert "<svg" in (again.folder / "index.html").read_text()
    assert (again.folder / "curves.svg").read_text().startswith("<?xml")
    assert (again.folder / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_figures_are_those_of_trainings_done_by_hand(small_race):
    result = small_race(lr=0.01, seeds=2)
    for place in result.leaderboard:
        for seed, value in enumerate(place.values):
            task = rnnkit.tasks["adding"](seq_len=4)
            torch.manual_seed(seed)
            model = rnnkit.Model(task, place.cell, place.size.hidden, unroller="loop")
            records = list(rnnkit.train(model, task, steps=4, batch_size=2, lr=0.01, schedule="cosine", seed=seed))
            assert records[-1].validation.metric == value


def test_curves_begin_before_the_first_update(small_race):
    result = small_race(lr=0.01)
    for trainings in result.curves.values():
        assert [training.step for training in trainings] == [[0, 1, 2, 3, 4]] * 2
        assert [training.tokens[-1] for training in trainings] == [4 * 2 * 4] * 2


def test_the_callers_random_numbers_and_threads_are_as_before(small_race):
    torch.manual_seed(5)
    expected, threads = torch.rand(1), torch.get_num_threads()
    torch.manual_seed(5)
    small_race(lr=0.01, seeds=1)
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads


@pytest.mark.slow
def test_processes_give_the_same_bits_as_this_one(small_race):
    """All that crosses over to them and back is in the figures."""
    words = {"lr": 0.01, "seeds": 1}
    assert figures(small_race(**words)) == figures(small_race(**words, jobs=1))


def test_a_race_that_was_stopped_goes_on_to_the_same_leaderboard(small_race):
    whole = small_race(out="whole")
    for count in (1, 5):
        folder = Path(f"stopped-{count}")
        with prepared(
            {"cells": ("lstm", "gru"), "seeds": 2, "rates": (0.01, 0.03)},
            [("a test", {"task": "adding", **SMALL})],
            jobs=0,
            out=folder,
        ) as running:
            statuses = running.statuses()
            while sum(1 for _ in (folder / "trials").iterdir()) < count:
                next(statuses)
            statuses.close()
        before = {path: path.stat().st_mtime_ns for path in (folder / "trials").iterdir()}
        assert len(before) == count
        resumed = rnnkit.race(resume=folder, jobs=0)
        assert figures(resumed) == figures(whole)
        assert kept(folder) == kept(Path("whole"))
        assert {path: path.stat().st_mtime_ns for path in before} == before  # none was done again


def test_a_finished_race_is_shown_again_with_another_target(small_race):
    result = small_race(lr=0.01, out="first")
    again = rnnkit.race(resume="first", jobs=0, target=100.0)
    assert [place.values for place in again.leaderboard] == [place.values for place in result.leaderboard]
    assert all(place.reached.seeds == 2 for place in again.leaderboard)
    assert rnnkit.race(resume="first", jobs=0).settings.target == 100.0


def test_a_damaged_result_is_done_again_and_said(small_race, caplog):
    result = small_race(lr=0.01, out="first")
    first, second, *_ = sorted(Path("first/trials").iterdir())
    first.write_bytes(first.read_bytes()[:100])
    second.write_text(second.read_text().replace('"finished"', '"diverged"'))
    again = rnnkit.race(resume="first", jobs=0)
    assert figures(again) == figures(result)
    assert [record.getMessage() for record in caplog.records if "pictures" not in record.getMessage()] == [
        f"{path} is damaged; this training is done again" for path in (first, second)
    ]


def test_a_result_of_another_race_is_refused(small_race):
    small_race(lr=0.01, seeds=1, out="first")
    small_race(lr=0.01, seeds=1, out="second", steps=5)
    name = "0-lstm-lr0.01-seed0.json"
    shutil.copy(Path("second/trials") / name, Path("first/trials") / name)
    with pytest.raises(CheckpointError, match=f"{name} is of other settings than the race"):
        rnnkit.race(resume="first", jobs=0)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"cells": ["lstm", "rnn"]}, "cells is lstm,gru in the race, not lstm,rnn"),
        ({"steps": 5}, "race: steps is 4 in the race, not 5"),
        ({"seeds": 3}, "seeds is 1 in the race, not 3"),
        ({"lr": [0.01, 0.02]}, "rates is 0.01 in the race, not 0.01,0.02"),
        ({"task_options": {"seq_len": 5}}, "task_options is {'seq_len': 4} in the race, not {'seq_len': 5}"),
        ({"out": "there"}, "--resume writes to the folder of the race"),
    ],
)
def test_a_resumed_race_keeps_its_settings(small_race, given, fault):
    small_race(lr=0.01, seeds=1, out="first")
    with pytest.raises(UsageError, match=fault):
        rnnkit.race(resume="first", jobs=0, **given)
    same = {"cells": ["lstm", "gru"], "task": "adding", "seeds": 1, "lr": 0.01, **SMALL}
    assert rnnkit.race(resume="first", jobs=0, **same).settings.seeds == 1


def test_two_do_not_write_to_one_folder(small_race):
    small_race(lr=0.01, seeds=1, out="first")
    descriptor = locked("first")
    with pytest.raises(CheckpointError, match="first is being written by another process"):
        rnnkit.race(resume="first", jobs=0)
    os.close(descriptor)
    rnnkit.race(resume="first", jobs=0)


@pytest.mark.parametrize("damage", ["nothing", "a file", "no settings", "settings of a run", "no trials"])
def test_what_is_no_race_is_not_resumed(small_race, tmp_path, damage):
    if damage != "nothing":
        small_race(lr=0.01, seeds=1, out="first")
    if damage == "a file":
        shutil.rmtree("first")
        Path("first").write_text("")
    elif damage == "no settings":
        Path("first/race.toml").unlink()
    elif damage == "settings of a run":
        Path("first/race.toml").write_text("steps = 3\n")
    elif damage == "no trials":
        shutil.rmtree("first/trials")
    with pytest.raises(CheckpointError, match="first"):
        rnnkit.race(resume="first", jobs=0)


def test_data_that_have_changed_are_refused(small_race, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("to be or not to be " * 100)
    options = {"text": str(text), "seq_len": 8}
    small_race(task="chars", lr=0.01, seeds=1, out="first", task_options=options)
    text.write_text("what is the question " * 100)
    with pytest.raises(DataError, match="the data of task 'chars' have changed since the race began"):
        rnnkit.race(resume="first", jobs=0)


def test_a_training_that_diverges_is_a_result(small_race):
    result = small_race(["lstm", "rnn(nonlinearity='relu')"], lr=1e9, seeds=1)
    assert {place.cell: place.failed for place in result.leaderboard} == {
        "lstm": {},
        "rnn(nonlinearity='relu')": {"diverged": 1},
    }
    assert result.leaderboard[0].cell == "lstm"
    assert any("rnn(nonlinearity='relu'): 1 of 1 trainings diverged" in note for note in result.notes())


@pytest.mark.usefixtures("own_cells")
def test_a_training_that_wants_memory_is_a_result(small_race):
    result = small_race(["gru", "own_race_cells:Greedy"], lr=0.01, batch=4)
    assert [(place.cell, place.failed) for place in result.leaderboard] == [
        ("gru", {}),
        ("greedy", {"out of memory": 2}),
    ]
    note = "greedy: 2 of 2 trainings ran out of memory (MemoryError: no room for a state)."
    assert note in result.notes()


@pytest.mark.usefixtures("own_cells")
def test_what_a_training_warns_of_is_said_once(small_race):
    result = small_race(["gru", "own_race_cells:Warning_"], lr=0.01, batch=4)
    assert result.warnings == ("warning_: UserWarning: it is late",)


@pytest.mark.usefixtures("own_cells")
def test_a_cell_that_fails_ends_the_race_and_is_named(small_race):
    with pytest.raises(PluginError, match="cell 'broken' on task 'adding' fails: RuntimeError: out of order"):
        small_race(["gru", "own_race_cells:Broken"], lr=0.01, batch=4, out="first")
    assert len(list(Path("first/trials").iterdir())) == 2  # those of the other cell


@pytest.mark.slow
@pytest.mark.usefixtures("own_cells")
def test_a_process_that_is_killed_twice_is_a_result(small_race):
    result = small_race(["gru", "own_race_cells:Doomed"], lr=0.01, seeds=1, jobs=1)
    assert result.leaderboard[1].failed == {"killed": 1}
    assert "doomed: 1 of 1 trainings were killed (its process was killed (signal 9), 2 times" in str(result.notes())


@pytest.mark.slow
def test_a_process_that_someone_ends_is_no_result(small_race):
    running = prepared(
        {"cells": ("lstm", "gru"), "rates": (0.01,)},
        [("a test", {"task": "adding", **SMALL, "steps": 100_000})],
        jobs=1,
        out="first",
    )

    def end_one():
        for status in running.statuses():
            if status.steps:
                os.kill(int(trainers(os.getpid())[0]), signal.SIGTERM)

    with running, pytest.raises(ResourceError, match=r"a process that trains for the race was killed \(signal 15\)"):
        end_one()
    assert list(Path("first/trials").iterdir()) == []
    assert trainers(os.getpid()) == []


def trainers(parent):
    """Return the processes that a process has started and that train for a race."""
    words = ["ps", "-ww", "-o", "pid=", "-o", "args=", "--ppid", str(parent)]
    told = subprocess.run(words, capture_output=True, text=True).stdout
    return [line.split()[0] for line in told.splitlines() if "rnnkit.racing.worker" in line]


def start(*words):
    command = [sys.executable, "-m", "rnnkit", "race", *words, "--jobs", "2", "--quiet"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def alive(pid):
    """Tell whether a process is there and is no zombie."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def gone(pids, seconds=20):
    """Wait for processes to end."""
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.1)
    return not any(map(alive, pids))


LONG = ("--cells", "lstm,gru", "--task", "adding", "--seq-len", "4", "--batch", "2", "--hidden", "16", "--seeds", "2")
LONG = (*LONG, "--set", "unroller=loop", "--lr", "0.01,0.03", "--steps", "400", "--set", "validate_every=100")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Return the folder of a race that nobody stopped."""
    folder = tmp_path_factory.mktemp("undisturbed") / "whole"
    process = start(*LONG, "--out", str(folder))
    assert "saved in" in process.communicate()[0]
    return folder


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_race_that_is_killed_again_and_again_ends_as_one_that_was_not(tmp_path, monkeypatch, whole, number):
    monkeypatch.chdir(tmp_path)
    process, before = start(*LONG, "--out", "killed"), {}
    for count in (1, 6):
        while len(list(Path("killed").glob("trials/*.json"))) < count and process.poll() is None:
            time.sleep(0.02)
        started = trainers(process.pid)
        process.send_signal(number)
        out, err = process.communicate()
        assert out == ""
        if number == signal.SIGKILL:
            assert process.returncode == -9
        else:
            word = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}[number]
            assert err == f"rnnkit: {word}; go on with: rnnkit race --resume killed\n"
            assert process.returncode == 128 + number
        assert len(started) == 2
        assert gone(started)
        assert before.items() <= written(Path("killed")).items()  # none was done again
        before = written(Path("killed"))
        process = start("--resume", "killed")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert before.items() <= written(Path("killed")).items()
    assert kept(Path("killed")) == kept(whole)
    assert board(Path("killed")) == board(whole)
    assert not list(Path("killed").rglob("*.partial"))


def written(folder):
    """Return when each result was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("trials/*.json")}


def board(folder):
    """Return the places of a race's folder, without their times."""
    places = json.loads((folder / "leaderboard.json").read_text())["places"]
    return [{key: value for key, value in place.items() if key not in TIMES} for place in places]


@pytest.mark.parametrize(
    ("given", "kind", "fault"),
    [
        ({"cells": ["lstm"]}, UsageError, "cells is lstm; a race needs two or more"),
        ({"cells": []}, UsageError, "cells is empty"),
        ({"cells": "lstm,gru"}, KindError, "it must be a list of cells"),
        ({"cells": ["lstm", 3]}, KindError, "a cell of the race is 3"),
        ({"cells": ["lstm", "gur"]}, UsageError, r"unknown cell 'gur' \(did you mean 'gru'\?\)"),
        ({"cells": ["lstm", "gru", "lstm"]}, UsageError, "cell 'lstm' is in the race twice"),
        ({"cells": ["zoneout(gru)", "zoneout( gru )"]}, UsageError, "is in the race twice"),
        ({"task": "addign"}, UsageError, r"unknown task 'addign' \(did you mean 'adding'\?\)"),
        ({"seeds": 0}, UsageError, "seeds is 0; it must be a whole number >= 1"),
        ({"seeds": 10_001}, UsageError, "seeds is 10001; it must be at most 10000"),
        ({"tuning_seeds": 0}, UsageError, "tuning_seeds is 0"),
        ({"lr": []}, UsageError, "lr is empty"),
        ({"lr": [0.1, 0.1]}, UsageError, "name each learning rate once"),
        ({"lr": [0.1, -1.0]}, UsageError, "lr is -1.0"),
        ({"equal": "parameter"}, UsageError, r"equal is 'parameter'; .* \(did you mean 'parameters'\?\)"),
        ({"target": "low"}, KindError, "target is 'low'"),
        ({"jobs": -1}, UsageError, "jobs is -1"),
        ({"hidden": 1}, UsageError, "comes no nearer"),
        ({"patience": 3}, UsageError, "a race has no setting 'patience'"),
        ({"cell": "gru"}, UsageError, "a race has no setting 'cell'; give cells"),
        ({"stesp": 3}, UsageError, r"unknown setting 'stesp' \(did you mean 'steps'\?\)"),
        ({"cells": ["lstm", "__main__:Mine"]}, Exception, "Mine"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(small_race, tmp_path, given, kind, fault):
    with pytest.raises(kind, match=fault):
        small_race(**given)
    assert list(tmp_path.iterdir()) == []


def test_a_class_is_named_by_its_module(small_race):
    kind = rnnkit.cells["gru"]
    with pytest.raises(UsageError, match="cell 'gru' is in the race twice"):
        small_race(["gru", kind])

    class Local(kind):
        pass

    with pytest.raises(UsageError, match="cell 'local' is a class inside of a function"):
        small_race(["gru", Local])


def test_classes_of_two_modules_may_share_a_name(tmp_path, monkeypatch):
    for module in ("former", "latter"):
        text = "import rnnkit\n\n\nclass Racer(rnnkit.Cell):\n    pass\n"
        (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    ours = {"rates": (1e-3,), "run": Settings()}
    assert RaceSettings(cells=("gru", "former:Racer"), **ours).labels == ("gru", "racer")
    alike = ("gru", "former:Racer", "latter:Racer")
    assert RaceSettings(cells=alike, **ours).labels == alike
    with pytest.raises(UsageError, match="cell 'latter:Racer' is in the race twice"):
        RaceSettings(cells=(*alike, "latter:Racer"), **ours)


def test_a_folder_that_is_there_or_cannot_be_made_is_refused_before_anything_is_trained(small_race, tmp_path):
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="there exists already"):
        small_race(out="there")
    (tmp_path / "file").write_text("")
    with pytest.raises(ResourceError, match="new cannot be made"):
        small_race(out="file/new")


def test_a_result_is_read_as_it_was_written(small_settings):
    settings = small_settings().training(0, 16, 0.01, 3)
    trial = Trial(0, "lstm", False, settings)
    *_, result = trained(trial, settings.make_task())
    assert Result.read(result.to_json(), trial) == result
    with pytest.raises(CheckpointError, match="of other settings"):
        Result.read(result.to_json(), Trial(0, "lstm", False, small_settings().training(0, 17, 0.01, 3)))


def test_resuming_reads_results_of_the_ranking_only_where_the_rate_is_known(small_race):
    small_race(out="first")
    for path in Path("first/trials").glob("*tuning*"):
        path.unlink()
    with prepared({}, [], jobs=0, resume="first") as running:
        assert isinstance(running.course, Course)
        assert not running.course.plan.results
