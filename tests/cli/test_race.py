"""`rnnkit race`: what it prints, refuses, and answers."""

import json
from pathlib import Path

import pytest

from rnnkit.cli.columns import Column, fitted
from rnnkit.racing import entry, page

SMALL = ("--task", "adding", "--seq-len", 4, "--batch", 2, "--hidden", 16, "--steps", 4, "--set", "unroller=loop")
SHORT = ("race", "--cells", "lstm,gru", *SMALL, "--seeds", 2, "--lr", "0.01,0.03", "--jobs", 0)


@pytest.fixture(autouse=True)
def quickly(tmp_path, monkeypatch):
    """Race in an empty folder, without pictures."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for module in (entry, page):
        monkeypatch.setattr(module, "find_spec", lambda name: None)


def test_it_prints_the_leaderboard_and_a_line_for_each_training(cli):
    told = cli(*SHORT, "--out", "first", "--target", 100)
    assert told.exit_code == 0, told.stderr
    lines = told.stdout.splitlines()
    assert lines[0] == "adding: validation MSE after 4 updates, lower is better; equal parameters, 2 seeds"
    assert lines[2].split("  ")[-1].strip() == "interval, 50 % at most"
    assert lines[2].split()[:7] == ["#", "cell", "MSE", "lowest", "highest", "vs", "first"]
    assert {line.split()[1] for line in lines[4:6]} == {"lstm", "gru"}
    assert lines[-1] == "saved in first; to be looked at: first/index.html"
    for heading in (
        "how soon validation MSE 100 is reached",
        "at equal parameters of the whole model",
        "tuning: median MSE of each learning rate; * is the one that was taken",
    ):
        assert heading in lines
    progress = told.stderr.splitlines()
    assert progress[0].startswith("lstm: hidden 16, 1,297 parameters, ")
    assert progress[2].startswith("1 of 8  lstm  tuning  lr 0.01  seed 10000  MSE ")
    assert "8 of 8  gru  ranking" in progress[9]
    assert "pictures need matplotlib" in progress[-1]


def test_quiet_says_nothing_on_stderr_but_what_is_missing(cli):
    told = cli(*SHORT, "--out", "first", "--quiet")
    assert told.stderr.splitlines() == [
        "rnnkit: pictures need matplotlib: pip install 'rnnkit[plot]'; then --resume first draws them"
    ]


def test_json_has_all_of_it(cli, lines):
    told = lines(cli(*SHORT, "--out", "first", "--json").stdout)
    assert [line["event"] for line in told] == ["size"] * 2 + ["training"] * 8 + ["place"] * 2 + ["end"]
    end, kept = told[-1], json.loads(Path("first/leaderboard.json").read_text())
    assert kept.pop("places") == [{k: v for k, v in line.items() if k != "event"} for line in told[-3:-1]]
    assert {"event": "end", **kept} == end
    assert {"cell", "lr", "seed", "outcome", "step", "metric"} <= told[2].keys()


def test_it_goes_on_with_what_is_there(cli, lines):
    first = cli(*SHORT, "--out", "first", "--json")
    again = cli("race", "--resume", "first", "--jobs", 0, "--json")
    told = lines(again.stdout)
    assert [line["event"] for line in told] == ["size"] * 2 + ["place"] * 2 + ["end"]
    assert told[-1] == lines(first.stdout)[-1]


@pytest.mark.parametrize("cells", ["lstm,gru", "layernorm,peephole,rnn"])
def test_tables_fit_80_columns(cells, cli, monkeypatch):
    widths = []

    def measured(headings, rows, right=(), **_):
        cells = list(zip(*rows, strict=True))
        columns = [Column(h, list(texts), h in right) for h, texts in zip(headings, cells, strict=True)]
        shown, hidden = fitted(columns, 80)
        assert hidden == []
        widths.append(sum(column.natural for column in shown) + 3 * (len(shown) - 1))

    monkeypatch.setattr("rnnkit.cli.commands.race.print_table", measured)
    assert cli("race", "--cells", cells, *SHORT[3:]).exit_code == 0
    assert len(widths) == 3
    assert max(widths) <= 80


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        ((), 2, "no cells are given; name two or more, such as --cells lstm,gru"),
        (("--cells", "lstm"), 2, "cells is lstm; a race needs two or more (`rnnkit run --cell` trains one)"),
        (("--cells", "lstm,"), 2, "'lstm,' is not cells between commas, such as lstm,gru"),
        (("--cells", ""), 2, "'' is not cells between commas, such as lstm,gru"),
        (("--cells", "lstm,gur"), 2, "unknown cell 'gur' (did you mean 'gru'?)"),
        (("--cells", "lstm,zoneout(gru"), 2, "'lstm,zoneout(gru'"),
        (("--cells", "gru,lstm,gru"), 2, "cell 'gru' is in the race twice; name each once, or give one other options"),
        (("--cells", "gru,lstm", "--task", "addign"), 2, "unknown task 'addign' (did you mean 'adding'?)"),
        (("--cells", "gru,lstm", "--seeds", 0), 2, "'--seeds': 0"),
        (("--cells", "gru,lstm", "--jobs", -1), 2, "'--jobs': -1"),
        (("--cells", "gru,lstm", "--lr", "0.1,fast"), 2, "'fast'"),
        (("--cells", "gru,lstm", "--lr", "0.1,0.10"), 2, "lr is 0.1,0.1; name each learning rate once"),
        (("--cells", "gru,lstm", "--equal", "time"), 2, "'time' is not one of 'parameters', 'flops'"),
        (("--cells", "lstm,gru", "--hidden", 1), 2, "cell 'gru' comes no nearer to"),
        (("--cells", "gru,lstm", "--set", "patience=3"), 2, "--set: a race has no setting 'patience'"),
        (("--cells", "gru,lstm", "--set", "lr=3"), 2, "--set: a race has no setting 'lr'; give the learning rates"),
        (("--cells", "gru,lstm", "--set", "task.seq_length=3"), 2, "task 'adding' has no option 'seq_length'"),
        (("--cells", "gru,lstm", "--set", "cell.colour=3"), 2, "has no option 'colour'"),
        (
            ("--cells", "gru,lstm", "--set", "stesp=3"),
            2,
            "--set has an unknown setting 'stesp' (did you mean 'steps'?)",
        ),
        (("--cells", "gru,lstm", "--out", "."), 2, ". exists already; give another folder with --out"),
        (("--cells", "gru,lstm", "--out", "/proc/nothing"), 8, "/proc/nothing cannot be made"),
        (("--resume", "nowhere"), 5, "nowhere is not a folder"),
        (("--resume", "."), 5, "race.toml is missing; give the folder of a race, such as runs/race-..."),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_bad_input_is_answered_by_one_line(cli, tmp_path, words, code, fault):
    task = () if "--task" in words or "--resume" in words else ("--task", "adding")
    told = cli("race", *words, *task)
    assert told.exit_code == code, told.output
    assert fault in told.stderr
    assert told.stderr.count("\n") == 1
    assert told.stdout == ""
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_resumed_race_keeps_its_settings(cli):
    assert cli(*SHORT, "--out", "first").exit_code == 0
    told = cli("race", "--resume", "first", "--steps", 5)
    assert (told.exit_code, told.stderr) == (
        2,
        "rnnkit: the command line: steps is 4 in the race, not 5; a race that is resumed keeps its settings (jobs and "
        "target may differ)\n",
    )
    told = cli("race", "--resume", "first", "--cells", "lstm,rnn")
    assert "rnnkit: cells is lstm,gru in the race, not lstm,rnn" in told.stderr


def test_options_of_cells_stand_in_expressions_and_in_set(cli, lines):
    cells = "rnn,rnn(nonlinearity='relu'),zoneout(gru, rate=0.2)"
    words = ("race", "--cells", cells, *SMALL, "--hidden", 48, "--seeds", 1, "--lr", 0.01, "--jobs", 0, "--json")
    told = lines(cli(*words, "--set", "clip=0.5").stdout)
    assert {line["cell"] for line in told if line["event"] == "place"} == {
        *("rnn", "rnn(nonlinearity='relu')", "zoneout(gru, rate=0.2)")
    }
    assert told[-1]["settings"]["clip"] == 0.5
