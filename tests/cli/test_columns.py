"""On a narrow terminal text is folded, then columns are left out and named; no figure is cut."""

import re
from itertools import pairwise

import pytest
from click.testing import CliRunner

from rnnkit.cli import main
from rnnkit.cli.columns import Column, fitted, fold, shortened

WIDTHS = [100, 80, 60, 50, 40, 30]
NAMES = ("adding-lstm-20261126-011630", "adding-gru-20261126-021630", "copy_of_the_first_run")


def on_a_terminal(width, *words):
    """Run a command line as on a terminal of that width; returns its lines."""
    result = CliRunner(env={"COLUMNS": str(width), "FORCE_COLOR": "1"}).invoke(main, [str(word) for word in words])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def table(lines):
    """Return headings, rows and what is said of hidden columns, of the first table."""
    rule = next(k for k, line in enumerate(lines) if line.startswith("─"))
    end = next((k for k, line in enumerate(lines) if k > rule and not line.strip()), len(lines))
    at = next((k for k, line in enumerate(lines[:end]) if re.match(r"\d+ of \d+ columns", line)), end)
    note = " ".join(lines[at:end])
    hidden = re.search(r"\((.*)\)", note)[1].split(", ") if note else []
    return lines[:rule], [line for line in lines[rule + 1 : at] if "gradients agree" not in line], hidden


@pytest.fixture
def runs(past_run):
    rates = [0.0034, 0.001, 0.02]
    folders = [
        past_run(name, [3.0] * 3200, {3200: 0.123456 + k}, [0.5] * 3200, task="adding", lr=rate, hidden=128 << k)
        for k, (name, rate) in enumerate(zip(NAMES, rates, strict=True))
    ]
    for k, folder in enumerate(folders):
        (folder / "env.json").write_text(f'{{"parameters": {67585 << k}}}')
    return folders


@pytest.mark.parametrize("width", WIDTHS)
def test_compare_shows_whole_figures_or_none(cli, runs, width):
    whole = table(cli("compare", *runs).stdout.splitlines())
    headings, *_ = (re.split(r" {2,}", line.strip()) for line in whole[0][-1:])
    cells = {h: [] for h in headings}
    for line in whole[1]:
        for heading, cell in zip(headings, re.split(r" {2,}", line.strip()), strict=True):
            cells[heading].append(cell)
    assert cells["lr"] == ["0.0034", "0.001", "0.02"]
    assert cells["tokens"] == ["320,000"] * 3
    assert cells["parameters"] == ["67,585", "135,170", "270,340"]
    lines = on_a_terminal(width, "compare", *runs)
    _, body, hidden = table(lines)
    assert all(len(line) <= width for line in body)
    shown = [h for h in headings if h not in hidden]
    assert shown[0] == "run"
    assert "best" in shown
    assert ("lr" in shown) == (width >= 60)
    assert ("hidden" in shown) == (width >= 50)
    assert bool(hidden) == (width < 120)
    for heading in shown[1:]:
        for cell in cells[heading]:
            assert re.search(rf"(?<!\S){re.escape(cell)}(?!\S)", "\n".join(body)), (heading, cell)
    names = "".join(line.split("  ")[0].strip() for line in body)
    assert names == "".join(NAMES)
    assert len(body) <= 3 * len(NAMES)
    if hidden:
        assert f"{len(hidden)} of {len(headings)} columns hidden" in " ".join(lines)
        assert "a wider terminal or --json shows them  the same in all: cell lstm" in " ".join(lines)
        assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("width", [40, 30, 24, 20])
def test_figures_come_before_long_names(past_run, tmp_path, width):
    runs = [past_run(f"{'a_very_long_name_' * 4}{k}/run", [3.0] * 9, {9: 0.25 + k}, task="adding") for k in range(3)]
    lines = on_a_terminal(width, "compare", *runs)
    _, body, hidden = table(lines)
    assert not {"last", "best"} & set(hidden)
    assert all(len(line) <= width for line in lines)
    assert len(body) == 3
    for k, line in enumerate(body):
        assert re.fullmatch(rf"\S*…\S+ +{k}.2500 +{k}.2500 *", line)
    assert " ".join(lines).count("0.2500") == 2


@pytest.mark.parametrize("width", [100, 60, 40, 20])
@pytest.mark.parametrize("name", ["lstm", "gru", "layernorm", "zoneout(lstm, rate=0.1)"])
def test_one_cell_in_full_fits(cli, name, width):
    lines = on_a_terminal(width, "cells", name)
    assert all(len(line) <= width for line in lines)
    words = re.sub(r"[─\s]+", " ", cli("cells", name).stdout).split()
    shown = re.sub(r"[─\s]+", "", "".join(lines))
    assert [word for word in words if word not in shown and "_" not in word] == []  # names may be folded


@pytest.mark.parametrize("words", [("tasks",), ("tasks", "csv"), ("cells", "lstm")], ids=str)
def test_columns_says_how_wide_a_pipe_is(words):
    def shown(columns):
        return CliRunner(env={"COLUMNS": columns, "FORCE_COLOR": None}).invoke(main, words).stdout.splitlines()

    assert max(map(len, shown("60"))) <= 60
    endless = shown(None)
    assert max(map(len, endless)) > 120
    assert shown("0") == shown("many") == shown("") == endless


