"""The progress of an inspection: one line that goes away on a terminal, a line a question elsewhere, all on stderr."""

import io
import re
import sys

import pytest

from rnnkit.cli.question_progress import shown

ANSWERS = [("flow", 1), ("jacobian", 2), ("gates", 3)]
NAMES = [name for name, _ in ANSWERS]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def written(monkeypatch, capfd):
    """Pass the answers on with a stream for stderr, and return what it got."""

    def run(stream, quiet=False):
        with monkeypatch.context() as patched:
            patched.setenv("COLUMNS", "80")
            patched.setenv("TERM", "xterm")
            patched.setattr(sys, "stderr", stream)
            assert list(shown(ANSWERS, NAMES, quiet)) == ANSWERS
        assert capfd.readouterr().out == ""
        return stream.getvalue()

    return run


def test_a_line_for_each_question(written):
    assert re.fullmatch(r"flow: [\d.]+ s\njacobian: [\d.]+ s\ngates: [\d.]+ s\n", written(io.StringIO()))


def test_one_line_on_a_terminal(written):
    text = written(Terminal())
    lines = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text).replace("\r", "\n").split("\n")
    told = {re.match(r"\d of \d", line)[0] for line in lines if line.strip()}
    assert told <= {"1 of 3", "2 of 3", "3 of 3"}  # it is drawn now and then, so that some may be missing
    assert "3 of 3" in told
    assert all(len(line) <= 80 for line in lines)
    # What is left is nothing: the line is erased and the cursor stands where it stood.
    assert text.count("\n") == text.count("\x1b[1A")


def test_quiet_shows_nothing(written):
    assert written(Terminal(), quiet=True) == ""
