"""`rnnkit compare`: a row a run, columns for what differs, and pictures that show every run."""

import importlib.util
import re

import matplotlib.image
import numpy as np
import pytest

from rnnkit.runs.comparison import compare
from rnnkit.runs.comparison_plot import POINTS, _thinned

from .printed_table import rows

ADDING = {"task": "adding"}


def refused(result, code):
    assert result.exit_code == code
    assert result.stdout == ""
    assert re.fullmatch(r"rnnkit: .*\n", result.stderr)
    return result.stderr


def test_a_row_a_run_in_the_order_given(cli, past_run):
    second = past_run("second", [3.0, 2.0], {1: 2.5, 2: 2.25}, [0.5, 2.0], **ADDING)
    first = past_run("first", [3.0, 2.0, 1.0], {2: 0.5, 3: 0.0000123}, [0.25, 0.5, 1.5], **ADDING, cell="gru")
    result = cli("compare", second, first)
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    assert result.stdout.startswith("adding: MSE, lower is better\n")
    headings, *found = rows(result.stdout)
    assert headings == [
        *("run", "cell", "parameters", "steps", "tokens", "seconds", "tokens/s", "last", "best", "at step")
    ]
    assert found == [
        ["second", "lstm", "2", "200", "2.0", "100", "2.2500", "2.2500", "2"],
        ["first", "gru", "3", "300", "1.5", "200", "1.230e-05", "1.230e-05", "3"],
    ]


def test_only_settings_that_differ_have_a_column(cli, past_run, lines):
    wide = past_run("wide", [1.0], **ADDING, hidden=256, tbptt=[2, 4], cell_options={"bias": False})
    narrow = past_run("narrow", [1.0], **ADDING, hidden=64, task_options={"seq_len": 50}, cell_options={"bias": False})
    headings, *found = rows(cli("compare", wide, narrow).stdout)
    assert headings[1:5] == ["hidden", "tbptt", "task.seq_len", "parameters"]
    assert found[0][:3] == ["wide", "256", "2,4"]
    assert found[1][:3] == ["narrow", "64", "50"]
    told = lines(cli("compare", wide, narrow, "--json").stdout)
    assert [line["differing"] for line in told] == [
        {"hidden": 256, "tbptt": [2, 4], "task.seq_len": None},
        {"hidden": 64, "tbptt": [], "task.seq_len": 50},
    ]


def test_how_safely_a_run_is_kept_is_no_setting_of_its_figures(cli, past_run, lines, tmp_path):
    kept = {"save_every": 7, "keep": 5, "keep_data": 0, "inspect_every": 50}
    folders = past_run("one", [1.0], **ADDING, hidden=64), past_run("two", [1.0], **ADDING, hidden=32, **kept)
    told = cli("compare", *folders).stdout
    assert rows(told)[0][1:3] == ["hidden", "parameters"]
    said = "every other setting at its default (but inspect_every, save_every, keep, keep_data, on which no figure"
    assert said in " ".join(told.split())
    assert cli("compare", *folders, "--plot", tmp_path / "c.svg").exit_code == 0
    assert "save_every" not in (tmp_path / "c.svg").read_text()
    first, second = lines(cli("compare", *folders, "--json").stdout)
    assert second["differing"] == {"hidden": 32, **kept}
    assert (first["settings"]["save_every"], second["settings"]["keep_data"]) == (100, 0)


def test_the_best_is_the_highest_where_higher_is_better(cli, past_run, lines):
    accuracy = past_run("up", [0.1] * 4, {1: 0.5, 2: 0.75, 4: 0.625}, task="digits")
    (told,) = lines(cli("compare", accuracy, "--json").stdout)
    assert (told["last"], told["best"], told["best_step"]) == (0.625, 0.75, 2)
    assert "digits: accuracy, higher is better" in cli("compare", accuracy).stdout


def test_json(cli, past_run, lines):
    folder = past_run("mine", [3.0, 2.0, 4.0], {1: 3.0, 2: 2.0, 3: float("nan")}, [0.5], **ADDING, steps=10)
    (told,) = lines(cli("compare", folder, "--json").stdout)
    assert told.pop("settings")["hidden"] == 128
    assert told == {
        "event": "run",
        "run": "mine",
        "folder": str(folder),
        "task": "adding",
        "cell": "lstm",
        "differing": {},
        "parameters": None,
        "steps": 3,
        "tokens": 300,
        "seconds": 0.5,
        "tokens_per_second": 200.0,
        "metric": "MSE",
        "last": None,
        "best": 2.0,
        "best_step": 2,
    }


