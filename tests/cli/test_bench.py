"""`rnnkit bench`."""

import json

import pytest

FAST = ("--pairs", 3, "--sizes", "1x4x3x5,2x3x4x6")


def test_a_table(cli):
    result = cli("bench", "--cell", "zoneout(gru)", "--against", "torch,loop", *FAST)
    assert result.exit_code == 0, result.stderr
    first, *rest = result.stdout.splitlines()
    assert first.startswith("zoneout(gru), unroller loop, forward and backward, 3 rounds; torch ")
    for part in ("1x4x3x5", "2x3x4x6", "nn.LSTM takes", "loop takes", "of the peak", "MiB"):
        assert part in result.stdout
    assert [line.split()[2] for line in rest if line.startswith("geometric mean: ")] == ["nn.LSTM", "loop"]


def test_json_lines(cli, lines):
    result = cli("bench", "--forward", "--unroller", "checkpoint", "--set", "unroller.segment=2", "--json", *FAST)
    assert result.exit_code == 0, result.stderr
    *sizes, average = lines(result.stdout)
    assert [line["size"] for line in sizes] == ["1x4x3x5", "2x3x4x6"]
    assert [line["unroller"] for line in sizes] == ["checkpoint(segment=2)"] * 2
    assert not any(line["training"] for line in sizes)
    assert average["event"] == "means"
    low, middle, high = (sizes[0]["rivals"]["nn.LSTM"][key] for key in ("low", "median", "high"))
    assert low <= middle <= high
    product = sizes[0]["rivals"]["nn.LSTM"]["median"] * sizes[1]["rivals"]["nn.LSTM"]["median"]
    assert average["nn.LSTM"] == pytest.approx(product**0.5)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_a_picture(cli, tmp_path, suffix):
    path = tmp_path / f"bench.{suffix}"
    result = cli("bench", "--plot", path, *FAST)
    assert result.exit_code == 0, result.stderr
    begin = path.read_bytes()[:5]
    assert begin == {"png": b"\x89PNG\r", "svg": b"<?xml"}[suffix]


REFUSED = {
    "size '1x2x3' is not of the form BxTxIxH": ("--sizes", "1x2x3"),
    "nothing called 'tf' to measure against": ("--against", "tf"),
    "unknown cell 'lsmt'": ("--cell", "lsmt"),
    "unknown unroller 'lop'": ("--unroller", "lop"),
    "it must end in .png or .svg": ("--plot", "picture.bmp"),
    "there is no folder": ("--plot", "nowhere/picture.png"),
    "unroller 'checkpoint' has no option 'segmet'": ("--unroller", "checkpoint", "--set", "unroller.segmet=2"),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_what_is_wrong_is_one_line_before_anything_is_measured(cli, sentence):
    result = cli("bench", *FAST, *REFUSED[sentence])
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert sentence in result.stderr
    assert json.dumps(result.stderr).count("rnnkit: ") == 1
