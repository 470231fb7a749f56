"""Whatever the streams are, a command ends in order: of any encoding, closed, full, or left by their reader."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from rnnkit.cli import main

from ..slow_cases import slow_but

ENCODINGS = ["ascii", "cp1252", "latin-1", "utf-8"]
RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей же чаю. "
SMALL = ("--steps", 3, "--hidden", 8, "--batch", 2, "--seq-len", 16)

every_encoding = pytest.mark.parametrize("encoding", ENCODINGS)


def encoded(encoding, *words):
    """Run a command line in this process, with streams of an encoding."""
    return CliRunner(charset=encoding).invoke(main, [str(word) for word in words])


@every_encoding
@pytest.mark.parametrize(
    "words",
    [("cells", "lstm"), ("cells",), ("tasks", "chars"), ("plugins",), ("unrollers", "compiled"), ("cells", "--json")],
    ids=" ".join,
)
def test_what_an_encoding_lacks_is_replaced(encoding, words):
    result = encoded(encoding, *words)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout_bytes.decode(encoding) == result.stdout  # not UTF-8 in an ASCII stream
    if words == ("cells", "lstm"):
        assert ("⊙" in result.stdout) == (encoding == "utf-8")
        assert "i = " in result.stdout
    if "--json" in words:
        assert all(json.loads(line)["name"] for line in result.stdout.splitlines())


def test_json_loses_no_character():
    lines = {encoding: encoded(encoding, "cells", "lstm", "--json").stdout for encoding in ENCODINGS}
    told = [json.loads(line) for line in lines.values()]
    assert all("⊙" in one["description"] for one in told)
    assert all(one == told[0] for one in told)
    assert "⊙" in lines["utf-8"]


@pytest.mark.parametrize("command", ["", *main.commands])
def test_help_needs_no_more_than_ascii(command):
    result = encoded("ascii", *filter(None, [command]), "--help")
    assert result.exit_code == 0
    assert result.stdout_bytes.isascii()


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_run_on_russian_text_ends_with_where_it_is_saved(tmp_path, encoding):
    text, run = tmp_path / "text.txt", tmp_path / "прогон"
    text.write_text(RUSSIAN * 58, encoding="utf-8")
    result = encoded(encoding, "run", *SMALL, "--text", text, "--out", run)
    assert (result.exit_code, result.exception) == (0, None)
    assert "saved in " in result.stdout
    assert encoded(encoding, "sample", run, "--length", 20).exit_code == 0
    (told,) = encoded(encoding, "sample", run, "--length", 20, "--json").stdout.splitlines()
    assert set(json.loads(told)["text"]) <= set(RUSSIAN + "\n")
    compared = encoded(encoding, "compare", run)
    assert (compared.exit_code, compared.stderr) == (0, "")
    missing = encoded(encoding, "eval", tmp_path / "нет")
    assert missing.exit_code == 5
    assert missing.stderr.startswith("rnnkit: ")
    assert missing.stderr.count("\n") == 1


def shell(line, **extra):
    """Run a line of the shell; `rnnkit` is this one. Gives exit code, stdout and stderr."""
    line = line.replace("rnnkit", f"{sys.executable} -m rnnkit")
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, env={**os.environ, **extra})
    return done.returncode, done.stdout, done.stderr


NO_SPACE = "rnnkit: stdout: No space left on device\n"
LINES = {
    "rnnkit cells >&-": (0, "", ""),
    "rnnkit cells nope >&- 2>&-": (2, "", ""),
    "rnnkit --help >&-": (0, "", ""),
    "rnnkit cells 2>&- <&- | wc -l": (0, None, ""),
    "rnnkit cells > /dev/full": (8, "", NO_SPACE),
    "rnnkit cells lstm > /dev/full": (8, "", NO_SPACE),
    "rnnkit run --help > /dev/full": (8, "", NO_SPACE),
    "rnnkit > /dev/full": (8, "", NO_SPACE),
    "rnnkit nope 2> /dev/full": (2, "", ""),
    "rnnkit nope 2>&1 | true; echo ${PIPESTATUS[0]}": (0, "2\n", ""),
    "rnnkit cells lstm | true; echo ${PIPESTATUS[0]}": (0, "0\n", ""),
    "rnnkit cells | true; echo ${PIPESTATUS[0]}": (0, "0\n", ""),
    "rnnkit run --help | true; echo ${PIPESTATUS[0]}": (0, "0\n", ""),
    "rnnkit --version | true; echo ${PIPESTATUS[0]}": (0, "0\n", ""),
}
FEW_LINES = {
    "rnnkit cells nope >&- 2>&-",
    "rnnkit cells > /dev/full",
    "rnnkit run --help > /dev/full",
    "rnnkit nope 2> /dev/full",
    "rnnkit cells lstm | true; echo ${PIPESTATUS[0]}",
}


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("line", slow_but(FEW_LINES, LINES), ids=str)
def test_a_stream_that_is_closed_full_or_left_ends_a_command_in_order(line):
    code, out, err = shell(line, RNNKIT_PLUGINS="")
    expected = LINES[line]
    assert (code, err) == (expected[0], expected[2])
    assert expected[1] is None or out == expected[1]


@pytest.mark.slow
def test_a_run_without_streams_is_whole(tmp_path):
    words = " ".join(map(str, SMALL))
    run = tmp_path / "run"
    assert shell(f"rnnkit run --task adding {words} --out {run} >&- 2>&- <&-")[0] == 0
    for path in run.rglob("*.json*"):  # nothing was written into them that is no JSON
        text = path.read_text(encoding="utf-8")
        assert all(map(json.loads, text.splitlines() if path.suffix == ".jsonl" else [text]))
    assert shell(f"rnnkit eval {run} --json")[0] == 0


@pytest.mark.parametrize("encoding", slow_but(["ascii"], ["ascii", "ascii:strict", "cp1252"]))
@pytest.mark.slow
def test_an_encoding_from_the_environment(encoding):
    code, out, err = shell("rnnkit cells lstm | grep 'c = f'", PYTHONIOENCODING=encoding)
    assert (code, err) == (0, "")
    assert out.isascii()
    assert out.count("?") == 2


def test_the_plain_locale():
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert shell("rnnkit cells lstm | grep -c 'c = f ? c'", **plain) == (0, "1\n", "")