def test_a_run_that_is_under_way_or_has_not_begun(cli, past_run):
    begun, new = past_run("begun", [3.0, 2.0], **ADDING, steps=500), past_run("new", [], **ADDING, steps=500)
    _, *found = rows(cli("compare", begun, new).stdout)
    assert found == [["begun", "2 of 500", "200"], ["new", "0 of 500", "0"]]


def test_two_folders_of_one_name_are_told_by_their_paths(cli, past_run, lines):
    runs = [past_run(name, [1.0], **ADDING) for name in ("a/run", "b/run", "c")]
    told = [line for line in lines(cli("compare", *runs, "--json").stdout) if line["event"] == "run"]
    assert [line["run"] for line in told] == [str(path) for path in runs]


def test_parameters_have_a_column(cli, past_run):
    one, unknown = past_run("one", [1.0], **ADDING), past_run("unknown", [1.0], **ADDING, hidden=9)
    (one / "env.json").write_text('{"parameters": 1234567}')
    headings, first, second = rows(cli("compare", one, unknown).stdout)
    at = headings.index("parameters")
    assert first[at] == "1,234,567"
    assert second[at] == "1"  # its steps: what is not known is left empty


def test_what_is_the_same_in_all_is_said_once(cli, past_run):
    runs = [
        past_run(name, [1.0], **ADDING, cell=name, clip=0.5, task_options={"seq_len": 9}) for name in ("gru", "rnn")
    ]
    *_, last = cli("compare", *runs).stdout.splitlines()
    assert last == (
        "the same in all: steps 1, hidden 128, layers 1, batch 32, optimizer adam, lr 0.001, clip 0.5, task.seq_len 9, "
        "every other setting at its default"
    )
    assert "the same in all" not in cli("compare", runs[0]).stdout


def test_runs_of_several_tasks_have_a_table_each(cli, past_run):
    chars, first, second = past_run("chars", [1.0]), past_run("first", [1.0], **ADDING), past_run("second", [1.0])
    shown = cli("compare", chars, first, second).stdout
    characters, adding = shown.split("\n\nadding: MSE, lower is better\n")
    assert characters.startswith("chars: bits per character, lower is better\n")
    assert [row[0] for row in rows(characters)] == ["run", "chars", "second"]
    assert [row[0] for row in rows(adding)] == ["run", "first"]


def test_runs_of_several_tasks_are_not_drawn(cli, past_run, tmp_path):
    runs = past_run("chars", [1.0]), past_run("adding", [1.0], **ADDING)
    line = refused(cli("compare", *runs, "--plot", tmp_path / "both.png"), 2)
    assert "both.png: the runs are of several tasks (chars, adding); give runs of one" in line
    assert not (tmp_path / "both.png").exists()


def test_what_is_no_run_is_named(cli, past_run, tmp_path):
    good = past_run("good", [1.0])
    assert "nowhere is not a folder" in refused(cli("compare", good, tmp_path / "nowhere"), 5)
    with (good / "metrics.jsonl").open("a") as file:
        file.write("nonsense\n")
    assert f"{good / 'metrics.jsonl'}, line 2: not a JSON object" in refused(cli("compare", good), 5)
    assert "Missing argument 'RUN...'" in refused(cli("compare"), 2)


def test_a_task_that_is_not_known_here(cli, past_run):
    assert "unknown task 'addng' (did you mean 'adding'?)" in refused(
        cli("compare", past_run("a", [], task="addng")), 2
    )


def falling(steps, end=1.5, rate=0.05):
    return [end + 4 * float(np.exp(-rate * step)) for step in range(steps)]


def strokes(svg):
    """Return the colours that lines and dots of an SVG are drawn in."""
    return set(re.findall(r"#[0-9a-f]{6}", svg.read_text()))


