"""Data that is unfit: each is answered by one sentence that names file, fault and remedy, and soon."""

import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest

import rnnkit
from rnnkit.errors import DataError, UsageError

from ..no_files import make_folder, make_loop, make_nothing, make_pipe

pytestmark = pytest.mark.timeout(20)

NUMBERS = "".join(f"{row},{row % 7}\n" for row in range(200))
NAMED = "up,week\n" + NUMBERS


class Bad(NamedTuple):
    """A file, how it is asked for, and the answer."""

    content: str | bytes
    sentence: str
    options: Mapping = MappingProxyType({})
    error: type[rnnkit.RnnkitError] = DataError


def inserted(line, at=100, text=NAMED):
    """Put a line among the others; it becomes line `at` of the file."""
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: at - 1], line + "\n", *lines[at - 1 :]])


TABLES = {
    "empty": Bad("", "is empty; give a UTF-8 text file"),
    "only a byte-order mark": Bad(b"\xef\xbb\xbf", "has nothing but blank lines; give a table of numbers"),
    "only blank lines": Bad("\n \r\n\n", "has nothing but blank lines"),
    "names and no rows": Bad("\nup,week\n", "has no rows below the names in line 2; give a table of numbers"),
    "one row": Bad("1,2\n", "has too few rows, 1: 70 % of them must be at least window + horizon = 65"),
    "one row below names": Bad("up,week\n1,2\n", "has too few rows, 1: "),
    "too short for the window": Bad(
        NAMED, "has too few rows, 200: 70 % of them must be at least window + horizon = 141", {"window": 140}
    ),
    "too short for the horizon": Bad(
        NAMED, "70 % of them must be at least window + horizon = 201", {"window": 1, "horizon": 200}
    ),
    "no row to validate": Bad("1\n2\n", "and 15 % at least 1", {"window": 1}),
    "no steps": Bad(NAMED, "window is 0; it must be a whole number >= 1", {"window": 0}, UsageError),
    "NaN": Bad(inserted("nan,1"), "line 100, column 'up': 'nan' is not a finite number; correct it, or leave"),
    "infinity": Bad(inserted("1,-inf"), "line 100, column 'week': '-inf' is not a finite number"),
    "infinity by size": Bad(inserted("1,1e999"), "line 100, column 'week': '1e999' is not a finite number"),
    "an empty cell": Bad(inserted("1,"), "line 100, column 'week': the cell is empty; correct it"),
    "text among numbers": Bad(inserted("1,broken"), "line 100, column 'week': 'broken' is not a finite number"),
    "text in the last row": Bad(NAMED + "1,?\n", "line 202, column 'week': '?' is not a finite number"),
    "text without names": Bad(inserted("1,x", text=NUMBERS), "line 100, column '2': 'x' is not a finite number"),
    "NaN in the first row": Bad("nan,1\n" + NUMBERS, "line 1, column '1': 'nan' is not a finite number"),
    "NaN in the first row and further on": Bad("nan,1\n" + inserted("x,1", text=NUMBERS), "line 101, column '1': 'x'"),
    "a word as long as a page": Bad(inserted("1," + "x" * 5000), "'" + "x" * 40 + "' is not a finite number"),
    "mixed types": Bad(inserted("1,True"), "'True' is not a finite number"),
    "a decimal comma": Bad(inserted('1,"1,5"'), "'1,5' is not a finite number"),
    "thousands": Bad(inserted("1,1_000"), "'1_000' is not a finite number"),
    "two faults": Bad(inserted("x,1", at=150, text=inserted("y,1")), "line 100, column 'up': 'y'"),
    "a row too wide": Bad(inserted("1,2,3"), "line 100: 3 cell(s), 2 in line 1; give all rows as many"),
    "a row too narrow": Bad(inserted("1"), "line 100: 1 cell(s), 2 in line 1"),
    "an open quote": Bad(inserted('1,"2'), "unexpected end of data; correct it, or give another file"),
    "a cell without end": Bad("1," + "2" * 200_000 + "\n", "line 1: field larger than field limit"),
    "no numbers": Bad("a,b\nc,d\n" * 100, "has no column of numbers; write them as 1.5 or 2e-3, or name the delim"),
    "another delimiter": Bad(
        NAMED,
        "line 2, column 'up,week': '0,0' is not a finite number; write 0.0, or give decimal=\",\" for 0, or leave the "
        "column out (leave_out); cells are cut at each semicolon",
        {"delimiter": ";"},
    ),
    "a column that is not there": Bad(
        NAMED, "has no column 'weak' (did you mean 'week'?); it has up, week", {"columns": "up,weak"}, UsageError
    ),
    "a place that is not there": Bad(NUMBERS, "has no column '3'; it has 1, 2", {"columns": [1, 3]}, UsageError),
    "a target that is not there": Bad(NAMED, "(did you mean 'week'?)", {"target": "weeks"}, UsageError),
    "too many names to tell": Bad(
        ",".join(f"c{n}" for n in range(500)) + "\n" + ",".join("1" * 500),
        "it has c0, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, ...",
        {"columns": "x"},
        UsageError,
    ),
    "a column of words asked for": Bad(
        "day,up\n" + "".join(f"day {row},{row}\n" for row in range(200)),
        "line 2, column 'day': 'day 0' is not a finite number",
        {"columns": "up,day"},
    ),
    "one name twice, and the third": Bad(
        "up,up,up.2\n" + NUMBERS.replace("\n", ",1\n"), "has several columns called 'up'; give each a name of its own"
    ),
    "too large": Bad(inserted("1,1e200"), "column 'week': 1e+200 is too large; give the column in another unit"),
    "too far": Bad(inserted("1,1e30", at=190), "column 'week': 1e+30 is too far from the rows that train"),
    "binary": Bad(bytes(range(1, 128)) + b"\0" * 1000, "is a binary file (a NUL at character 127)"),
    "not UTF-8": Bad("größe\n1\n".encode("latin-1") * 50, "is not UTF-8 text (byte 2); convert it, or give another"),
    "UTF-16": Bad(NAMED.encode("utf-16"), "is not UTF-8 text (byte 0)"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table(tmp_path, kind):
    bad, path = TABLES[kind], tmp_path / "table.csv"
    path.write_bytes(bad.content if isinstance(bad.content, bytes) else bad.content.encode())
    with pytest.raises(bad.error) as refused:
        rnnkit.tasks["csv"](file=str(path), **bad.options)
    sentence = str(refused.value)
    assert bad.sentence in sentence
    assert str(path) in sentence or kind == "no steps"
    assert len(sentence) < len(str(path)) + 200
    assert "\n" not in sentence


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (inserted("broken,1"), {"columns": "week"}),
        (inserted(",1"), {"columns": "week"}),
        (inserted("nan,1"), {"columns": "week", "target": "week"}),
        (NAMED.replace("\n", "\r\n"), {}),
        ("\ufeff" + NAMED, {}),
        (inserted("1.5e1, +7"), {}),
    ],
)
def test_what_looks_odd_and_is_fit(tmp_path, content, options):
    path = tmp_path / "table.csv"
    path.write_bytes(content.encode())
    assert len(rnnkit.tasks["csv"](file=str(path), **options).values) >= 200


