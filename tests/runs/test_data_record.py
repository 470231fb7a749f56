"""What a run keeps of its data: later data change nothing of its task, and a line says what could not be kept."""

import json
from pathlib import Path

import pytest
import torch

import rnnkit
from rnnkit.errors import CheckpointError, DataError, UsageError
from rnnkit.runs.data_record import DATA, DataRecord, check_data, kept_task
from rnnkit.runs.folder import RunWriter, open_run
from rnnkit.runs.settings import Settings

PANGRAM = "The quick brown fox jumps over the lazy dog, again. "


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(PANGRAM * 20)
    return path


@pytest.fixture
def run(text, tmp_path):
    """Return the folder of a run of two steps on the text."""
    options = {"text": str(text), "seq_len": 8}
    settings = Settings(hidden=4, batch=2, steps=2, task_options=options, unroller="loop", keep_data=0)
    task = settings.make_task()
    training = settings.make_training(settings.make_model(task), task)
    with RunWriter(tmp_path / "run", settings) as folder:
        assert len(list(folder.recording(training))) == 2
    return tmp_path / "run"


def test_it_holds_what_the_task_says(run, text):
    task = rnnkit.tasks["chars"](text=str(text), seq_len=8)
    held = json.loads((run / DATA).read_text())
    assert held["state"] == task.data_state()
    assert held["state"]["alphabet"] == "".join(sorted(set(PANGRAM)))
    assert (held["task"], held["fingerprint"], held["summary"]) == ("chars", task.fingerprint(), "")
    assert DataRecord.read(run) == DataRecord.of(task)


def test_a_model_is_opened_where_its_data_are_not(run, text):
    _, task, model = open_run(run)
    before = [rnnkit.evaluate(model, task), rnnkit.evaluate(model, task, task.test())]
    moved = text.rename(text.with_name("moved.txt"))
    _, task, model = open_run(run)
    assert task.sample(task.prompt("dog")) == "dog"
    with pytest.raises(DataError, match="does not exist"):
        rnnkit.evaluate(model, task)
    _, task, model = open_run(run, files={"text": str(moved)})
    assert [rnnkit.evaluate(model, task), rnnkit.evaluate(model, task, task.test())] == before


def test_a_longer_text_is_judged_where_it_was_and_said(run, text, caplog):
    _, task, model = open_run(run)
    before = rnnkit.evaluate(model, task)
    text.write_text(text.read_text() * 2)
    _, task, model = open_run(run)
    assert rnnkit.evaluate(model, task) == before
    assert caplog.messages == [f"{text} has 1040 characters more than when the run was made; they are left out"]


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (PANGRAM * 10, "has 520 characters, 1040 when the run was made; give back that text"),
        (PANGRAM * 20 + "é", "has 'é', which the text that the run learnt from lacks; give back that text"),
    ],
    ids=["shorter", "another character"],
)
def test_a_text_that_does_not_fit(run, text, monkeypatch, large, content, sentence):
    monkeypatch.setattr("rnnkit_tasks.text.symbols.LARGE", 0 if large else 2**24)
    text.write_text(content)
    _, task, _ = open_run(run)
    with pytest.raises(DataError, match=sentence):
        next(task.validation())


def test_fewer_characters_keep_their_symbols(run, text):
    """A text without some of the alphabet gives the symbols that the model has learnt."""
    _, task, _ = open_run(run)
    symbols = next(task.validation()).xs
    text.write_text(text.read_text().replace("q", "z"))
    _, task, _ = open_run(run)
    assert (task.input_size, task.alphabet) == (30, "".join(sorted(set(PANGRAM))))
    now = next(task.validation()).xs
    changed = symbols != now
    assert set(task.sample(symbols[changed])) == {"q"}
    assert set(task.sample(now[changed])) == {"z"}


def test_changed_data_are_told(run, text, caplog):
    settings, task, _ = open_run(run)
    check_data(run, settings, task)
    assert caplog.messages == []
    text.write_text(text.read_text().replace("dog", "fox"))
    settings, task, _ = open_run(run)
    check_data(run, settings, task)
    (line,) = caplog.messages
    assert line.startswith(f"the data of task 'chars' have changed since {run} learnt from them; they are judged by ")