@pytest.mark.parametrize("count", [1, 2, 6, 14])
def test_every_run_is_drawn_and_named(cli, past_run, tmp_path, count):
    for k in range(count):
        curve = falling(150, 1 + k / 4)
        past_run(f"run{k}", curve, {150: curve[-1]}, [0.01 * (k + 1) * step for step in range(1, 151)], seed=k)
    runs = [tmp_path / f"run{k}" for k in range(count)]
    for path in (tmp_path / "runs.svg", tmp_path / "runs.png"):
        assert cli("compare", *runs, "--plot", path).exit_code == 0
    picture = matplotlib.image.imread(tmp_path / "runs.png")
    assert picture[..., :3].std() > 0.05
    text = (tmp_path / "runs.svg").read_text()
    comments = re.findall(r"<!-- (.*?) -->", text)
    assert {"steps", "tokens", "seconds", "bits per character", "training", "validation"} <= set(comments)
    assert [name for name in comments if name.startswith("run")] == [
        f"run{k}" + (f" (seed {k})" if count > 1 else "") for k in range(count)
    ]
    # A colour a run, beside black, white, greys.
    assert (
        len({colour for colour in strokes(tmp_path / "runs.svg") if len({*colour[1::2], *colour[2::2]}) > 2}) >= count
    )


def test_without_times_there_is_no_panel_of_seconds(cli, past_run, tmp_path):
    path = tmp_path / "plot.svg"
    assert cli("compare", past_run("mine", falling(20)), "--plot", path).exit_code == 0
    assert "<!-- tokens -->" in path.read_text()
    assert "<!-- seconds -->" not in path.read_text()


@pytest.mark.parametrize(
    ("metrics", "logarithmic"),
    [
        ([1.0, 0.1, 0.011], False),
        ([1.0, 0.1, 0.009], True),
        ([1.0, 0.0, 0.001], False),
        ([1.0, -1.0, 0.001], False),
        ([1.0], False),
        ([2.0, 2.0], False),
        ([], False),
        ([float("nan"), 1.0, float("nan")], False),
    ],
    ids=str,
)
def test_the_axis_is_logarithmic_beyond_two_decades(cli, past_run, tmp_path, metrics, logarithmic):
    path = tmp_path / "plot.svg"
    result = cli("compare", past_run("mine", metrics, {1: 1.0} if metrics else None, **ADDING), "--plot", path)
    assert result.exit_code == 0, result.stderr
    assert ("<!-- $\\mathdefault{10^{-1}}$ -->" in path.read_text()) == logarithmic


@pytest.mark.parametrize("count", [1, POINTS - 1, POINTS, POINTS + 1, 3 * POINTS + 7])
def test_thinning_keeps_the_mean_and_the_order(count):
    xs, ys = np.arange(count) + 1.0, np.random.default_rng(0).normal(size=count)
    found_xs, found_ys = _thinned(xs, ys)
    assert len(found_xs) == len(found_ys) <= POINTS
    assert (np.diff(found_xs) > 0).all()
    size = -(-count // POINTS)
    assert found_ys[0] == pytest.approx(ys[:size].mean())
    assert found_ys[-1] == pytest.approx(ys[(len(found_ys) - 1) * size :].mean())
    broken = np.append(ys, np.nan), np.append(xs, np.inf)
    assert np.array_equal(_thinned(np.append(xs, count + 1), broken[0])[1], found_ys)
    assert np.array_equal(_thinned(broken[1], np.append(ys, 0.0))[1], found_ys)


@pytest.mark.parametrize(
    ("name", "code", "fault"),
    [
        ("plot.pdf", 2, "it must end in .png or .svg"),
        ("missing/plot.png", 2, "there is no folder"),
        ("folder.png", 8, "folder.png cannot be written: Is a directory"),
    ],
)
def test_a_plot_that_cannot_be_drawn(cli, past_run, tmp_path, name, code, fault):
    (tmp_path / "folder.png").mkdir()
    result = cli("compare", past_run("mine", [1.0]), "--plot", tmp_path / name)
    assert result.exit_code == code
    assert fault in result.stderr
    assert result.stderr.count("\n") == 1


def test_without_matplotlib(cli, past_run, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr("rnnkit.support.figures.find_spec", lambda name: None if name == "matplotlib" else found(name))
    line = refused(cli("compare", past_run("mine", [1.0]), "--plot", tmp_path / "plot.png"), 2)
    assert line == "rnnkit: --plot needs matplotlib; pip install 'rnnkit[plot]'\n"


def test_speed_is_up_to_the_last_time_known(past_run):
    folder = past_run("mine", [1.0] * 4, times=[1.0, 2.0], **ADDING)
    ((run,),) = [comparison.runs for comparison in compare([folder])]
    assert (run.tokens, run.seconds, run.speed) == (400, 2.0, 100.0)
