"""What somebody's constructor refuses is one line that names the class and the culprit, with the right exit code."""

import re

import pytest
import torch

import rnnkit
from rnnkit.errors import KindError, PluginError, ShapeError, UsageError
from rnnkit.runs.settings import Settings

LSTM = rnnkit.cells["lstm"]

SOURCE = """
class Choosy(Fake):
    def __init__(self, input_size, hidden_size, *, slope=1.0, shape="square"):
        super().__init__(input_size, hidden_size)
        if slope < 0:
            raise ValueError("slope must not be negative")
        if shape not in ("square", "round"):
            raise KeyError(shape)


class Free(Choosy):
    def __init__(self, input_size, hidden_size, **options):
        super().__init__(input_size, hidden_size, **options)


class Sums(rnnkit.tasks["adding"]):
    def __init__(self, *, rate=1, **options):
        super().__init__(**options)
        if rate < 0:
            raise ValueError(f"rate {rate} is negative\\nand that is all")


class Mine(rnnkit.unrollers["loop"]):
    def __init__(self, *, size=1):
        super().__init__()
        if size < 0:
            raise TypeError("size is negative")
"""


class Free(LSTM):
    """Hands its options on."""

    def __init__(self, input_size, hidden_size, **options):
        super().__init__(input_size, hidden_size, **options)


class Popping(LSTM):
    """Takes what it knows out of its options, and refuses the rest in its own words."""

    def __init__(self, input_size, hidden_size, **options):
        self.scale = options.pop("scale", 1.0)
        if options:
            raise TypeError(f"unknown options {sorted(options)}")
        super().__init__(input_size, hidden_size)


class Choosy(LSTM):
    """Raises whatever it is told to."""

    def __init__(self, input_size, hidden_size, *, error=None, slope=1.0):
        super().__init__(input_size, hidden_size)
        if error is not None:
            raise error
        if slope < 0:
            raise ValueError("slope must not be negative")


FREE = r"^cell 'free' has no option 'baias' \(did you mean 'bias'\?\); its options: bias, proj_size$"
REFUSED = {
    "a ValueError": (
        Choosy,
        {"slope": -1},
        UsageError,
        "^cell 'choosy' cannot be built with .*slope=-1: slope must not be",
    ),
    "a misspelt option": (Choosy, {"slop": 1}, KindError, r"no option 'slop' \(did you mean 'slope'\?\)"),
    "handed on": (Free, {"baias": True}, KindError, FREE),
    "refused in its own words": (Popping, {"scalle": 2}, KindError, r"^cell 'popping' .*scalle=2: unknown options"),
    "a TypeError": (Choosy, {"error": TypeError("no\nway")}, KindError, "^cell 'choosy' cannot be built .*: no way$"),
    "several lines": (
        Choosy,
        {"error": ValueError("k must be odd,\nnot 4\n")},
        UsageError,
        "^cell 'choosy' cannot be built .*: k must be odd, not 4$",
    ),
    "many lines": (
        Choosy,
        {"error": ValueError("too\n\tlong\n" * 500)},
        UsageError,
        r"^cell 'choosy' .{,200}: too long too[too long]{700,1000} \.\.\.$",
    ),
    "a bug of several lines": (
        Choosy,
        {"error": ZeroDivisionError("one\ntwo")},
        PluginError,
        "^cell 'choosy' cannot .*: ZeroDivisionError: one two$",
    ),
    "without a word": (Choosy, {"error": ValueError()}, UsageError, "^cell 'choosy' cannot be built .*: ValueError$"),
    "a bug": (
        Choosy,
        {"error": AttributeError("gone")},
        PluginError,
        "^cell 'choosy' cannot .*: AttributeError: gone$",
    ),
    "its own line": (Choosy, {"error": ShapeError("it does not fit")}, ShapeError, "^it does not fit$"),
}


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("case", REFUSED)
def test_what_a_cell_refuses(case, wrapped):
    kind, options, error, sentence = REFUSED[case]
    cell, inner = ("zoneout", {"inner": kind}) if wrapped else (kind, {})
    with pytest.raises(error, match=sentence) as caught:
        rnnkit.RNN(cell, 3, 4, **inner, **options)
    assert "\n" not in str(caught.value)
    with pytest.raises(error, match=sentence):
        rnnkit.gradcheck(kind, **options)


@pytest.mark.parametrize(
    "error", [MemoryError("full"), torch.OutOfMemoryError("full"), FileNotFoundError(2, "no", "x")]
)
def test_want_of_memory_or_of_a_file_is_not_the_cell_s(error):
    with pytest.raises(type(error)):
        rnnkit.RNN(Choosy, 3, 4, error=error)


@pytest.fixture
def module(site, cell_source):
    (site.path / "choosy_things.py").write_text(cell_source() + SOURCE)
    site.refresh()
    return "choosy_things"


SMALL = ("--task", "adding", "--steps", 1, "--hidden", 4, "--batch", 2)
LINES = {
    ("run", *SMALL, "--cell", "M:Choosy(slope=-1)"): (
        2,
        "cell 'choosy' cannot be built with slope=-1.*: slope must not",
    ),
    ("run", *SMALL, "--cell", "M:Choosy(shape=flat)"): (4, "cell 'choosy' cannot be built with shape='flat': KeyError"),
    ("run", *SMALL, "--cell", "M:Free", "--set", "cell.slop=1"): (
        2,
        r"cell 'free' has no option 'slop' .*'slope'.*slope, ",
    ),
    ("gradcheck", "--cell", "M:Free(slop=1)"): (2, "has no option 'slop'"),
    ("bench", "--cell", "M:Free(slop=1)"): (2, "has no option 'slop'"),
    ("cells", "M:Free(slop=1)"): (2, "has no option 'slop'"),
    ("cells", "zoneout(M:Choosy(slope=-1))"): (2, "slope must not be negative"),
    ("check", "M:Choosy", "--set", "cell.slope=-1"): (2, "slope must not be negative"),
    ("run", *SMALL, "--task", "M:Sums", "--set", "task.rate=-1"): (
        2,
        "task 'sums' cannot be built with rate=-1: rate -1 is",
    ),
    ("run", *SMALL, "--task", "M:Sums", "--set", "task.rat=1"): (2, "task 'sums' has no option 'rat' .*'rate'"),
    ("run", *SMALL, "--unroller", "M:Mine", "--set", "unroller.size=-1"): (
        2,
        "unroller 'mine' cannot .*: size is negative",
    ),
}


@pytest.mark.parametrize("words", LINES, ids=lambda words: " ".join(map(str, words)))
def test_the_command_line_says_it_in_one_line(cli, module, tmp_path, monkeypatch, words):
    code, sentence = LINES[words]
    monkeypatch.chdir(tmp_path)
    result = cli(*(str(word).replace("M:", f"{module}:") for word in words))
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert re.fullmatch(rf"rnnkit: [^\n]*{sentence}[^\n]*\n", result.stderr)
    assert "unexpected" not in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_run_s_own_task_and_unroller(module):
    with pytest.raises(
        UsageError, match=r"task 'sums' cannot be built with rate=-1: rate -1 is negative and that is all$"
    ):
        Settings(task=f"{module}:Sums", task_options={"rate": -1}).make_task()
