"""`rnnkit gradcheck`: every gradient, one row each; a wrong one is named with exit 3."""

import math

import pytest

import rnnkit

from ..core_cells import TAKING_ALL

TINY = ("--steps", 2, "--batch", 1, "--input", 2, "--hidden", 2)
LSTM = ["input", "h0", "c0", "weight_ih", "weight_hh", "bias_ih", "bias_hh"]

# The gradient of the state is right but for its first element, which has the wrong sign.
WRONG = """
class Mirror(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        sign = torch.ones_like(gradient)
        sign[0, 1] = -1
        return sign * gradient


class Wrong(Fake):
    name = "wrong"

    def step(self, p, state):
        h = torch.tanh(p @ self.weight.t()) + Mirror.apply(state[0])
        return h, (h,)


@rnnkit.hookimpl
def rnnkit_cells():
    return [Wrong]
"""


def test_a_row_for_each_tensor(cli):
    result = cli("gradcheck", "--cell", "lstm", *TINY)
    assert result.exit_code == 0
    assert result.stderr == ""
    assert result.stdout.startswith("cell lstm, unroller loop, order 1, float64\n")
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row[0] for row in rows if row[-1:] == ["ok"]] == LSTM
    assert result.stdout.endswith("all 7 gradients agree with central differences\n")


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("unroller", TAKING_ALL)
def test_json(cli, lines, unroller, order):
    words = ("--cell", "lstm", "--unroller", unroller, "--order", order, "--json")
    (report,) = lines(cli("gradcheck", *TINY, *words).stdout)
    assert (report["cell"], report["unroller"], report["order"]) == ("lstm", unroller, order)
    assert report["ok"]
    assert [row["tensor"] for row in report["rows"]] == LSTM
    assert [row["shape"] for row in report["rows"][:3]] == [[2, 1, 2], [1, 2], [1, 2]]
    assert all(row["ok"] and row["gradient_norm"] > 0 for row in report["rows"])
    assert all(row["relative_error"] < 1e-5 for row in report["rows"])


def test_auto_says_what_it_chose(cli, lines):
    (report,) = lines(cli("gradcheck", *TINY, "--unroller", "auto", "--json").stdout)
    assert report["unroller"] in rnnkit.unrollers


def norms(cli, lines, *words):
    (report,) = lines(cli("gradcheck", *TINY, "--json", *words).stdout)
    assert report["ok"]
    return {row["tensor"]: row["gradient_norm"] for row in report["rows"]}


def test_options_of_the_cell(cli, lines):
    tanh = norms(cli, lines, "--cell", "rnn")
    assert norms(cli, lines, "--cell", "rnn", "--set", "cell.nonlinearity=tanh") == tanh
    assert norms(cli, lines, "--cell", "rnn", "--set", "cell.nonlinearity=relu") != tanh
    assert set(norms(cli, lines, "--set", "cell.bias=false")) == set(LSTM) - {"bias_ih", "bias_hh"}


def test_options_of_the_unroller(cli, lines):
    words = ("gradcheck", *TINY, "--unroller", "checkpoint", "--set", "unroller.segment=2", "--json")
    (report,) = lines(cli(*words).stdout)
    assert report["ok"]
    assert report["unroller"] == "checkpoint(segment=2)"


def test_sizes_and_seed(cli, lines):
    words = ("--steps", 2, "--batch", 1, "--input", 4, "--hidden", 3)
    first, again, other = (cli("gradcheck", *words, "--seed", seed, "--json").stdout for seed in (1, 1, 2))
    (report,) = lines(first)
    assert {row["tensor"]: row["shape"] for row in report["rows"]} == {
        "input": [2, 1, 4],
        "h0": [1, 3],
        "c0": [1, 3],
        "weight_ih": [12, 4],
        "weight_hh": [12, 3],
        "bias_ih": [12],
        "bias_hh": [12],
    }
    assert first == again
    assert first != other


@pytest.fixture
def wrong(site, cell_source):
    site.install("fake-wrong", wrong=cell_source(hook=WRONG))


@pytest.mark.parametrize("unroller", TAKING_ALL)
def test_a_wrong_gradient_is_named_with_its_index(wrong, cli, lines, unroller):
    result = cli("gradcheck", "--cell", "wrong", "--unroller", unroller, "--json")
    assert result.exit_code == 3
    (report,) = lines(result.stdout)
    assert not report["ok"]
    rows = {row["tensor"]: row for row in report["rows"]}
    assert not rows["h0"]["ok"]
    assert rows["h0"]["index"] == [0, 1]
    assert result.stderr.startswith(f"rnnkit: wrong x {unroller}, order 1: the gradient of input at [")
    assert "(and 2 more)" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_wrong_gradient_in_the_table(wrong, cli):
    result = cli("gradcheck", "--cell", "wrong")
    assert result.exit_code == 3
    (row,) = [line for line in result.stdout.splitlines() if line.startswith("h0")]
    assert row.rstrip().endswith("wrong at [0, 1]")
    assert "agree" not in result.stdout


def test_what_is_not_finite_is_wrong(site, cli, cell_source, lines):
    hook = "\nFake.step = lambda self, p, state: (p @ self.weight.t() * float('nan'), state)"
    site.install("fake-nan", nan=cell_source("nan") + hook)
    result = cli("gradcheck", "--cell", "nan", "--json")
    assert result.exit_code == 3
    (report,) = lines(result.stdout)
    assert not report["ok"]
    assert not any(isinstance(value, float) and math.isnan(value) for row in report["rows"] for value in row.values())


def test_a_cell_that_cannot_be_stepped(site, cli, cell_source):
    site.install("fake-lame", lame=cell_source("lame") + "\nFake.step = lambda self, p, state: p @ p")
    result = cli("gradcheck", "--cell", "lame")
    assert result.exit_code == 4
    assert "cell 'lame'" in result.stderr
    assert result.stderr.count("\n") == 1


ORDERED = """
import rnnkit

class Ordered(rnnkit.cells["rnn"]):
    name = "ordered"

    def __init__(self, input_size, hidden_size, *, order=1):
        super().__init__(input_size, hidden_size)

@rnnkit.hookimpl
def rnnkit_cells():
    return [Ordered]
"""


def test_an_option_called_as_an_argument_of_gradcheck(site, cli):
    site.install("fake-ordered", ordered=ORDERED)
    result = cli("gradcheck", "--cell", "ordered", "--set", "cell.order=2")
    assert result.exit_code == 2
    assert "--set cell.order: a word of gradcheck's own" in result.stderr
