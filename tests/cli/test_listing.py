"""`rnnkit cells`, `unrollers`, `tasks`, `plugins`: what there is."""

import sys

import pytest
import torch

import rnnkit
from rnnkit.cli.main import PURPOSES

NOUNS = {"cells": rnnkit.cells, "unrollers": rnnkit.unrollers, "tasks": rnnkit.tasks}


@pytest.mark.parametrize("noun", NOUNS)
def test_lists_every_name_with_its_origin(cli, lines, noun):
    result = cli(noun, "--json")
    assert result.exit_code == 0
    rows = lines(result.stdout)
    assert [row["name"] for row in rows] == list(NOUNS[noun])
    assert all(row["origin"] == f"rnnkit {rnnkit.__version__}" for row in rows)
    assert all(row["summary"].endswith((".", ").")) for row in rows)
    if noun == "cells":
        assert all(row["equation"] and row["paper"] and row["flops"] >= 0 and "error" not in row for row in rows)
    table = " ".join(cli(noun).stdout.split())
    assert all(f"{row['name']} {row['summary']} {row['origin']}" in table for row in rows)


@pytest.mark.parametrize("name", rnnkit.cells)
def test_a_cell_in_full(cli, lines, name):
    shown = cli("cells", name).stdout
    assert shown.startswith(f"cell {name} (rnnkit {rnnkit.__version__})\n")
    for part in (
        " = ",
        "Paper: ",
        "What differs: ",
        "Parameters: none" if name == "echostate" else "Parameters for D = 64, H = 128: ",
    ):
        assert part in shown
    (told,) = lines(cli("cells", name, "--json").stdout)
    assert ("Options, by --set cell.OPTION=VALUE:\n" in shown) == bool(told["options"])
    parameters = {label: list(tensor.shape) for label, tensor in rnnkit.cells[name](64, 128).named_parameters()}
    assert told["parameters"] == parameters
    assert all(f"{label} " in shown for label in parameters)
    assert all(f"\n    {option['name']}" in shown for option in told["options"])


def test_the_count_of_parameters(cli):
    count = sum(parameter.numel() for parameter in torch.nn.LSTM(64, 128).parameters())
    assert f"D = 64, H = 128: {count:,}\n" in cli("cells", "lstm").stdout


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("cells", "rnn"), ["nonlinearity", "bias", "proj_size"]),
        (("unrollers", "checkpoint"), ["segment", "budget"]),
        (("unrollers", "loop"), []),
        (("tasks", "chars"), ["text", "seq_len", "tokens", "vocabulary"]),
    ],
    ids=str,
)
def test_options(cli, lines, words, options):
    (told,) = lines(cli(*words, "--json").stdout)
    assert [option["name"] for option in told["options"]] == options
    shown = cli(*words).stdout
    if options:
        assert f"\nOptions, by --set {words[0][:-1]}.OPTION=VALUE:\n" in shown
    else:
        assert shown.endswith("\nOptions: none\n")


@pytest.mark.parametrize("noun", NOUNS)
def test_every_option_has_its_type_default_and_a_line_of_what_it_is(cli, lines, noun):
    for name in NOUNS[noun]:
        (told,) = lines(cli(noun, name, "--json").stdout)
        shown = cli(noun, name).stdout
        assert "Args:" not in shown
        for option in told["options"]:
            assert all(option.values()), (name, option)
            default = "" if option["default"] == "none" else f"={option['default']}"
            assert f"\n    {option['name']}{default} ({option['kind']}): {option['help']}\n" in shown


def test_equations_are_not_run_together(cli):
    shown = cli("cells", "lstm").stdout
    assert "\n    c = f ⊙ c + i ⊙ g\n    h = o ⊙ tanh(c)" in shown


def test_a_third_party_s_cell(site, cli, lines, cell_source):
    site.install("fake-cells", version="2.5", fake=cell_source())
    (told,) = lines(cli("cells", "fake", "--json").stdout)
    assert told["origin"] == "fake-cells 2.5"
    assert told["parameters"] == {"weight": [128, 64]}
    assert "A cell for tests." in cli("cells", "fake").stdout


@pytest.mark.parametrize(
    ("words", "nearest"), [(("cells", "lsmt"), "lstm"), (("tasks", "cahrs"), "chars"), (("unrollers", "lop"), "loop")]
)
def test_an_unknown_name(cli, words, nearest):
    result = cli(*words)
    assert result.exit_code == 2
    assert f"(did you mean {nearest!r}?)" in result.stderr


