"""The page of benchmarks follows from what was measured, losses included."""

import json
import re
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import click
import pytest

from rnnkit.benchmark.timing import Ratio
from rnnkit.cli import main

DOCS = Path(__file__).parents[2] / "docs"
MACHINE = {"torch": "2.13.0+cpu", "threads": 2, "processor": "x86_64 AVX512", "system": "Linux"}


@pytest.fixture
def scripts(monkeypatch):
    """Return the modules that write the page."""
    monkeypatch.syspath_prepend(str(DOCS.with_name("tools")))
    names = {
        "script": "benchmark",
        "page": "benchmark_page",
        "sections": "benchmark_sections",
        "chart": "benchmark_chart",
    }
    return SimpleNamespace(**{short: import_module(name) for short, name in names.items()})


def a_row(size="1x2x3x4", rivals=(("nn.LSTM", 1.5),), flops=100, **changed):
    """Return a line of `rnnkit bench --json`."""
    ratios = {label: {"median": r, "low": r - 0.1, "high": r + 0.1} for label, r in rivals}
    halves = {label: {key: bound / 2 for key, bound in ratio.items()} for label, ratio in ratios.items()}
    row = {"cell": "lstm", "unroller": "loop", "size": size, "training": True, "dtype": "float32", "ragged": False}
    row |= {"pairs": 30, "seconds": 0.002, "share": 0.25, "flops": flops, "bytes": 2**20, "rivals": ratios}
    row |= {"rival_flops": dict.fromkeys(ratios, 100), "rival_bytes": dict.fromkeys(ratios, 2**21), "scaled": halves}
    return {**row, **changed}


def found(*rows, labels=("default allocator", "memory kept")):
    return {"machine": MACHINE, "runs": {label: list(rows) for label in labels}}


def block(page, name):
    return re.search(rf"<!-- begin {name} -->\n(.*)<!-- end {name} -->", page, re.DOTALL)[1]


def test_page_and_pictures_are_those_of_the_measurements(scripts):
    if not scripts.script.MEASURED.exists():
        pytest.skip("nothing is measured yet: python tools/benchmark.py measure")
    expected = scripts.script.render()
    shown = {path: path.read_text(encoding="utf-8") for path in expected}
    assert shown == expected, "write it again: python tools/benchmark.py render"
    assert set(DOCS.glob("assets/bench-*")) == set(expected) - {scripts.script.PAGE}
    assert list(scripts.script.read()) == list(scripts.sections.SECTIONS)


def test_every_section_has_its_place_on_the_page(scripts):
    page = scripts.script.PAGE.read_text(encoding="utf-8")
    assert re.findall(r"<!-- begin (\w+) -->", page) == ["summary", *scripts.sections.SECTIONS]
    assert re.findall(r"<!-- end (\w+) -->", page) == ["summary", *scripts.sections.SECTIONS]


def test_what_is_measured_are_command_lines_and_every_bar_has_its_run(scripts):
    bench = main.commands["bench"]
    for section in scripts.sections.SECTIONS.values():
        for words in section.runs.values():
            bench.make_context("bench", words.split(), parent=click.Context(main, **main.context_settings))
        assert section.bars
        assert {bar.run for bar in section.bars} <= set(section.runs)


def test_losses_are_bold_and_counted(scripts):
    page = scripts.script.PAGE.read_text(encoding="utf-8")
    lost = a_row("8x2x3x4", rivals=[("nn.LSTM", 0.5)])
    done = scripts.page.page_of(page, {"lstm": found(a_row(), lost)})
    table = block(done, "lstm")
    assert "| 1, 2, 3, 4 | 2.00 | 25% | 1.50 (1.40 to 1.60) |\n" in table
    assert "| 8, 2, 3, 4 | 2.00 | 25% | **0.50 (0.40 to 0.60)** |\n" in table
    assert "| geometric mean | | | **0.87 (0.77 to 0.95)** |\n" in table
    assert "$ rnnkit bench --allocator keep --memory none\n" in table
    assert "torch 2.13.0, 2 threads, x86_64 AVX512." in table
    summary = block(done, "summary")
    assert "Of the 4 ratios of times below, all sections together, 2 are below 1." in summary
    assert "| geometric mean of nn.LSTM's time | ≥ 1.25 | 0.87 | **missed** |\n" in summary
    assert "Not measured yet" in block(done, "gru")


def test_writing_it_again_changes_nothing(scripts):
    page = scripts.script.PAGE.read_text(encoding="utf-8")
    measured = {"lstm": found(a_row())}
    once = scripts.page.page_of(page, measured)
    assert once != page
    assert scripts.page.page_of(once, measured) == once
    assert scripts.page.page_of(once, {"lstm": found(a_row(seconds=0.003))}) != once


def test_time_for_each_flop_where_the_work_differs(scripts):
    page = scripts.script.PAGE.read_text(encoding="utf-8")
    row = a_row("32x100x128x128", rivals=[("loop", 5), ("nn.LSTM", 1.8)], flops=50)
    row["rival_flops"]["loop"] = 50
    table = block(scripts.page.page_of(page, {"unseen": found(row, labels=["two_gates"])}), "unseen")
    assert "| loop takes | nn.LSTM takes | nn.LSTM, for each flop |" in table
    assert "| 5.00 (4.90 to 5.10) | 1.80 (1.70 to 1.90) | **0.90 (0.85 to 0.95)** |\n" in table
    assert "≥ 0.67 | 0.90 | met |" in table


