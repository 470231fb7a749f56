"""What a third party's cell, task or unroller raises is one line that names it, exit 4; in Python it is what it was."""

import re
import traceback

import pytest
import torch

import rnnkit
from rnnkit.cli import blame
from rnnkit.errors import PluginError

from ..test_floors import ROOT

SOURCE = """
class Cut(torch.autograd.Function):
    @staticmethod
    def forward(ctx, h):
        return h.clone()

    @staticmethod
    def backward(ctx, g):
        raise LookupError("no\\nway back")


class Opts(Fake):
    def __init__(self, input_size, hidden_size, *, rate=0.5, fault=""):
        super().__init__(input_size, hidden_size)
        self.rate, self.fault = rate, fault

    def project(self, xs):
        return xs.nowhere if self.fault == "project" else super().project(xs)

    def step(self, p, state):
        if self.fault == "file":
            open("no_such_file")
        if self.fault == "ours":
            raise rnnkit.errors.DataError("a line of its own")
        y, (h,) = super().step(p, state)
        if self.fault == "back":
            h = Cut.apply(h)
        h = h * self.rate
        return h, (h,)


class Sums(rnnkit.tasks["adding"]):
    def loss(self, outputs, targets):
        return self.helper(outputs)

    def helper(self, outputs):
        return outputs.nowhere


class Mine(rnnkit.unrollers["loop"]):
    def __call__(self, cell, xs, state=None, **given):
        raise ArithmeticError("not today")
"""
SMALL = ("--task", "adding", "--steps", 1, "--hidden", 4, "--batch", 2, "--quiet")


@pytest.fixture
def module(site, cell_source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (site.path / "faulty_things.py").write_text("import torch\n" + cell_source() + SOURCE)
    site.refresh()
    return "faulty_things"


def refused(result, sentence, code=4):
    assert result.exit_code == code, result.output
    assert re.fullmatch(rf"(measuring\n)?rnnkit: {sentence}\n", result.stderr), result.stderr
    assert "unexpected" not in result.stderr


RATE = r"cell 'opts' with rate='x'.* fails in step\(\), faulty_things.py, line \d+: TypeError: .*"
COMMANDS = {
    "run": ("run", *SMALL, "--cell", "M:Opts", "--set", "cell.rate=x"),
    "run, loop": ("run", *SMALL, "--cell", "M:Opts", "--set", "cell.rate=x", "--unroller", "loop"),
    "run, wrapped": ("run", *SMALL, "--cell", "zoneout(M:Opts(rate=x))"),
    "gradcheck": ("gradcheck", "--cell", "M:Opts", "--set", "cell.rate=x"),
    "check": ("check", "M:Opts", "--set", "cell.rate=x"),
    "check, expression": ("check", "M:Opts(rate=x)"),
    "bench": ("bench", "--cell", "M:Opts(rate=x)", "--sizes", "1x2x3x4", "--pairs", 2, "--memory", "none"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_step_that_raises(cli, module, name):
    refused(cli(*(str(word).replace("M:", f"{module}:") for word in COMMANDS[name])), RATE)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ("--cell", "M:Opts(fault=project)"),
            4,
            r"cell 'opts' with fault='project'.* in project\(\), .*AttributeError.*",
        ),
        (
            ("--cell", "M:Opts(fault=back)"),
            4,
            r"cell 'opts' with fault='back'.* backward\(\), .*LookupError: no way back.*",
        ),
        (("--cell", "M:Opts(fault=file)"), 4, r"cell 'opts' .* in step\(\), .*FileNotFoundError: .*no_such_file.*"),
        (("--cell", "M:Opts(fault=ours)"), 6, r"a line of its own"),
        (("--task", "M:Sums"), 4, r"task 'sums' fails in helper\(\), .*AttributeError: .*nowhere.*"),
        (("--unroller", "M:Mine"), 4, r"unroller 'mine' fails in __call__\(\), .*ArithmeticError: not today.*"),
    ],
    ids=str,
)
def test_whatever_raises_wherever(cli, module, words, code, sentence):
    given = [str(word).replace("M:", f"{module}:") for word in words]
    refused(cli("run", *SMALL, *given), sentence, code)


def test_a_run_whose_cell_has_changed(cli, module, site):
    assert cli("run", *SMALL, "--cell", f"{module}:Opts", "--out", "mine").exit_code == 0
    kind = __import__(module).Opts
    kind.step = lambda self, p, state: self.gone
    for words in (("eval", "mine"), ("export", "mine"), ("run", "--resume", "mine", "--steps", 2, "--quiet")):
        refused(cli(*words), r"cell 'opts'.* fails in .*, .*AttributeError: .*gone.*")


def test_python_gets_the_exception_itself(module):
    layer = rnnkit.RNN(f"{module}:Opts", 3, 4, rate="x")
    with pytest.raises(TypeError) as caught:
        layer(torch.ones(2, 2, 3))
    assert not isinstance(caught.value, rnnkit.errors.RnnkitError)
    assert "step" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_a_fault_of_our_own_is_unexpected(cli, monkeypatch):
    monkeypatch.setattr(rnnkit.cells["lstm"], "step", lambda self, p, state: self.gone)
    result = cli("run", *SMALL, "--unroller", "loop")
    assert (result.exit_code, "unexpected AttributeError" in result.stderr) == (1, True)


def test_our_own_packages_are_known():
    assert {"rnnkit", *(path.name for path in (ROOT / "plugins").glob("rnnkit_*"))} == blame.OUR_OWN
    assert PluginError.exit_code == 4