def test_plugins(cli, lines):
    rows = lines(cli("plugins", "--json").stdout)
    registered = {name for row in rows for name in row["registers"]}
    assert registered == {*rnnkit.cells, *rnnkit.unrollers, *rnnkit.tasks}
    assert all(row["ok"] and not row["problems"] for row in rows)
    (lstm,) = [row for row in rows if row["plugin"] == "rnnkit:cell-lstm"]
    assert lstm["module"] == "rnnkit_cells.lstm"
    assert lstm["registers"] == ["lstm"]
    table = " ".join(cli("plugins").stdout.split())
    assert f"rnnkit:cell-lstm {rnnkit.__version__} lstm ok" in table


def test_a_long_reason_is_not_broken_in_a_pipe(site, cli, cell_source):
    reason = " ".join(f"reason-{number}" for number in range(60))
    site.install("fake-wordy", wordy=cell_source(hook=f"raise RuntimeError({reason!r})"))
    (row,) = [line for line in cli("plugins").stdout.splitlines() if line.startswith("fake-wordy")]
    assert reason in row


TELLING = """
import rnnkit


class Telling(rnnkit.unrollers["loop"]):
    name = "telling"
    auto_rank = 1_000

    def explain(self, cell):
        weights = sum(parameter.numel() for parameter in cell.parameters())
        return f"{cell.name} {cell.input_size} {cell.hidden_size}\\n{weights} weights"


@rnnkit.hookimpl
def rnnkit_unrollers():
    return [Telling]
"""


def test_an_unroller_explains_how_it_runs_a_cell(site, cli, lines):
    site.install("fake-telling", telling=TELLING)
    shown = cli("cells", "gru", "--explain")
    assert shown.exit_code == 0, shown.stderr
    weights = sum(parameter.numel() for parameter in torch.nn.GRU(64, 128).parameters())
    assert shown.stdout == f"cell gru, D = 64, H = 128, unroller telling\n\ngru 64 128\n{weights} weights\n"
    sizes = ("--input-size", 3, "--hidden", 5)
    (told,) = lines(cli("cells", "rnn(bias=false)", "--explain", *sizes, "--json").stdout)
    assert told == {
        "name": "rnn(bias=false)",
        "unroller": "telling",
        "input_size": 3,
        "hidden_size": 5,
        "explanation": "rnn 3 5\n40 weights",
    }


def test_what_an_unroller_says_that_has_nothing_to_explain(cli):
    for name in ("loop", "checkpoint"):
        shown = cli("cells", "zoneout(gru)", "--explain", "--unroller", name).stdout
        assert shown == (
            f"cell zoneout(gru), D = 64, H = 128, unroller {name}\n\nsteps through time with torch's operations\n"
        )


def test_a_class_that_is_not_registered_is_explained(cli, tmp_path, monkeypatch, cell_source):
    (tmp_path / "my_unlisted_cells.py").write_text(cell_source())
    monkeypatch.chdir(tmp_path)
    shown = cli("cells", "my_unlisted_cells:Fake", "--explain", "--unroller", "loop")
    assert shown.stdout.startswith("cell my_unlisted_cells:Fake, D = 64, H = 128, unroller loop\n"), shown.stderr
    assert str(tmp_path) not in sys.path


@pytest.mark.parametrize(
    ("words", "sentence", "code"),
    [
        (("--explain",), "--explain needs the NAME of a cell", 2),
        (("lstm", "--hidden", 3), "--hidden goes with --explain; add it, or leave --hidden out", 2),
        (("lstm", "--unroller", "loop"), "--unroller goes with --explain", 2),
        (("--input-size", 3), "--input-size goes with --explain", 2),
        (("lsmt", "--explain"), "(did you mean 'lstm'?)", 2),
        (("lstm", "--explain", "--unroller", "lop"), "(did you mean 'loop'?)", 2),
        (("nowhere.at_all:Cell", "--explain"), "'nowhere.at_all' cannot be imported: ModuleNotFoundError", 4),
        (("rnnkit:Cel", "--explain"), "module 'rnnkit' has no 'Cel'", 2),
        (("rnnkit:RNN", "--explain"), "it must be a registered name or a class derived from Cell", 2),
    ],
    ids=str,
)
def test_what_cannot_be_explained_is_said_in_a_sentence(cli, words, sentence, code):
    result = cli("cells", *words)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert sentence in result.stderr


def test_every_command_is_in_the_help_by_what_it_is_for_and_fits_80_columns(cli):
    text = cli("--help").stdout
    for purpose, commands in PURPOSES.items():
        section = text.partition(f"\n{purpose}:\n")[2].partition("\n\n")[0].splitlines()
        assert [line.split()[0] for line in section] == [command.name for command in commands]
        assert all(line.endswith(".") and not line.endswith("..") for line in section)
