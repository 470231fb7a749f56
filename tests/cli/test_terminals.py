"""What commands write to a terminal: no colours with NO_COLOR, no codes at all where TERM is dumb, nothing too wide."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

CODE = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")
BENCH = ("bench", "--cell", "rnn", "--sizes", "1x3x4x4", "--pairs", "2", "--memory", "none", "--unroller", "loop")
RUN = (
    "run",
    "--task",
    "adding",
    "--seq-len",
    "5",
    "--hidden",
    "4",
    "--batch",
    "2",
    "--steps",
    "3",
    "--unroller",
    "loop",
)
RACE = (
    "race",
    "--cells",
    "gru,rnn",
    *RUN[1:-2],
    "--set",
    "unroller=loop",
    "--seeds",
    "1",
    "--lr",
    "0.1",
    "--jobs",
    "0",
)
INSPECT = ("inspect", "--cell", "rnn", "--only", "flow", "--only", "gates", "--out", "page")
COMMANDS = {words[0]: words for words in (BENCH, RUN, RACE, INSPECT, ("doctor",))}


def on_a_terminal(words, folder, width, **settings):
    """Run a command with a terminal of that width for stdout and stderr; returns what it wrote."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")}
    environment = {**kept, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **settings}
    command = [sys.executable, "-m", "rnnkit", *words]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        written = b""
        while True:
            try:
                part = os.read(controller, 2**16)
            except OSError:  # what a terminal says once nobody writes any more
                part = b""
            if not part:
                break
            written += part
    os.close(controller)
    text = written.decode()
    assert process.returncode == 0, text
    return text


def colours(text):
    """Return the codes of colours in a text; bold is none."""
    numbers = {int(n) for codes, kind in CODE.findall(text) if kind == "m" for n in codes.split(";") if n}
    return {n for n in numbers if 30 <= n < 50 or 90 <= n < 108} - {39, 49}


def too_wide(text, width):
    """Return lines that a terminal of that width would fold, but those that end in a path, which may be copied."""
    lines = re.split(r"[\r\n]+", CODE.sub("", text))
    return [line for line in lines if len(line) > width and not re.match(r"saved in |page: ", line)]


@pytest.mark.slow  # processes
@pytest.mark.parametrize("name", COMMANDS)
def test_no_color_means_no_colours(tmp_path, name):
    text = on_a_terminal(COMMANDS[name], tmp_path, 80, NO_COLOR="1")
    assert colours(text) == set()
    assert too_wide(text, 80) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_a_dumb_terminal_gets_lines(tmp_path, name):
    text = on_a_terminal(COMMANDS[name], tmp_path, 50, TERM="dumb")
    assert "\x1b" not in text
    assert "\r" not in text.replace("\r\n", "\n")
    assert too_wide(text, 50) == []


@pytest.mark.slow
def test_all_bars_are_of_one_style(tmp_path):
    for words in (BENCH, RACE, INSPECT):
        text = CODE.sub("", on_a_terminal(words, tmp_path, 80))
        assert re.search(r"(^|[\r\n])(training )?\d+ of \d+ [━╸╺ ]{20} ", text), words[0]
    assert re.search(r"step \d/3 [━╸╺ ]{20} loss ", CODE.sub("", on_a_terminal(RUN, tmp_path, 120)))


@pytest.mark.slow
def test_who_waits_for_the_compiler_is_told_so(tmp_path):
    words = [*RUN[:-2], "--cell", "rnn", "--unroller", "compiled"]
    kernels = {"RNNKIT_CACHE": str(tmp_path / "kernels")}
    said = f"rnnkit: compiling kernels, once on this machine; they are kept in {tmp_path / 'kernels'}"
    text = on_a_terminal(words, tmp_path, 200, **kernels)
    assert text.count(said) == 1
    assert text.index(said) < text.index("step 3/3")
    assert said not in on_a_terminal(words, tmp_path, 200, **kernels)
