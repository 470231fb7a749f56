"""`rnnkit diff`: two cells side by side."""

import re

import pytest

TINY = ("--steps", 4, "--batch", 2, "--input", 3, "--hidden", 4)


def rows_of(text):
    return {cells[0]: cells[1:] for line in text.splitlines() if len(cells := re.split(r" {2,}", line.strip())) > 1}


def test_side_by_side(cli):
    result = cli("diff", "lstm", "gru", *TINY)
    assert result.exit_code == 0, result.stderr
    assert "f = σ(W_if x" in result.stdout
    rows = rows_of(result.stdout)
    assert rows["parameters"] == [f"{16 * (3 + 4 + 2)}", f"{12 * (3 + 4 + 2)}"]
    assert rows["states"] == ["h 4, c 4", "h 4"]
    assert rows["Jacobian, c from c"] == ["diagonal", "-"]
    assert re.search(r"gru takes [\d.]+ \([\d.]+ to [\d.]+\) times as long as lstm", result.stdout)
    assert all(re.fullmatch(r"[\d.]+", cell) for cell in rows["median pass, ms"])
    assert "the median of the ratios of 15 rounds" in result.stdout
    assert all(re.fullmatch(r"compiled, backend \w+", cell) for cell in rows["run by"])


def test_what_runs_a_cell_is_said_in_short(cli):
    shown = cli("diff", "rnn", "rnn", *TINY).stdout
    assert ";" not in " ".join(rows_of(shown)["run by"])


def test_as_json_and_drawn(cli, lines, tmp_path):
    path = tmp_path / "flows.svg"
    result = cli("diff", "rnn", "zoneout(rnn)", *TINY, "--no-speed", "--explain", "--json", "--plot", path)
    assert result.exit_code == 0, result.stderr
    (content,) = lines(result.stdout)
    assert content["first"]["name"] == "rnn"
    assert content["speed"] is None
    assert list(content["explanations"]) == ["rnn", "zoneout(rnn)"]
    assert path.read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("lstm", "gur"), "unknown cell 'gur' (did you mean 'gru'?)"),
        (("lstm", "gru", "--plot", "x.gif"), "it must end in .png or .svg"),
        (("lstm",), "Missing argument 'B'"),
    ],
)
def test_what_is_wrong_has_one_line(cli, words, sentence):
    result = cli("diff", *words)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
