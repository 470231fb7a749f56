"""Wrapped cells by name: an expression wherever a cell is named."""

import json
import tomllib

import pytest

import rnnkit

SMALL = ("--steps", 2, "--hidden", 6, "--batch", 2, "--seq-len", 8)


@pytest.mark.slow
def test_a_wrapped_cell_is_trained_kept_and_used_again(cli, tmp_path):
    out = tmp_path / "run"
    ran = cli("run", "--cell", "zoneout(gru, rate={'h': 0.25})", *SMALL, "--out", out, "--quiet")
    assert ran.exit_code == 0, ran.stderr
    assert ran.stdout.startswith("zoneout(gru, rate={'h': 0.25}) on chars, ")
    assert tomllib.loads((out / "config.toml").read_text())["cell"] == "zoneout(gru, rate={'h': 0.25})"
    sampled = cli("sample", out, "--length", 20)
    assert sampled.exit_code == 0, sampled.stderr


def test_a_table_given_by_set_is_kept_and_read_again(cli, tmp_path):
    out = tmp_path / "run"
    words = ("--set", "cell.rate={'h': 0.25, 'c': 0}", "--set", "cell.inner=peephole")
    ran = cli("run", "--cell", "zoneout", *words, *SMALL, "--out", out, "--quiet")
    assert ran.exit_code == 0, ran.stderr
    options = tomllib.loads((out / "config.toml").read_text())["cell_options"]
    assert options == {"rate": {"h": 0.25, "c": 0}, "inner": "peephole"}
    assert cli("sample", out, "--length", 20).exit_code == 0


def test_the_folder_s_name_has_no_brackets(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli("run", "--cell", "residual(norm(rnn))", *SMALL, "--quiet").exit_code == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("chars-residual-norm-rnn-2")


def test_gradients_and_promises_of_a_wrapped_cell(cli):
    shown = cli("gradcheck", "--cell", "residual(gru)", "--json")
    assert shown.exit_code == 0, shown.stderr
    assert json.loads(shown.stdout)["ok"]
    checked = cli("check", "variational(gru, rate={'h': 0.5})", "--set", "cell.input_rate=0", "--json")
    assert checked.exit_code == 0, checked.stderr
    assert json.loads(checked.stdout)["subject"] == "cell 'variational'"


def test_a_wrapped_cell_is_shown(cli):
    shown = cli("cells", "residual(gru(bias=false))", "--json")
    assert shown.exit_code == 0, shown.stderr
    assert list(json.loads(shown.stdout)["parameters"]) == ["weight_skip", "inner.weight_ih", "inner.weight_hh"]


def test_what_is_wrong_in_an_expression_is_one_line(cli):
    for cell, sentence in {
        "zoneout(lsmt)": "unknown cell 'lsmt' (did you mean 'lstm'?)",
        "zoneout(lstm": "'zoneout(lstm' is neither a name nor of the form name(inner, option=value)",
        "zoneout(lstm, rte=0.1)": "cell 'lstm' has no option 'rte'",
        "zoneout(lstm, rate=2)": "rate of 'h' is 2; it must be a rate from 0 to 1",
    }.items():
        for words in (("run", "--cell", cell, *SMALL), ("gradcheck", "--cell", cell), ("check", cell), ("cells", cell)):
            result = cli(*words)
            assert (result.exit_code, result.stdout) == (2, ""), (words, result.output)
            assert sentence in result.stderr
            assert result.stderr.count("\n") == 1
    assert "zoneout" in rnnkit.cells