@pytest.mark.parametrize("width", [80, 120])
def test_a_pipe_gets_a_line_for_each_paragraph_and_a_terminal_folds_it(cli, width):
    piped = cli("tasks", "csv").stdout
    paragraph = next(line for line in piped.splitlines() if line.startswith("The first 70 %"))
    assert paragraph.endswith("and the forecast is the median.")
    item = next(line for line in piped.splitlines() if line.startswith("- `time`"))
    assert item.endswith("go through each at least twice (`calendar=none`: never).")
    shown = on_a_terminal(width, "tasks", "csv")
    assert max(map(len, shown)) <= width
    start = shown.index(next(line for line in shown if line.startswith("The first 70 %")))
    whole = shown[start : shown.index("", start)]
    assert " ".join(whole) == paragraph
    # None but the last has room for the word that begins the next one.
    assert all(len(line) + 1 + len(after.split()[0]) > width for line, after in pairwise(whole))
    start = shown.index(next(line for line in shown if line.startswith("- `time`")))
    assert shown[start + 1].startswith("  ")


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("abcdefgh", 8, "abcdefgh"),
        ("abcdefgh", 5, "ab…gh"),
        ("abcdefgh", 2, "…h"),
        ("abcdefgh", 1, "…"),
        ("日本語日本語", 5, "日…語"),
    ],
)
def test_shortens_in_the_middle(text, width, short):
    assert shortened(text, width) == short


def test_what_is_kept_goes_last():
    columns = [Column("name", ["a" * 50], False), *(Column(name, ["123456789"], True) for name in "abcd")]
    assert fitted(columns, 30, keep=["b", "c"])[1] == ["a", "d"]
    assert fitted(columns, 30, keep=["b", "c"])[0][0].cells == ["aa…aaa"]
    assert fitted(columns, 20, keep=["b", "c"])[1] == ["a", "b", "d"]
    assert fitted(columns, 10, keep=["b", "c"])[1] == ["a", "b", "c", "d"]


@pytest.mark.parametrize("width", [80, 60, 40])
@pytest.mark.parametrize(
    "words",
    [("cells",), ("unrollers",), ("tasks",), ("plugins",), ("doctor",), ("gradcheck", "--cell", "rnn", "--hidden", 2)],
    ids=lambda words: words[0],
)
def test_every_table_fits(cli, words, width):
    _, whole, _ = table(cli(*words).stdout.splitlines())
    _, body, hidden = table(on_a_terminal(width, *words))
    assert all(len(line) <= width for line in body)
    everything = "\n".join(body)
    for row in whole:
        assert [word for word in re.findall(r"\w+", re.split(r" {2,}", row.strip())[0]) if word not in everything] == []
    if words == ("cells",):
        assert hidden == (["from"] if width == 40 else [])


def test_figures_are_never_folded():
    columns = [
        Column("name", ["a" * 50], False),
        Column("figure", ["1234567890"], True),
        Column("more", ["1e-05"], True),
    ]
    for width in range(12, 80):
        shown, hidden = fitted(columns, width)
        assert sum(max(map(len, "\n".join(c.cells).split("\n"))) for c in shown) + 3 * (len(shown) - 1) <= width
        for before, after in zip([c for c in columns if c.heading not in hidden], shown, strict=True):
            assert before.cells == after.cells if before.number else "".join(after.cells[0].split()) == before.cells[0]


def test_what_can_be_spared_goes_first():
    columns = [Column(name, ["123456789"], True) for name in "abcd"]
    assert fitted(columns, 33)[1] == ["d"]
    assert fitted(columns, 33, less=["b"])[1] == ["b"]
    assert fitted(columns, 21, less=["b"])[1] == ["b", "d"]
    assert fitted(columns, 1)[1] == ["b", "c", "d"]
    twins = [columns[0], *[Column("MiB", ["", ""], True)] * 3]
    assert fitted(twins, 18)[1] == ["MiB", "MiB"]
    assert [column.heading for column in fitted(twins, 18)[0]] == ["a", "MiB"]


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("runs/adding-lstm-20261126", 12, ["runs/adding-", "lstm-", "20261126"]),
        ("weight_ih_l0", 8, ["weight_", "ih_l0"]),
        ("1e-05 and -5", 6, ["1e-05", "and -5"]),
        ("a b\nc", 10, ["a b", "c"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("", 5, [""]),
        ("日本語日本語", 6, ["日本語", "日本語"]),
    ],
)
def test_folds(text, width, lines):
    assert fold(text, width).split("\n") == lines


@pytest.mark.parametrize("width", [100, 80, 60])
@pytest.mark.parametrize("words", [("cells", "gru", "--explain"), ("diff", "rnn", "gru", "--no-speed", "--explain")])
def test_what_an_unroller_explains_is_folded(cli, width, words):
    def plain(lines):
        return " ".join(" ".join(lines).split("backend: ", 1)[1].split())

    lines = on_a_terminal(width, *words)
    assert all(len(line) <= width for line in lines)
    assert plain(lines) == plain(cli(*words).stdout.splitlines())


@pytest.mark.parametrize("command", [None, *main.commands])
def test_help_is_no_wider_than_a_terminal(command):
    words = ["--help"] if command is None else [command, "--help"]
    result = CliRunner().invoke(main, words, terminal_width=80)
    assert max(map(len, result.stdout.splitlines())) <= 80


@pytest.mark.parametrize("width", [80, 50])
def test_what_a_task_takes_of_its_data_is_folded(tmp_path, width):
    table = tmp_path / "table.csv"
    table.write_text(
        "date,sales\n" + "".join(f"2020-{1 + k // 28:02}-{1 + k % 28:02},{k % 7}\n" for k in range(28 * 12))
    )
    words = ["run", "--task", "csv", "--set", f"task.file={table}", "--set", "task.window=5", "--unroller", "loop"]
    words += ["--steps", "1", "--hidden", "2", "--quiet", "--out", str(tmp_path / "run")]
    told = CliRunner(env={"COLUMNS": str(width)}).invoke(main, words).stderr
    assert told.startswith("inputs: sales; targets: sales")
    assert len(told.splitlines()) > 1
    assert max(map(len, told.splitlines())) <= width
