"""Every bad input is answered by one line that names the culprit, with the right exit code, and nothing is left."""

import re

import pytest

from ..no_files import make_folder, make_loop, make_nothing, make_pipe

ADDING = ("run", "--task", "adding", "--steps", 1, "--hidden", 4, "--batch", 2)


@pytest.fixture
def answer(cli, tmp_path, monkeypatch):
    """Run a command line in an empty folder; check that it is refused in one line, and give that line."""
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def refuse(code, *words):
        result = cli(*words)
        assert result.exit_code == code, result.output
        assert result.stdout == ""
        assert result.stderr.startswith("rnnkit: ")
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.stderr
        assert "--debug shows where" not in result.stderr
        assert len(result.stderr) < 400
        assert list(folder.iterdir()) == []
        return result.stderr

    return refuse


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--cell", "lsmt"), "unknown cell 'lsmt' (did you mean 'lstm'?)"),
        (("--task", "addign"), "unknown task 'addign' (did you mean 'adding'?)"),
        (("--unroller", "lop"), "unknown unroller 'lop' (did you mean 'loop'?)"),
        (("--optimizer", "adma"), "unknown optimizer 'adma' (did you mean 'adam'?)"),
        (("--stesp", 1), "'--stesp'"),
        (("surplus",), "argument (surplus)"),
        (("--hidden",), "'--hidden'"),
        (("--hidden", 0), "'--hidden': 0"),
        (("--hidden", "many"), "'many'"),
        (("--hidden", 4.5), "'4.5'"),
        (("--layers", 0), "'--layers': 0"),
        (("--steps", 0), "'--steps': 0"),
        (("--steps", -1), "'--steps': -1"),
        (("--batch", 0), "'--batch': 0"),
        (("--seq-len", 0), "'--seq-len': 0"),
        (("--seq-len", 1), "seq_len is 1"),
        (("--lr", "nan"), "'--lr': 'nan'"),
        (("--lr", 0), "'--lr': '0'"),
        (("--lr", -1), "'--lr': '-1'"),
        (("--lr", "inf"), "'--lr': 'inf'"),
        (("--lr", "fast"), "'fast'"),
        (("--clip", "nan"), "'--clip': 'nan'"),
        (("--clip", -1), "'--clip': '-1'"),
        (("--clip-by", "size"), "'--clip-by': 'size'"),
        (("--weight-decay", -1), "'--weight-decay': '-1'"),
        (("--weight-decay", "inf"), "'--weight-decay': 'inf'"),
        (("--accumulate", 0), "'--accumulate': 0"),
        (("--schedule", "cosin"), "'cosin'"),
        (("--schedule", "plateau"), "give validate_every too"),
        (("--warmup", -1), "'--warmup': -1"),
        (("--warmup", 1), "warmup is 1; it must be below the 1 steps"),
        (("--average", 1), "'--average': 1"),
        (("--average", "nan"), "average is nan"),
        (("--validate-every", -1), "'--validate-every': -1"),
        (("--patience", 1), "give validate_every too"),
        (("--save-every", -1), "'--save-every': -1"),
        (("--keep", 0), "'--keep': 0"),
        (("--dropout", 2), "'--dropout': 2"),
        (("--dropout", "nan"), "dropout is nan"),
        (("--tbptt", "5,3"), "'5,3'"),
        (("--tbptt", "0,3"), "'0,3'"),
        (("--tbptt", "-1,3"), "'-1,3'"),
        (("--tbptt", "x"), "'x'"),
        (("--tbptt", "3"), "'3'"),
        (("--tbptt", "1,2,3"), "'1,2,3'"),
        (("--seed", -1), "'--seed': -1"),
        (("--seed", "99999999999999999999"), "99999999999999999999"),
        (("--device", "nope"), "device 'nope'"),
        (("--device", ""), "device ''"),
        (("--dtype", "float8"), "'float8'"),
        (("--set", "garbage"), "--set 'garbage'"),
        (("--set", "=1"), "--set '=1'"),
        (("--set", "hiden=1"), "--set has an unknown setting 'hiden' (did you mean 'hidden'?)"),
        (("--set", "hidden=many"), "--set: hidden is 'many'"),
        (("--set", "optimizer.nope=1"), "optimizer 'adam': "),
        (("--set", "optimizer.betas=3"), "optimizer 'adam': "),
        (("--set", "cell.bias"), "--set 'cell.bias'"),
        (("--set", "cell.=1"), "--set 'cell.=1'"),
        (
            ("--task", "parity", "--seq-len", 30),
            "task 'parity' has no option 'seq_len'; its options: answers, train_len, test_len",
        ),
        (("--set", "cell.nope=1"), "cell 'lstm' has no option 'nope'"),
        (("--set", "cell.num_layers=2"), "cell 'lstm' has no option 'num_layers'"),
        (("--set", "cell.unroller=loop"), "cell 'lstm' has no option 'unroller'"),
        (("--set", "cell.dropout=0.5"), "cell 'lstm' has no option 'dropout'"),
        (("--set", "cell.batch_first=true"), "cell 'lstm' has no option 'batch_first'"),
        (("--set", "cell.input_size=3"), "cell 'lstm' has no option 'input_size'"),
        (("--set", "foo.bar=1"), "unknown table 'foo'"),
        (("--set", "task.nope=1"), "task 'adding' has no option 'nope'"),
        (("--set", "task.seq_len=long"), "seq_len is 'long'"),
        (("--set", "unroller.segment=2"), "--unroller"),
        (("--unroller", "loop", "--set", "unroller.segment=2"), "unroller 'loop' has no option 'segment'"),
        (("--unroller", "checkpoint", "--set", "unroller.segment=0"), "segment is 0"),
        (("--cell", "rnn", "--set", "cell.nonlinearity=cosine"), "nonlinearity is 'cosine'"),
        (("--text", "text.txt"), "task 'adding' has no option 'text'"),
    ],
    ids=str,
)
def test_run(answer, words, fault):
    assert fault in answer(2, *ADDING, *words)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("rnu",), "unknown command 'rnu' (did you mean 'run'?)"),
        (("--nope",), "'--nope'"),
        (("gradcheck", "--cell", "lsmt"), "unknown cell 'lsmt'"),
        (("gradcheck", "--unroller", "lop"), "unknown unroller 'lop'"),
        (("gradcheck", "--order", 3), "'--order': 3"),
        (("gradcheck", "--steps", 0), "'--steps': 0"),
        (("gradcheck", "--matrix", "--set", "cell.bias=false"), "--matrix"),
        (("gradcheck", "--set", "task.seq_len=3"), "unknown table 'task'"),
        (("gradcheck", "--set", "cell.nope=1"), "cell 'lstm' has no option 'nope'"),
        (("gradcheck", "--set", "cell.steps=3"), "cell 'lstm' has no option 'steps'"),
        (("gradcheck", "--set", "cell.lengths=3"), "cell 'lstm' has no option 'lengths'"),
        (("check",), "NAME|MODULE:CLASS"),
        (("cells", "lstm", "gru"), "gru"),
        (("sample",), "RUN"),
    ],
    ids=str,
)
def test_other_commands(answer, words, fault):
    assert fault in answer(2, *words)