def test_a_line_without_end_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit_tasks.text.text_file.PIECE", 10)
    monkeypatch.setattr("rnnkit_tasks.text.text_file.LONGEST_LINE", 50)
    path = tmp_path / "table.csv"
    path.write_text("1," * 1000)
    with pytest.raises(DataError, match=r"has a line of more than 50 characters; give a table"):
        rnnkit.tasks["csv"](file=str(path))


def make_socket(path):
    import socket

    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(path.parent)  # the name of a socket may be no longer than 107 bytes
        listener.bind(path.name)


PLACES = {
    make_pipe: "is not a regular file; give a UTF-8 text file",
    make_folder: "is not a regular file; give a UTF-8 text file",
    make_socket: "is not a regular file; give a UTF-8 text file",
    make_nothing: "does not exist; give a UTF-8 text file",
    make_loop: "cannot be read: Too many levels of symbolic links",
}

READERS = {"chars": "text", "csv": "file"}

every_reader = pytest.mark.parametrize(("task", "option"), READERS.items())


@every_reader
@pytest.mark.parametrize("make", PLACES)
def test_what_is_no_file(tmp_path, monkeypatch, make, task, option):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "data"
    make(path)
    with pytest.raises(DataError) as refused:
        rnnkit.tasks[task](**{option: str(path)})
    assert str(refused.value) == f"{path} {PLACES[make]}"


