"""`rnnkit run --resume`: goes on to the same bits, or says in a line why it does not."""

import signal

import pytest

SMALL = ("--task", "adding", "--hidden", 4, "--seq-len", 5, "--batch", 2, "--steps", 12, "--seed", 4, "--quiet")
EVERYTHING = (
    *("--cell", "lstm", "--layers", 2, "--dropout", 0.3, "--dtype", "bfloat16", "--optimizer", "adamw"),
    *("--weight-decay", 0.01, "--schedule", "plateau", "--warmup", 3, "--average", 0.9, "--accumulate", 2),
    *("--tbptt", "2,4", "--validate-every", 5, "--clip-by", "value"),
)


def left(path):
    """Return what must not depend on whether, and how often, a run was stopped."""
    names = ["config.toml", "metrics.jsonl", "checkpoints/step-000000012/model.safetensors"]
    averaged = path / "checkpoints/step-000000012/averaged.safetensors"
    return [(path / name).read_bytes() for name in names] + [averaged.read_bytes() if averaged.exists() else None]


def stopped_at(step, number=signal.SIGTERM):
    """Return what stands in place of the progress: it sends a signal during a step."""

    def shown(records, task, steps, quiet):
        for record in records:
            if record.step == step:
                signal.raise_signal(number)
            yield record

    return shown


@pytest.fixture
def stop(cli, tmp_path, monkeypatch):
    """Run into the folder "run" and stop after a step."""

    def run(step, *words):
        with monkeypatch.context() as patch:
            patch.setattr("rnnkit.cli.commands.run.shown", stopped_at(step))
            result = cli("run", *SMALL, "--out", tmp_path / "run", *words)
        assert result.exit_code == 143, result.output
        return tmp_path / "run"

    return run


@pytest.mark.parametrize("words", [(), EVERYTHING], ids=["plain", "everything"])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(cli, stop, tmp_path, words):
    assert cli("run", *SMALL, "--out", tmp_path / "whole", *words).exit_code == 0
    run = stop(5, *words)
    result = cli("run", "--resume", run, "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "12 steps in" in result.stdout
    assert left(run) == left(tmp_path / "whole")


def test_it_can_be_stopped_again_while_it_is_resumed(cli, stop, tmp_path, monkeypatch):
    assert cli("run", *SMALL, "--out", tmp_path / "whole").exit_code == 0
    run = stop(3)
    for step in (4, 9, 12):
        with monkeypatch.context() as patch:
            patch.setattr("rnnkit.cli.commands.run.shown", stopped_at(step))
            assert cli("run", "--resume", run, "--quiet").exit_code == 143
    assert left(run) == left(tmp_path / "whole")


def test_the_json_lines_go_on_where_they_were(cli, stop, lines):
    run = stop(5)
    told = lines(cli("run", "--resume", run, "--json").stdout)
    assert [line["step"] for line in told[:7]] == list(range(6, 13))
    assert told[-1]["folder"] == str(run)


@pytest.mark.parametrize("words", [("--hidden", 5), ("--set", "lr=0.5"), ("--seq-len", 6), ("--cell", "gru")], ids=str)
def test_other_settings_are_refused_by_name(cli, stop, words):
    run = stop(5)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    result = cli("run", "--resume", run, *words)
    assert result.exit_code == 2
    name = {"--hidden": "hidden", "--set": "lr", "--seq-len": "task_options", "--cell": "cell"}[words[0]]
    assert f": {name} is " in result.stderr
    assert "a resumed run keeps its settings" in result.stderr
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_its_own_settings_may_be_repeated(cli, stop):
    run = stop(5)
    assert cli("run", "--resume", run, "--config", run / "config.toml", *SMALL).exit_code == 0


def test_settings_of_length_and_safety_may_differ(cli, stop):
    run = stop(5)
    result = cli("run", "--resume", run, "--steps", 14, "--keep", 5, "--save-every", 3, "--quiet")
    assert result.exit_code == 0
    names = [f"step-{step:09d}" for step in (5, 6, 9, 12, 14)]
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == names


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        (("--steps", 5), 2, "has taken 5 steps; to go on, give more than that with --steps"),
        (("--out", "elsewhere"), 2, "--resume writes to the folder of the run; leave --out away"),
        (("--keep", 0), 2, "'--keep': 0"),
    ],
    ids=str,
)
def test_what_cannot_be_done(cli, stop, words, code, fault):
    run = stop(5)
    result = cli("run", "--resume", run, *words)
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert fault in result.stderr


def test_what_is_no_run(cli, tmp_path):
    result = cli("run", "--resume", tmp_path / "nowhere")
    assert (result.exit_code, result.stderr.count("\n")) == (5, 1)
    assert "nowhere is not a folder; give the folder of a run" in result.stderr


def test_a_finished_run(cli, stop, monkeypatch):
    run = stop(5)
    assert cli("run", "--resume", run, "--quiet").exit_code == 0
    result = cli("run", "--resume", run)
    assert result.exit_code == 2
    assert f"{run} has taken 12 steps" in result.stderr


def test_a_damaged_checkpoint_is_told_in_a_line(cli, stop):
    run = stop(5, "--save-every", 2)
    newest = run / "checkpoints" / "step-000000005" / "model.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    result = cli("run", "--resume", run, "--quiet")
    assert result.exit_code == 0
    assert result.stderr.startswith(f"rnnkit: {newest} is not what its manifest describes")
    assert result.stderr.endswith("going on from an earlier checkpoint\n")
    assert result.stderr.count("\n") == 1
