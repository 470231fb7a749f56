"""`rnnkit cells`, `unrollers`, `tasks`, `plugins`, `doctor`: what there is."""

import pytest
import torch

import rnnkit

NOUNS = {"cells": rnnkit.cells, "unrollers": rnnkit.unrollers, "tasks": rnnkit.tasks}


@pytest.mark.parametrize("noun", NOUNS)
def test_lists_every_name_with_its_origin(cli, lines, noun):
    result = cli(noun, "--json")
    assert result.exit_code == 0
    rows = lines(result.stdout)
    assert [row["name"] for row in rows] == list(NOUNS[noun])
    assert all(row["origin"] == f"rnnkit {rnnkit.__version__}" for row in rows)
    assert all(row["summary"].endswith((".", ").")) for row in rows)
    table = " ".join(cli(noun).stdout.split())
    assert all(f"{row['name']} {row['summary']} {row['origin']}" in table for row in rows)


@pytest.mark.parametrize("name", rnnkit.cells)
def test_a_cell_in_full(cli, lines, name):
    shown = cli("cells", name).stdout
    assert shown.startswith(f"cell {name} (rnnkit {rnnkit.__version__})\n")
    for part in (" = ", "Paper: ", "What differs: ", "Options: ", "Parameters for D = 64, H = 128: "):
        assert part in shown
    (told,) = lines(cli("cells", name, "--json").stdout)
    parameters = {label: list(tensor.shape) for label, tensor in rnnkit.cells[name](64, 128).named_parameters()}
    assert told["parameters"] == parameters
    assert all(f"{label} " in shown for label in parameters)
    assert all(option in shown for option in told["options"])


def test_the_count_of_parameters(cli):
    count = sum(parameter.numel() for parameter in torch.nn.LSTM(64, 128).parameters())
    assert f"D = 64, H = 128: {count:,}\n" in cli("cells", "lstm").stdout


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (("cells", "rnn"), ["nonlinearity", "bias", "proj_size"]),
        (("unrollers", "checkpoint"), ["segment", "budget"]),
        (("unrollers", "loop"), []),
        (("tasks", "chars"), ["text", "seq_len"]),
    ],
    ids=str,
)
def test_options(cli, lines, words, options):
    (told,) = lines(cli(*words, "--json").stdout)
    assert told["options"] == options
    assert f"Options: {', '.join(options) or 'none'}\n" in cli(*words).stdout


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


def test_doctor(cli, lines):
    result = cli("doctor", "--json")
    assert result.exit_code == 0
    (facts,) = lines(result.stdout)
    assert facts["problems"] == []
    assert facts["rnnkit"] == rnnkit.__version__
    assert facts["torch"] == torch.__version__
    assert facts["devices"].startswith("cpu (")
    assert facts["plugins"].endswith(" found, 0 problems")
    assert {"python", "platform", "C++ compiler", "RNNKIT_PLUGINS"} <= set(facts)
    table = " ".join(cli("doctor").stdout.split())
    assert f"torch {torch.__version__}" in table


def test_doctor_without_a_compiler(cli, lines, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    (facts,) = lines(cli("doctor", "--json").stdout)
    assert facts["C++ compiler"] == "no-such-compiler, not found"