@every_reader
def test_a_path_that_none_can_have(task, option):
    with pytest.raises(DataError, match="cannot be read: embedded null byte"):
        rnnkit.tasks[task](**{option: "data\0"})


class Failing:
    """A file that can be read once, and then no more."""

    def __init__(self, error):
        self.answers = [b"1,2\n" * 10, error]

    def read(self, size):
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@every_reader
@pytest.mark.parametrize(
    ("opened", "sentence"),
    [
        (lambda: Failing(OSError(5, "Input/output error")), "cannot be read: Input/output error"),
        (lambda: Failing(OSError(116, "Stale file handle")), "cannot be read: Stale file handle"),
        (lambda: os.stat("/nowhere/at/all"), "does not exist; give a UTF-8 text file"),
        (lambda: os.listdir("/dev/null"), "cannot be read: Not a directory"),
    ],
    ids=["disk fails", "server leaves", "removed before it is opened", "replaced before it is opened"],
)
def test_a_file_that_disappears(tmp_path, monkeypatch, task, option, opened, sentence):
    path = tmp_path / "data"
    path.write_text(NUMBERS)
    monkeypatch.setattr("pathlib.Path.open", lambda *_: opened())
    with pytest.raises(DataError) as refused:
        rnnkit.tasks[task](**{option: str(path)})
    assert str(refused.value) == f"{path} {sentence}"


@every_reader
def test_a_file_that_is_cut_off_while_it_is_read(tmp_path, monkeypatch, task, option):
    """Another process empties it after a first piece."""
    from rnnkit_tasks.text.text_file import TextFile

    path, read = tmp_path / "data", TextFile._bytes
    path.write_text(NUMBERS * 50)

    def emptied(file):
        for data in read(file):
            os.truncate(path, 0)
            yield data

    monkeypatch.setattr("rnnkit_tasks.text.text_file.PIECE", 100)
    monkeypatch.setattr("rnnkit_tasks.text.text_file.TextFile._bytes", emptied)
    with pytest.raises(DataError, match=r"data was cut off while it was read; try again"):
        rnnkit.tasks[task](**{option: str(path)})


def test_a_prompt_out_of_the_alphabet(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abc\n" * 200)
    with pytest.raises(UsageError, match=r"the text has 'd', which .*text\.txt lacks"):
        rnnkit.tasks["chars"](text=str(path)).prompt("abcd")


ASKED = [
    "names and no rows",
    "NaN",
    "a row too wide",
    "too short for the window",
    "a column that is not there",
    "binary",
]


@pytest.mark.parametrize("kind", ASKED)
def test_the_command_line_answers_in_one_line(cli, tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    bad, path = TABLES[kind], tmp_path / "table.csv"
    path.write_bytes(bad.content if isinstance(bad.content, bytes) else bad.content.encode())
    words = [f"task.{key}={value}" for key, value in {"file": path, **bad.options}.items()]
    result = cli("run", "--task", "csv", "--steps", 1, *(word for pair in words for word in ("--set", pair)))
    assert (result.exit_code, result.stdout) == (bad.error.exit_code, "")
    assert result.exit_code in (2, 6)
    assert result.stderr.startswith("rnnkit: ")
    assert result.stderr.count("\n") == 1
    assert bad.sentence in result.stderr
    assert os.listdir(tmp_path) == ["table.csv"]
    assert len(result.stderr) < 400


def test_a_table_of_one_s_own_trains(cli, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(NAMED)
    words = ("--set", f"task.file={path}", "--set", "task.target=week", "--set", "task.window=8")
    result = cli("run", "--task", "csv", *words, "--steps", 2, "--hidden", 4, "--quiet", "--out", tmp_path / "run")
    assert result.exit_code == 0, result.stderr
    assert "normalised MSE" in result.stdout
    assert "linear model" in result.stdout