@pytest.mark.parametrize("device", ["cuda:99", "meta"])
def test_a_device_that_is_not_here(answer, device):
    assert f"device {device!r} is not usable here" in answer(8, *ADDING, "--device", device)


def test_more_memory_than_there_is(answer):
    assert "out of memory" in answer(8, *ADDING, "--hidden", 1_000_000)


@pytest.mark.parametrize("out", ["file/run", "file/deep/run"])
def test_a_folder_that_cannot_be_made(answer, tmp_path, out):
    (tmp_path / "file").write_text("mine")
    assert f"{tmp_path / out} cannot be made: Not a directory" in answer(8, *ADDING, "--out", tmp_path / out)
    assert (tmp_path / "file").read_text() == "mine"


TEXTS = {
    "empty": (b"", "is empty"),
    "only a byte-order mark": (b"\xef\xbb\xbf", "too few"),
    "one character": (b"a", "too few"),
    "too short for a sequence": (b"abc" * 20, "too few"),
    "too short for the streams": (b"abc" * 500, "too few for 32 streams of 64 steps"),
    "binary": (b"abc\0" * 1000, "is a binary file"),
    "not UTF-8": ("Zürich".encode("latin-1") * 1000, "is not UTF-8 text (byte 1)"),
    "UTF-16": ("abc".encode("utf-16") * 1000, "is not UTF-8 text"),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_an_unfit_text(answer, tmp_path, kind):
    content, fault = TEXTS[kind]
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    line = answer(6, "run", "--text", path, "--steps", 1)
    assert f"{path}" in line
    assert fault in line


def make_nothing_below_a_file(path):
    path.parent.write_text("mine")


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (make_nothing, "does not exist"),
        (make_folder, "is not a regular file"),
        (make_pipe, "is not a regular file"),
        (make_loop, "cannot be read"),
        (make_nothing_below_a_file, "cannot be read: Not a directory"),
    ],
)
def test_a_text_that_is_no_file(answer, tmp_path, make, fault):
    path = tmp_path / "texts" / "text.txt"
    if make is not make_nothing_below_a_file:
        path.parent.mkdir()
    make(path)
    line = answer(6, "run", "--text", path, "--steps", 1)
    assert str(path) in line
    assert fault in line


def test_a_device_file_as_text(answer):
    assert "/dev/zero is not a regular file" in answer(6, "run", "--text", "/dev/zero")


def test_a_text_that_may_not_be_read(answer, text, monkeypatch):
    def refuse(path, mode):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.open", refuse)  # in place of chmod, which root would not notice
    assert f"{text} cannot be read: Permission denied" in answer(6, "run", "--text", text)


@pytest.mark.parametrize(
    ("task", "rate", "steps"),
    [("adding", "1e30", 1), ("adding", "1e30", 5), ("adding", "1e38", 1), ("chars", "1e30", 1), ("chars", "1e38", 5)],
)
def test_divergence_names_the_tensor_at_fault(train, text, task, rate, steps):
    words = ("--text", text) if task == "chars" else ("--task", task)
    result = train(*words, "--optimizer", "sgd", "--lr", rate, "--clip", "1e9", "--steps", steps)
    assert result.exit_code == 7
    assert result.stderr.count("\n") == 1
    parameter = r"(embedding|layer|readout)\.(weight|bias)\w*"
    assert re.search(rf"^rnnkit: .*({parameter}|the output) .*; lower the learning rate", result.stderr)


def test_nothing_at_all_shows_the_help(cli):
    result = cli()
    assert result.exit_code == 2
    assert result.output.strip() == cli("--help").output.strip()


@pytest.mark.parametrize("where", ["front", "back"])
def test_debug_shows_the_traceback(cli, where):
    words = ("run", "--cell", "lsmt")
    result = cli("--debug", *words) if where == "front" else cli(*words, "--debug")
    assert result.exit_code == 2
    first, *_, last = result.stderr.splitlines()
    assert first == "Traceback (most recent call last):"
    assert last.startswith("rnnkit: unknown cell 'lsmt'")


def test_debug_by_environment(cli, monkeypatch):
    monkeypatch.setenv("RNNKIT_DEBUG", "1")
    assert "Traceback" in cli("run", "--cell", "lsmt").stderr
