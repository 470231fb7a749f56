"""`--tokens`: a run over characters, bytes or words, from training to a sample and a file."""

import random

import pytest

import rnnkit
from rnnkit.runs.history import read_history

from .test_sample import one_line

WORDS = ["the", "dog", "ran", ".", "cat", "sat", "fox", "jumps", "over", "lazy", "quick", "brown", "and", "then"]
UNIT = {"char": "character", "byte": "byte", "word": "word"}


@pytest.fixture
def text(tmp_path):
    """Return a text of 900 words in 13 kinds and lines of nine."""
    draw = random.Random(0)
    path = tmp_path / "text.txt"
    lines = [" ".join(draw.choices(WORDS, k=9)) + "\n" for _ in range(100)]
    path.write_text("".join(lines))
    return path


@pytest.fixture
def over(train, text, cli, tmp_path):
    """Train over tokens: over("word") -> the folder of the run, and what it said."""

    def run(tokens, *words):
        done = train("--text", text, "--tokens", tokens, "--lr", 0.3, "--unroller", "loop", *words)
        assert done.exit_code == 0, done.output
        return (tmp_path / "run").rename(tmp_path / tokens), done

    return run


@pytest.mark.parametrize("tokens", UNIT)
def test_a_run_is_told_judged_sampled_and_exported_in_its_own_tokens(over, cli, text, lines, tokens):
    folder, done = over(tokens)
    assert f"bits per {UNIT[tokens]}" in done.stdout
    assert ("words: all" in done.stderr) == (tokens == "word")
    assert "a sample of its text" in done.stdout
    text.unlink()
    sample = cli("sample", folder, "--prompt", "the dog", "--length", 20, "--seed", 3)
    assert (sample.exit_code, sample.stderr) == (0, "")
    task, model = rnnkit.open_run(folder)[1:]
    drawn = rnnkit.generate(model, task.prompt("the dog"), 20, temperature=0.7, seed=3)
    assert sample.stdout == f"the dog{task.sample(drawn)}\n"
    (told,) = lines(cli("sample", folder, "--length", 20, "--json").stdout)
    assert told["text"] in cli("sample", folder, "--length", 20).stdout
    told = rnnkit.load(folder).export(folder / "model.pt2")
    about = rnnkit.read_exported(told.path)
    assert about["task_options"]["tokens"] == tokens
    assert about["data"] == task.data_state()
    assert ("symbols" in about) == (tokens != "byte")  # half of the bytes are no text by themselves


def test_words_that_are_unknown(over, cli, text, tmp_path):
    folder, done = over("word", "--set", "task.vocabulary=5")
    assert "words: the 5 most frequent of " in done.stderr
    assert done.stderr.count("\n") == 1
    assert "perplexity per word, validation" in done.stdout
    assert "share of <unk>, validation" in done.stdout
    known = [word for word in rnnkit.open_run(folder)[1].tokens.vocabulary if word.strip()]
    strange = next(word for word in WORDS if word not in known and f" {word}" not in known)
    told = cli("sample", folder, "--prompt", f"{known[1].strip()} {strange}", "--length", 3)
    assert (told.exit_code, told.stderr) == (
        0,
        f"rnnkit: 1 of 2 words of the prompt is none of the 6 that the run knows of {text}, such as '{strange}'; read "
        "as <unk>\n",
    )
    assert told.stdout.startswith(f"{known[1].strip()} {strange} ")
    assert cli("eval", folder).exit_code == 0


@pytest.mark.parametrize("tokens", UNIT)
def test_a_blank_behind_a_prompt_stands_once(over, cli, lines, tokens):
    folder, _ = over(tokens)
    task, model = rnnkit.open_run(folder)[1:]
    drawn = task.sample(rnnkit.generate(model, task.prompt("the dog "), 5, temperature=0.7))
    given = "the dog" if tokens == "word" else "the dog "
    told = cli("sample", folder, "--prompt", "the dog ", "--length", 5)
    assert (told.stdout, told.stderr) == (f"{given}{drawn}\n", "")
    (record,) = lines(cli("sample", folder, "--prompt", "the dog ", "--length", 5, "--json").stdout)
    assert (record["prompt"], record["text"]) == (given, drawn)


def test_runs_over_different_tokens_are_no_rivals(over, cli):
    folders = [over(tokens)[0] for tokens in UNIT]
    told = cli("compare", *folders)
    assert told.exit_code == 0
    assert [line for line in told.stdout.splitlines() if line.startswith("chars: ")] == [
        f"chars: bits per {unit}, lower is better" for unit in UNIT.values()
    ]
    assert "bits per word" in read_history(folders[2])._repr_html_()


def test_a_run_goes_on_in_its_tokens(over, cli):
    folder, _ = over("byte", "--steps", 2)
    assert cli("run", "--resume", folder, "--steps", 3, "--quiet").exit_code == 0
    refused = one_line(cli("run", "--resume", folder, "--steps", 4, "--tokens", "word"), 2)
    assert "tokens" in refused


@pytest.mark.parametrize(
    ("words", "code", "fault"),
    [
        (("--tokens", "foo"), 2, "tokens is 'foo'; it must be one of char, byte, word"),
        (("--tokens", "byte", "--set", "task.vocabulary=9"), 2, "vocabulary is for words; leave it out"),
        (("--task", "adding", "--tokens", "word"), 2, "task 'adding' has no option 'tokens'"),
        (("--tokens", "word", "--text", "one.txt"), 6, "one.txt has 1 word, too few"),
        (("--tokens", "byte", "--text", "nowhere"), 6, "nowhere does not exist; give a file"),
    ],
    ids=str,
)
def test_bad_input(cli, words, code, fault, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("hello")
    assert fault in one_line(cli("run", "--steps", 1, "--out", "new", *words), code)
    assert not (tmp_path / "new").exists()
