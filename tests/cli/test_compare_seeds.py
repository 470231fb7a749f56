"""`rnnkit compare`: runs that differ in their seed alone, and every digit on a narrow terminal."""

import pytest
from click.testing import CliRunner

from rnnkit.cli import main

from .printed_table import rows

ADDING = {"task": "adding"}


def table_over_seeds(text):
    """Return the rows of the table of groups."""
    return rows(text[: text.index("each run")])


def three_seeds(past_run, **settings):
    """Write runs that differ in their seed alone; at the end 0.0030, 0.0034 and 0.0041."""
    ends = {0: 0.003, 1: 0.0034, 2: 0.0041}
    return [
        past_run(f"gru-{seed}", [1.0, 0.5], {1: 0.5, 2: end}, [0.5, 1.0], **ADDING, cell="gru", seed=seed, **settings)
        for seed, end in ends.items()
    ]


def test_runs_that_differ_in_their_seed_share_a_row(cli, past_run):
    alone = past_run("lstm", [1.0, 0.5], {2: 0.25}, **ADDING)
    headings, *found = table_over_seeds(cli("compare", *three_seeds(past_run), alone).stdout)
    assert headings == ["cell", "parameters", "seeds", "last", "best"]
    mean = "0.003500 ± 0.00056"  # of 0.0030, 0.0034, 0.0041: 0.0035, and sqrt((25 + 1 + 36) / 2) = 5.57
    assert found == [["gru", "3", mean, mean], ["lstm", "1", "0.2500", "0.2500"]]


def test_a_group_in_json(cli, past_run, lines):
    *single, group = lines(cli("compare", *three_seeds(past_run), "--json").stdout)
    assert [line["event"] for line in single] == ["run"] * 3
    assert (group["event"], group["runs"], group["seeds"]) == ("group", ["gru-0", "gru-1", "gru-2"], [0, 1, 2])
    assert group["left_out"] == []
    assert group["differing"] == {}
    assert group["last"]["mean"] == pytest.approx(0.0035)
    assert group["last"]["deviation"] == pytest.approx(31**0.5 * 1e-4)
    assert (group["last"]["least"], group["last"]["most"]) == (0.003, 0.0041)
    assert group["best"] == group["last"]


def test_runs_of_other_settings_are_no_group(cli, past_run, lines):
    runs = [past_run(f"{seed}", [1.0], **ADDING, seed=seed, lr=0.01 * (seed + 1)) for seed in range(2)]
    result = cli("compare", *runs)
    assert "over seeds" not in result.stdout
    assert [line["event"] for line in lines(cli("compare", *runs, "--json").stdout)] == ["run", "run"]


def test_how_a_run_is_kept_makes_no_group_of_its_own(cli, past_run, lines):
    runs = [
        past_run(f"{seed}", [1.0], {1: 1.0}, **ADDING, seed=seed, save_every=seed, keep=1 + seed) for seed in (1, 2)
    ]
    *_, group = lines(cli("compare", *runs, "--json").stdout)
    assert group["counted"] == ["1", "2"]


def test_what_would_spoil_a_mean_is_left_out_and_said(cli, past_run, lines):
    done = three_seeds(past_run)
    more = {"cell": "gru", **ADDING, "steps": 2}
    behind = past_run("behind", [1.0], {1: 0.5}, seed=3, **more)
    again = past_run("again", [1.0, 0.5], {2: 9.0}, seed=1, **more)
    broken = past_run("broken", [1.0, 0.5], {2: float("nan")}, seed=4, **more)
    reasons = [
        "behind is at step 1, others at 2",
        "again has seed 1, as gru-1 has",
        "broken has no figure at its end",
    ]
    result = cli("compare", *done, behind, again, broken)
    assert [line for line in result.stdout.splitlines() if line.startswith("not in a mean")] == [
        f"not in a mean: {reason}" for reason in reasons
    ]
    *_, group = lines(cli("compare", *done, behind, again, broken, "--json").stdout)
    assert group["left_out"] == reasons
    assert group["counted"] == ["gru-0", "gru-1", "gru-2"]
    assert group["last"]["mean"] == pytest.approx(0.0035)


def test_runs_that_ended_early_by_themselves_are_counted(cli, past_run, lines):
    runs = [
        past_run(f"{seed}", [1.0] * (seed + 1), {seed + 1: 0.5}, **ADDING, seed=seed, steps=9, patience=1)
        for seed in range(2)
    ]
    *_, group = lines(cli("compare", *runs, "--json").stdout)
    assert (group["counted"], group["left_out"]) == (["0", "1"], [])


@pytest.mark.parametrize("columns", [130, 80, 50, 34])
def test_a_narrow_terminal_shows_fewer_columns_and_every_digit(past_run, columns):
    runs = [
        past_run(f"adding{seed}", [0.0034] * 3200, {3200: 0.00341234}, **ADDING, seed=seed, lr=0.00031)
        for seed in range(2)
    ]
    runs.append(past_run("adding", [0.0034] * 3200, {3200: 0.003}, **ADDING, lr=0.001))
    for run in runs:
        (run / "env.json").write_text('{"parameters": 67585}')
    words = ["compare", *map(str, runs)]
    shown = CliRunner(env={"COLUMNS": str(columns)}).invoke(main, words).stdout
    assert max(map(len, shown.splitlines())) <= columns
    assert ("columns hidden for want" in " ".join(shown.split())) == (columns < 130)
    whole = {"0.003412", "0.003000", "±", "0", "1", "2", "3200", "320,000", "67,585", "0.00031", "0.001"}
    for table in (shown[: shown.index("each run")], shown[shown.index("each run") :]):
        _, *found = rows(table)
        cells = " ".join(cell for row in found for cell in row if not cell.startswith("adding")).split()
        assert {"0.003412", "0.003000"} <= set(cells) <= whole


@pytest.mark.parametrize(
    ("ends", "shown"),
    [
        ((1.0, 1.0), "1.0000 ± 0"),
        ((0.0001, 0.0002), "1.500e-04 ± 7.1e-05"),
        ((2.0, 4.0), "3.0000 ± 1.4"),
        ((1000.0, 3000.0), "2000.0000 ± 1414"),
        ((0.5, 0.50001), "0.5000 ± 7.1e-06"),
    ],
    ids=str,
)
def test_a_deviation_has_two_digits_at_least(cli, past_run, ends, shown):
    runs = [past_run(f"{seed}", [1.0], {1: end}, **ADDING, seed=seed) for seed, end in enumerate(ends)]
    _, row = table_over_seeds(cli("compare", *runs).stdout)
    assert row[-2:] == [shown, shown]
