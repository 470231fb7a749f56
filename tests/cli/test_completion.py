"""The tab key: what shells ask, and bash itself."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import rnnkit

BIN = Path(sys.executable).parent
SHELLS = ("bash", "zsh", "fish")


def asked(how, **words):
    """Run `rnnkit` as a shell does that wants to know something."""
    environment = {**os.environ, "_RNNKIT_COMPLETE": how, **words}
    done = subprocess.run([BIN / "rnnkit"], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_there_is_a_script_for_each_shell(shell):
    assert f"_RNNKIT_COMPLETE={shell}_complete" in asked(f"{shell}_source")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_is_told_the_commands(shell):
    word = "ru" if shell == "fish" else "1"
    assert "run" in asked(f"{shell}_complete", COMP_WORDS="rnnkit ru", COMP_CWORD=word)


def test_options_and_cells_are_completed():
    assert asked("bash_complete", COMP_WORDS="rnnkit run --opti", COMP_CWORD="2") == "plain,--optimizer\n"
    cells = asked("bash_complete", COMP_WORDS="rnnkit run --cell ", COMP_CWORD="3").split()
    assert cells == [f"plain,{name}" for name in rnnkit.cells]


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_itself_completes():
    script = 'eval "$(_RNNKIT_COMPLETE=bash_source rnnkit)"; COMP_WORDS=(rnnkit gradc); COMP_CWORD=1; '
    script += '_rnnkit_completion rnnkit; echo "${COMPREPLY[@]}"'
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "gradcheck\n"