def test_a_run_that_kept_nothing_is_opened_with_a_line(run, caplog):
    (run / DATA).unlink()
    _, task, _ = open_run(run)
    (line,) = caplog.messages
    assert line == (
        f"{run} has no {DATA}: what task 'chars' takes from its data (scale, columns or alphabet) is computed anew"
    )
    assert task.alphabet == "".join(sorted(set(PANGRAM)))


def test_a_task_without_a_state_says_nothing(tmp_path, caplog):
    kept_task(tmp_path, Settings(task="adding"))
    assert caplog.messages == []


DAMAGES = {
    "cut off": (lambda text: text[: len(text) // 2], "is not readable"),
    "no object": (lambda text: "[]", "is not what was written"),
    "another alphabet": (lambda text: text.replace('"alphabet": "', '"alphabet": "\\t'), "sha256 differs"),
    "no number": (lambda text: text.replace('"length": 1040', '"length": NaN'), "NaN is not a finite number"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_record(run, kind):
    change, sentence = DAMAGES[kind]
    path = run / DATA
    changed = change(path.read_text())
    assert changed != path.read_text()
    path.write_text(changed)
    with pytest.raises(CheckpointError, match=sentence) as refused:
        open_run(run)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "state",
    [
        {},
        {"alphabet": "ba", "length": 1040, "beginning": 0},
        {"alphabet": "ab", "length": 1040, "beginning": 2},
        {"alphabet": "ab", "length": "x", "beginning": 0},
        {"alphabet": 3, "length": 1040, "beginning": 0},
    ],
    ids=str,
)
def test_a_record_that_is_another_task_s(run, state):
    (run / DATA).write_bytes(DataRecord("chars", "", "", state).to_json())
    with pytest.raises(CheckpointError, match=r"data\.json does not fit task 'chars' \(.*\); put a copy back"):
        open_run(run)


def test_a_state_that_is_no_json():
    with pytest.raises(UsageError, match=r"task 'odd': data_state\(\) is not JSON \(TypeError"):
        DataRecord("odd", "", "", {"tensor": torch.zeros(1)}).to_json()


def test_what_is_no_file_of_the_task_s(run):
    with pytest.raises(UsageError, match=r"task\.seq_len: of a finished run only .*: task\.text"):
        open_run(run, files={"seq_len": 3})


def test_the_command_says_where_a_file_is_now(run, text, cli):
    before = cli("eval", run, "--json").stdout
    moved = Path(text.rename(text.with_name("moved.txt")))
    gone = cli("eval", run)
    assert (gone.exit_code, gone.stdout, gone.stderr.count("\n")) == (6, "", 1)
    assert f"{text}, the data of {run}, is gone; say where it is now with --set task.text=FILE" in gone.stderr
    for word in ("task.text", "text"):
        found = cli("eval", run, "--json", "--set", f"{word}={moved}")
        assert (found.stdout, found.stderr) == (before, "")
    assert cli("sample", run, "--length", 3).exit_code == 0
    assert cli("export", run).exit_code == 0
    assert cli("eval", run, "--set", "cell.bias=1").exit_code == 2


def test_a_run_goes_on_with_a_file_that_has_moved(run, text, cli):
    moved = text.rename(text.with_name("moved.txt"))
    gone = cli("run", "--resume", run, "--steps", 4)
    assert (gone.exit_code, gone.stderr.count("\n")) == (6, 1)
    assert "is gone; say where it is now with --set task.text=FILE" in gone.stderr
    done = cli("run", "--resume", run, "--steps", 4, "--quiet", "--set", f"task.text={moved}")
    assert (done.exit_code, done.stderr) == (0, "")
    assert open_run(run)[0].task_options["text"] == str(moved)
    moved.write_text(moved.read_text().replace("dog", "fox"))
    other = cli("run", "--resume", run, "--steps", 6)
    assert other.exit_code == 6
    assert "the data of task 'chars' have changed" in other.stderr


def test_an_older_run_that_is_resumed_keeps_its_state_from_then_on(run, cli):
    (run / DATA).unlink()
    assert cli("run", "--resume", run, "--steps", 4, "--quiet").exit_code == 0
    assert DataRecord.read(run).state["length"] == 1040
