"""`rnnkit sample`: a finished run writes text; a damaged one is refused with exit 5."""

import signal
import subprocess
import sys
from itertools import product

import pytest
import torch

from rnnkit.runs.folder import open_run
from rnnkit.training.sampling import generate

from ..slow_cases import slow_but


def one_line(result, code):
    """Check the exit code and that stderr is one line of rnnkit's; give it."""
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.startswith("rnnkit: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def test_writes_the_length_asked_for(run, cli, text):
    result = cli("sample", run, "--length", 40)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert len(result.stdout) == 41
    assert set(result.stdout[:-1]) <= set(text.read_text())


def test_a_prompt_comes_first(run, cli):
    result = cli("sample", run, "--prompt", "The dog", "--length", 10)
    assert result.stdout.startswith("The dog")
    assert len(result.stdout) == len("The dog") + 11


def test_a_prompt_matters(run, cli):
    first, second = (cli("sample", run, "--prompt", p, "--length", 60).stdout[7:] for p in ("The dog", "fox fox"))
    assert first != second


@pytest.mark.slow
def test_the_best_one_may_write_in_place_of_the_newest(past_its_best, cli):
    best, newest = open_run(past_its_best, best=True)[2], open_run(past_its_best)[2]
    assert not torch.equal(best.readout.weight, newest.readout.weight)
    task = open_run(past_its_best)[1]
    for model, words in ((best, ["--best", "--device", "cpu"]), (newest, [])):
        expected = task.sample(generate(model, task.prompt(""), 40, temperature=1.0, seed=3))
        told = cli("sample", past_its_best, "--length", 40, "--temperature", 1, "--seed", 3, *words).stdout
        assert told == f"{expected}\n"
    assert "'nowhere'" in cli("sample", past_its_best, "--device", "nowhere").stderr


def test_draws_depend_on_the_seed_alone(run, cli):
    first, again, other = (cli("sample", run, "--length", 60, "--seed", seed).stdout for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_temperature_0_does_not_draw(run, cli):
    cold = {cli("sample", run, "--length", 60, "--temperature", 0, "--seed", seed).stdout for seed in (1, 2, 3)}
    assert len(cold) == 1


def test_json(run, cli, lines):
    (told,) = lines(cli("sample", run, "--length", 20, "--prompt", "dog", "--json", "--seed", 4).stdout)
    assert told["prompt"] == "dog"
    assert len(told["text"]) == 20
    assert told["seed"] == 4
    assert cli("sample", run, "--length", 20, "--prompt", "dog", "--seed", 4).stdout == f"dog{told['text']}\n"


def test_the_text_is_that_of_generate(run, cli):
    _, task, model = open_run(run)
    drawn = generate(model, task.prompt("dog"), 80, temperature=0.7, seed=3)
    result = cli("sample", run, "--prompt", "dog", "--length", 80, "--seed", 3)
    assert result.stdout == f"dog{task.sample(drawn)}\n"


@pytest.mark.parametrize("length", slow_but([10**30], [100_000_000, 10**30]), ids=str)
@pytest.mark.slow
def test_a_reader_of_an_endless_text_may_leave(run, length):
    command = [sys.executable, "-m", "rnnkit", "sample", str(run), "--length", str(length), "--prompt", "dog"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sampling:
        assert sampling.stdout.read(200).startswith("dog")
        sampling.stdout.close()
        assert sampling.wait(timeout=20) == 0
        assert sampling.stderr.read() == ""


def test_an_endless_text_is_ended_by_a_signal(run):
    command = [sys.executable, "-m", "rnnkit", "sample", str(run), "--length", "100000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as sampling:
        assert len(sampling.stdout.read(100)) == 100
        sampling.send_signal(signal.SIGTERM)
        _, error = sampling.communicate(timeout=20)
    assert (sampling.returncode, error) == (143, "rnnkit: terminated\n")


def test_a_run_may_be_moved(run, cli, tmp_path):
    before = cli("sample", run).stdout
    assert cli("sample", run.rename(tmp_path / "elsewhere")).stdout == before


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--prompt", "dog é"), "the text has 'é'"),
        (("--temperature", "nan"), "nan"),
        (("--temperature", "inf"), "inf"),
        (("--temperature", -1), "-1"),
        (("--length", 0), "0"),
        (("--seed", -1), "-1"),
    ],
    ids=str,
)
def test_bad_options(run, cli, words, fault):
    assert fault in one_line(cli("sample", run, *words), 2)


def test_a_run_without_text(train, cli, tmp_path):
    assert train("--task", "adding").exit_code == 0
    assert "task 'adding'" in one_line(cli("sample", tmp_path / "run"), 2)


@pytest.mark.parametrize("words", [(), ("--prompt", "The fox")], ids=str)
def test_a_text_that_has_gone_or_is_another_does_not_matter(run, cli, text, words):
    before = cli("sample", run, *words).stdout
    text.write_text("ab" * 2000)
    assert cli("sample", run, *words).stdout == before
    text.unlink()
    assert cli("sample", run, *words).stdout == before


def test_the_line_ends_of_a_prompt_are_those_of_the_text(train, text, cli, tmp_path):
    text.write_bytes(text.read_bytes().replace(b". ", b".\r\n"))
    assert train("--text", text).exit_code == 0
    told = [cli("sample", tmp_path / "run", "--prompt", f"dog.{end}The").stdout for end in ("\n", "\r\n", "\r")]
    assert [answer.partition("The")[2] for answer in told] == [told[0].partition("The")[2]] * 3


@pytest.mark.parametrize("made", ["nothing", "an empty folder", "a file"])
def test_what_is_no_run(cli, tmp_path, made):
    path = tmp_path / "no-run"
    if made == "an empty folder":
        path.mkdir()
    elif made == "a file":
        path.write_text("mine")
    assert str(path) in one_line(cli("sample", path), 5)


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def empty(path):
    path.write_bytes(b"")


def put_a_folder_there(path):
    path.unlink()
    path.mkdir()


def pickle(path):
    path.write_bytes(b"\x80\x04\x95")


def remove(path):
    path.unlink()


FOLDER = "checkpoints/step-000000003"
CHECKPOINT = [f"{FOLDER}/model.safetensors", f"{FOLDER}/training.safetensors", f"{FOLDER}/manifest.json"]


@pytest.mark.covering(1)
@pytest.mark.parametrize(
    ("file", "damage"),
    [
        *product(CHECKPOINT, [empty, put_a_folder_there, pickle, remove]),
        *product(["config.toml"], [put_a_folder_there, pickle, remove]),
    ],
)
def test_a_damaged_file_is_named(run, cli, damage, file):
    damage(run / file)
    assert str(run / file) in one_line(cli("sample", run), 5)


@pytest.mark.parametrize(("file", "damage"), [*product(CHECKPOINT[:2], [flip_a_bit, cut])])
def test_damaged_tensors_are_noticed(run, cli, file, damage):
    damage(run / file)
    assert "damaged" in one_line(cli("sample", run), 5)


def test_of_a_damaged_checkpoint_the_one_before_is_taken(train, cli, text, tmp_path):
    assert train("--text", text, "--save-every", 1, "--lr", 0.3).exit_code == 0
    run = tmp_path / "run"
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == ["step-000000002", "step-000000003"]
    newest = cli("sample", run).stdout
    flip_a_bit(run / CHECKPOINT[0])
    result = cli("sample", run)
    assert result.exit_code == 0
    assert result.stdout != newest
    assert result.stderr.startswith("rnnkit: ")
    assert result.stderr.endswith("is damaged; taking an earlier checkpoint\n")


def test_a_run_without_checkpoints(run, cli):
    for path in (run / FOLDER).iterdir():
        path.unlink()
    (run / FOLDER).rmdir()
    assert f"{run} has no checkpoint yet; train it: rnnkit run --resume {run}" in one_line(cli("sample", run), 5)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("hidden = 8", "hidden = 9", 5),
        ("hidden = 8", 'hidden = "eight"', 5),
        ("hidden = 8", "hiden = 8", 5),
        ('dtype = "float32"', 'dtype = "float8"', 5),
        ('cell = "lstm"', "cell = 3", 5),
        ("[task_options]", "[task_option]", 5),
        ("layers = 1", "layers = 0", 5),
        ("seq_len = 16", "seq_len = 0", 2),
        ('cell = "lstm"', 'cell = "lsmt"', 2),
    ],
)
def test_a_configuration_that_does_not_fit(run, cli, old, new, code):
    config = run / "config.toml"
    config.write_text(config.read_text().replace(old, new))
    assert new in config.read_text()
    one_line(cli("sample", run), code)


def test_an_empty_configuration(run, cli):
    empty(run / "config.toml")
    one_line(cli("sample", run), 5)
