"""`rnnkit check`: the conformance kit by name, or by module and class."""

import pytest

pytestmark = pytest.mark.usefixtures("few_cells")

BROKEN = """
class Broken(Fake):
    name = "broken"
    state_names = ("h", "c")

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.hidden_size), torch.zeros(batch_size, self.hidden_size)


class Impure(Fake):
    name = "impure"

    def step(self, p, state):
        h = state[0].mul_(0.5) + p @ self.weight.t()
        return h, (h,)
"""


@pytest.fixture
def module(site, cell_source):
    """Put a module that no entry point names on the import path."""
    (site.path / "unlisted.py").write_text(cell_source(hook=BROKEN))
    site.refresh()
    return "unlisted"


@pytest.mark.parametrize(
    ("words", "subject"),
    [
        (("lstm",), "cell 'lstm'"),
        (("rnn", "--set", "cell.nonlinearity=relu"), "cell 'rnn'"),
        (("loop",), "unroller 'loop'"),
        (("adding",), "task 'adding'"),
    ],
    ids=str,
)
def test_what_keeps_its_promises(cli, lines, words, subject):
    result = cli("check", *words)
    assert result.exit_code == 0
    assert result.stderr == ""
    first, *rest = result.stdout.splitlines()
    assert first == subject
    assert len(rest) > 2
    told = rest[:-1] if subject.startswith("cell") else rest
    assert all(line.startswith("  ok      ") for line in told)
    assert told == rest or rest[-1].startswith("  held to the loop: checkpoint")


def test_json(cli, lines):
    (told,) = lines(cli("check", "gru", "--json").stdout)
    assert told["subject"] == "cell 'gru'"
    assert told["ok"]
    assert {"purity", "gradients", "every unroller's law"} <= set(told["promises"])
    assert not any(told["promises"].values())


def test_a_class_of_a_module(cli, module):
    result = cli("check", f"{module}:Fake")
    assert result.exit_code == 0
    assert result.stdout.startswith("cell 'fake'\n")


def test_each_broken_promise_is_a_sentence(cli, module, lines):
    result = cli("check", f"{module}:Impure", "--json")
    assert result.exit_code == 3
    assert result.stderr.startswith("rnnkit: cell 'impure' breaks ")
    assert result.stderr.count("\n") == 1
    (told,) = lines(result.stdout)
    assert not told["ok"]
    assert any("writes in place on its state 'h'" in sentence for sentence in told["promises"]["purity"])
    assert told["promises"]["shapes and state"] == []
    table = cli("check", f"{module}:Impure").stdout
    assert "  broken  purity\n" in table
    assert "  ok      shapes and state\n" in table


def test_what_cannot_be_stepped_is_told_once(cli, module):
    result = cli("check", f"{module}:Broken")
    assert result.exit_code == 3
    assert "returned 1 state tensors" in result.stdout
    assert "breaks 1 of its promises" in result.stderr


@pytest.mark.parametrize(
    ("subject", "code", "fault"),
    [
        ("lsmt", 2, "unknown cell, unroller or task 'lsmt' (did you mean 'lstm'?)"),
        ("unlisted:Fakee", 2, "module 'unlisted' has no 'Fakee' (did you mean 'Fake'?)"),
        ("unlisted:torch", 2, "is neither a Cell nor an Unroller nor a Task"),
        ("unlisted:", 2, "'unlisted:' names no class; write unlisted:CLASS"),
        ("no_such_module:Fake", 4, "'no_such_module' cannot be imported: ModuleNotFoundError"),
        (":Fake", 2, "':Fake' names no module; write MODULE:Fake"),
    ],
)
def test_what_cannot_be_found(cli, module, subject, code, fault):
    result = cli("check", subject)
    assert result.exit_code == code
    assert result.stdout == ""
    assert fault in result.stderr
    assert result.stderr.startswith("rnnkit: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("fault", ["raise SystemExit", "1 / 0", "def broken(:"])
def test_a_module_that_breaks_on_import(cli, site, fault):
    (site.path / "breaking.py").write_text(fault)
    site.refresh()
    result = cli("check", "breaking:Fake")
    assert result.exit_code == 4
    assert result.stderr.startswith("rnnkit: 'breaking' cannot be imported: ")


@pytest.mark.parametrize("assignment", ["cell.nope=1", "task.bias=false", "option.bias=false", "bias"])
def test_bad_options(cli, assignment):
    result = cli("check", "lstm", "--set", assignment)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


def test_sizes_are_options_for_cells(cli):
    assert cli("check", "rnn", "--batch", "2", "--input", "3", "--hidden", "7").exit_code == 0
    result = cli("check", "loop", "--batch", "2")
    assert result.exit_code == 2
    assert "'loop' is no cell" in result.stderr
    assert cli("check", "rnn", "--hidden", "0").exit_code == 2