def test_bars_of_startup_and_memory(scripts):
    page = scripts.script.PAGE.read_text(encoding="utf-8")
    start = {"cell": "lstm", "unroller": "loop", "size": "1x2x3x4", "cold": 1.5, "later": 0.01, "plugins": 0.04}
    rows = [{**start, "warm": 0.02}, {**start, "warm": 0.07}]
    names = list(scripts.sections.SECTIONS["startup"].runs)
    memory = [a_row(), a_row("8x2x3x4", bytes=3 * 2**20)]
    measured = {"startup": found(*rows, labels=names), "memory": found(*memory, labels=["lstm"])}
    done = scripts.page.page_of(page, measured)
    assert "| lstm | 1, 2, 3, 4 | 1500.0 ms | 70.0 ms | 10.0 ms | 40.0 ms |\n" in done
    assert "| lstm: empty cache | ≤ 3.000 s | 1.500 s | met |\n" in done
    assert "| lstm: filled cache | ≤ 0.050 s | 0.070 s | **missed** |\n" in done
    assert "| 1, 2, 3, 4 | 1.0 MiB | 2.0 MiB | 50% |\n" in done
    assert "| 8, 2, 3, 4 | 3.0 MiB | 2.0 MiB | **150%** |\n" in done


def test_measuring_puts_sections_beside_those_that_are_there(scripts, tmp_path, monkeypatch):
    monkeypatch.setattr(scripts.script, "MEASURED", tmp_path / "benchmarks.json")
    asked = []

    def fake(words):
        asked.append(words)
        return [{"event": "size", **a_row(seconds=0.123456789), **MACHINE}]

    monkeypatch.setattr(scripts.script, "bench", fake)
    scripts.script.measure(["gru"], [])
    scripts.script.measure(["lstm"], ["--pairs", "2"])
    measured = json.loads((tmp_path / "benchmarks.json").read_text())
    assert list(measured) == ["lstm", "gru"]  # in the page's order
    assert measured["gru"]["machine"] == MACHINE
    (row,) = measured["lstm"]["runs"]["memory kept"]
    assert row["seconds"] == 0.12346
    assert row.keys().isdisjoint({*MACHINE, "event"})
    assert asked[0][:2] == ["--cell", "gru"]
    assert [words[-2:] for words in asked[1:]] == [["--pairs", "2"]] * 2


@pytest.mark.slow
def test_one_line_of_bench_for_real(scripts):
    (row,) = scripts.script.bench(
        ["--cell", "two_gates:TwoGates", "--sizes", "1x3x4x5", "--pairs", "2", "--memory", "none", "--unroller", "loop"]
    )
    assert (row["cell"], row["size"]) == ("twogates", "1x3x4x5")
    assert set(a_row()) <= set(row)


def test_a_chart_has_a_dot_for_each_ratio_on_its_side_of_one(scripts):
    series = {"a & b": [Ratio(2, 1.9, 2.1), Ratio(0.5, 0.4, 0.6)], "c": [Ratio(1, 1, 1), Ratio(9, 8, 10)]}
    text = scripts.chart.chart("how <fast>", ["small", "large"], series)
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    assert root.find(f"{space}title").text == "how <fast>"
    words = {mark.text: float(mark.get("x")) for mark in root.iter(f"{space}text")}
    assert {"small", "large", "a & b", "c", "1", "0.25", "16"} <= set(words)
    dots = [float(mark.get("cx")) for mark in root.iter(f"{space}circle")]
    assert len(dots) == 2 + 4  # of the legend, and of the ratios
    places = [place for place in dots if place in dots[1:3] or place in dots[4:]]
    twice, half, one, nine = places
    assert half < one < twice < nine
    assert one == pytest.approx(words["1"], abs=0.1)
    assert twice - one == pytest.approx(one - half, abs=0.2)
    assert len(text) < 6000


def test_bars_are_as_long_as_their_values(scripts):
    text = scripts.chart.bars("said", "heading", ["foot & more"], {"rnnkit": 1.0, "nn.GRU": 3.84, "slower": 0.5})
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    widths = [float(mark.get("width")) for mark in root.iter(f"{space}rect")]
    assert widths == pytest.approx([widths[0], 3.84 * widths[0], 0.5 * widths[0]], abs=0.3)
    assert {"heading", "foot & more", "1.00", "3.84", "0.50"} <= {mark.text for mark in root.iter(f"{space}text")}


def test_the_picture_of_the_home_page_has_the_means_of_its_sections(scripts):
    rows = {rival: found(a_row(rivals=[(rival, 2.0)]), a_row(rivals=[(rival, 8.0)])) for rival in ("nn.LSTM", "nn.GRU")}
    measured = {"lstm": rows["nn.LSTM"], "gru": rows["nn.GRU"], "unseen": found(a_row(rivals=[("loop", 3.0)]))}
    drawn = scripts.page.pictures(measured)["bench-speed.svg"]
    assert "nn.LSTM 4.00, nn.GRU 4.00, the plain loop 3.00" in drawn
    assert "2 threads, x86_64 AVX512." in drawn
    del measured["gru"]
    assert "bench-speed.svg" not in scripts.page.pictures(measured)


def test_figures_are_folded_below_their_picture(scripts):
    page = scripts.script.PAGE.read_text(encoding="utf-8")
    text = block(scripts.page.page_of(page, {"gru": found(a_row(rivals=[("nn.GRU", 2.0)]), labels=["gru"])}), "gru")
    places = [text.index(part) for part in ('assets/bench-gru.svg"', "<details", "<summary>", "| B, T", "</details>")]
    assert places == sorted(places)
