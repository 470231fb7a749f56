"""The bars of a GPU are measured by one command, which writes each with its verdict."""

import json

import gpu_bars
import pytest
from gpu_bars import BARS, main

import rnnkit


@pytest.mark.slow
def test_every_bar_is_measured(device, tmp_path, capsys):
    out = tmp_path / "bars.json"
    words = ["--device", str(device), "--small", "--pairs", "2", "--dtype", "float32", "--out", str(out)]
    main([*words, "--only", "vendor"])
    main([*words, "--only", "near"])
    found = json.loads(out.read_text())
    assert [*found] == ["vendor", "near"]
    assert [row["cell"] for row in found["near"]["rows"]] == ["peephole"] * 2 + ["layernorm"] * 2
    assert [row["training"] for row in found["vendor"]["rows"]] == [True, False]
    for name, bar in found.items():
        assert bar["machine"]["torch"]
        for row in bar["rows"]:
            ((_, ratio),) = row["rivals"].items()
            assert row["met"] == (ratio["median"] >= BARS[name].least)
    assert capsys.readouterr().out.count("nn.LSTM takes") == 6


def test_the_bars_are_those_that_were_set():
    (loop,) = BARS["loop"].sizes
    assert (str(loop), BARS["loop"].rival, BARS["loop"].least) == ("16x1024x768x768", "loop", 20)
    assert (BARS["vendor"].cells, BARS["vendor"].rival, BARS["vendor"].least) == (("lstm",), "torch", 1)
    assert [size.hidden_size for size in BARS["near"].sizes] == [64, 128, 256]
    assert BARS["near"].least == pytest.approx(1 / 1.3)
    assert all(cell in rnnkit.cells for bar in BARS.values() for cell in bar.cells)
    assert gpu_bars.MEASURED.name == "gpu-bars.json"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--device", "nowhere"), 2, "device 'nowhere' is not a device of torch"),
        (("--device", "cuda:99"), 8, "device 'cuda:99' is not usable here"),
        (("--only", "loops"), 2, "there is no 'loops'; there are loop, vendor, near"),
        (("--dtype", "float16"), 2, "there is no 'float16'; there are float32, bfloat16"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_line(words, code, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words])
    assert ended.value.code == code
    assert said in capsys.readouterr().err.splitlines()[-1]
