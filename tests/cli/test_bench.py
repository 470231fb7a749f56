"""`rnnkit bench`."""

import json

import pytest

FAST = ("--pairs", 3, "--sizes", "1x4x3x5,2x3x4x6", "--unroller", "loop")


def test_a_table(cli):
    result = cli("bench", "--cell", "zoneout(gru)", "--against", "torch,loop", *FAST)
    assert result.exit_code == 0, result.stderr
    first, *rest = result.stdout.splitlines()
    assert first.startswith("zoneout(gru), unroller loop, forward and backward, float32, 3 rounds; torch ")
    for part in ("1x4x3x5", "2x3x4x6", "nn.LSTM takes", "loop takes", "for each flop", "of the peak", "MiB"):
        assert part in result.stdout
    assert [line.split()[2] for line in rest if line.startswith("geometric mean: ")] == ["nn.LSTM", "loop"]


@pytest.mark.parametrize("memory", ["pass", "none"])
def test_memory_has_columns_where_it_is_measured(cli, memory):
    result = cli("bench", "--sizes", "2x3x4x5", "--pairs", 2, "--memory", memory, "--unroller", "loop")
    assert ("MiB" in result.stdout) is (memory == "pass")
    assert "of the peak" in result.stdout


def test_times_for_each_flop_are_shown_where_the_work_differs(cli):
    assert "for each flop" not in cli("bench", "--cell", "peephole", *FAST).stdout


def test_json_lines(cli, lines):
    result = cli("bench", *FAST, "--forward", "--unroller", "checkpoint", "--set", "unroller.segment=2", "--json")
    assert result.exit_code == 0, result.stderr
    *sizes, average = lines(result.stdout)
    assert [line["size"] for line in sizes] == ["1x4x3x5", "2x3x4x6"]
    assert [line["unroller"] for line in sizes] == ["checkpoint(segment=2)"] * 2
    assert not any(line["training"] for line in sizes)
    assert (average["event"], average["training"]) == ("means", False)
    ratios = [line["rivals"]["nn.LSTM"] for line in sizes]
    for found in (*ratios, average["nn.LSTM"]):
        assert found["low"] <= found["median"] <= found["high"]
    product = ratios[0]["median"] * ratios[1]["median"]
    assert average["nn.LSTM"]["median"] == pytest.approx(product**0.5)


def test_both_ways_one_after_the_other(cli, lines):
    result = cli("bench", *FAST, "--both", "--json")
    assert result.exit_code == 0, result.stderr
    found = [(line["event"], line.get("size"), line["training"]) for line in lines(result.stdout)]
    there_and_back, ahead = ([("size", "1x4x3x5", way), ("size", "2x3x4x6", way)] for way in (True, False))
    assert found == [*there_and_back, *ahead, ("means", None, True), ("means", None, False)]
    shown = cli("bench", *FAST, "--both").stdout
    assert "loop, forward and backward, float32" in shown
    assert "loop, forward, float32" in shown
    assert shown.count("geometric mean: ") == 2


def test_ragged_rows_in_float64(cli, lines):
    words = ("--lengths", "ragged", "--dtype", "float64", "--memory", "none")
    result = cli("bench", *FAST, *words, "--json")
    assert result.exit_code == 0, result.stderr
    first, *_ = lines(result.stdout)
    assert (first["ragged"], first["dtype"], first["bytes"]) == (True, "float64", None)
    assert first["rival_bytes"] == {"nn.LSTM": None}
    assert "forward and backward, float64, ragged rows, 3 rounds" in cli("bench", *FAST, *words).stdout


@pytest.mark.slow
def test_a_cell_that_is_not_registered_with_memory_in_processes_of_their_own(
    cli, lines, tmp_path, monkeypatch, cell_source
):
    (tmp_path / "my_fast_cells.py").write_text(cell_source("fast"))
    monkeypatch.chdir(tmp_path)
    words = ("--cell", "my_fast_cells:Fake", "--memory", "process", "--pairs", 2, "--sizes", "8x40x64x64")
    result = cli("bench", *words, "--unroller", "loop", "--json")
    assert result.exit_code == 0, result.stderr
    line, _ = lines(result.stdout)
    assert line["cell"] == "fast"
    assert line["bytes"] > 8 * 40 * 64 * 4  # the output, at the least
    assert line["rival_bytes"]["nn.LSTM"] > 8 * 40 * 64 * 4


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [False, True], ids=["table", "json"])
def test_startup(cli, lines, as_json):
    result = cli("bench", "--startup", "--sizes", "1x4x3x5", "--unroller", "loop", *(["--json"] if as_json else []))
    assert result.exit_code == 0, result.stderr
    if as_json:
        (line,) = lines(result.stdout)
        assert (line["event"], line["cell"], line["unroller"], line["size"]) == ("startup", "lstm", "loop", "1x4x3x5")
        assert -1 < line["warm"] < 1
        assert {"cold", "later", "plugins", "torch", "threads"} <= set(line)
    else:
        assert "empty cache, ms" in result.stdout
        assert "1x4x3x5" in result.stdout


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture(cli, tmp_path, suffix):
    path = tmp_path / f"bench.{suffix}"
    result = cli("bench", "--plot", path, "--both", *FAST)
    assert result.exit_code == 0, result.stderr
    begin = path.read_bytes()[:5]
    assert begin == {"png": b"\x89PNG\r", "svg": b"<?xml"}[suffix]


REFUSED = {
    "size '1x2x3' is not of the form BxTxIxH": ("--sizes", "1x2x3"),
    "nothing called 'tf' to measure against": ("--against", "tf"),
    "unknown cell 'lsmt'": ("--cell", "lsmt"),
    "'nowhere' cannot be imported": ("--cell", "nowhere:Cell"),
    "unknown unroller 'lop'": ("--unroller", "lop"),
    "it must end in .png or .svg": ("--plot", "picture.bmp"),
    "there is no folder": ("--plot", "nowhere/picture.png"),
    "--startup has no ratios to draw": ("--startup", "--plot", "picture.png"),
    "torchrecurrent takes no PackedSequence": ("--against", "torchrecurrent", "--lengths", "ragged"),
    "unroller 'checkpoint' has no option 'segmet'": ("--unroller", "checkpoint", "--set", "unroller.segmet=2"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_wrong_is_one_line_before_anything_is_measured(cli, sentence):
    result = cli("bench", *FAST, *REFUSED[sentence])
    assert (result.exit_code, result.stdout) == (4 if "imported" in sentence else 2, ""), result.output
    assert sentence in result.stderr
    assert json.dumps(result.stderr).count("rnnkit: ") == 1
