"""The documentation is true: its code runs and prints what it says, and nothing that exists is left out."""

import importlib.util
import math
import os
import re
import shlex
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import click
import pytest
import torch

import rnnkit
from rnnkit import errors, testing
from rnnkit.cli import main
from rnnkit.plugin import hookspecs
from rnnkit.support.extras import extras
from rnnkit.training.record import Record

from ..core_cells import CORE_CELLS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
API = sorted((DOCS / "api").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")), *API]
FENCE = re.compile(r"^```(?:\{\.)?(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SNIPPET = re.compile(r'^--8<-- "(.+)"$', re.MULTILINE)
COMMAND = re.compile(r"^\$ (?:\w+=\S* )?rnnkit ([^|\n]*)", re.MULTILINE)
GLOBAL_OPTIONS = {name for parameter in main.params for name in parameter.opts} | {"--help"}

# These predict memory, which takes long in a process with a large heap.
EARLY = {"memory-limits", "long-sequences", "api/memory"}

# These train, export and start processes, 2 to 15 s each: `.ci/run` runs them beside `make test`.
LONG = {"api/runs", "export", "forecasting", "long-sequences", "memory-limits", "race", "runs", "serve", "wrappers"}


def name_of(page):
    """Return what a page is called in the tests: "runs", "api/runs"."""
    return f"api/{page.stem}" if page in API else page.stem


def marks_of(page):
    """Return when the code of a page runs."""
    marks = [(pytest.mark.early, EARLY), (pytest.mark.slow, LONG)]
    return [mark for mark, names in marks if name_of(page) in names]


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


class Example(NamedTuple):
    """A block of Python and what the page says that it prints."""

    code: str
    line: int
    output: str


def read(page):
    """Return a page with the files that it includes."""
    return SNIPPET.sub(lambda match: included(match[1]), page.read_text(encoding="utf-8"))


def included(path):
    return next(base / path for base in (DOCS, ROOT) if (base / path).exists()).read_text(encoding="utf-8").rstrip("\n")


def examples(text):
    """Yield the blocks of Python; a block of text that follows one directly is its output."""
    blocks = list(FENCE.finditer(text))
    for block, follower in zip_longest(blocks, blocks[1:]):
        if block[1] == "python":
            shown = follower and follower[1] == "text" and not text[block.end() : follower.start()].strip()
            yield Example(block[2], text.count("\n", 0, block.start()) + 1, follower[2] if shown else "")


def section(text, heading):
    """Return what stands under a heading of the second level."""
    return re.split(r"^## ", text.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]


@pytest.fixture
def untouched(tmp_path, monkeypatch):
    """Let code change the folder and torch's defaults for itself only."""
    monkeypatch.chdir(tmp_path)
    folders = [DOCS / "examples", DOCS / "examples" / "rnnkit-mgu", DOCS / "examples" / "rnnkit-delta"]
    monkeypatch.setattr(sys, "path", [*sys.path, *map(str, folders)])
    dtype = torch.get_default_dtype()
    yield
    torch.set_default_dtype(dtype)
    sys.modules.pop("rnnkit_delta", None)


# What torch itself says in jvp.
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("page", [pytest.param(page, marks=marks_of(page), id=name_of(page)) for page in PAGES])
@pytest.mark.usefixtures("untouched")
def test_code_runs_and_prints_what_the_page_says(page):
    namespace = {"__name__": "__main__"}
    for code, line, output in examples(read(page)):
        printed = StringIO()
        with redirect_stdout(printed):
            exec(compile("\n" * line + code, page, "exec"), namespace)
        assert printed.getvalue() == output, f"{page.name}, block of line {line}"


@every_page
def test_command_lines_are_accepted(page):
    group = click.Context(main, **main.context_settings)
    for line in COMMAND.findall(read(page).replace("\\\n", "")):
        words = [word for word in shlex.split(line, comments=True) if word not in GLOBAL_OPTIONS]
        if words:
            main.commands[words[0]].make_context(
                words[0], words[1:], parent=group
            )  # parses, or raises click.UsageError


@pytest.mark.parametrize("noun", ["cells", "unrollers", "tasks"])
def test_every_registered_name_has_a_row(noun):
    registry, page = getattr(rnnkit, noun), read(DOCS / f"{noun}.md")
    if noun == "cells":
        page += read(DOCS / "wrappers.md")
    names = [name for name in registry if registry.origin(name).startswith("rnnkit ")]
    if noun == "cells":  # tests/zoo holds a page to each of these
        rows = read(DOCS / "catalogue.md")
        catalogue = [name for name in names if name not in CORE_CELLS]
        assert [name for name in catalogue if f"\n| [`{name}`](catalogue/{name}.md) |" not in rows] == []
        names = [name for name in names if name in CORE_CELLS]
    assert names
    assert [name for name in names if f"\n| [`{name}`](#{name}) |" not in page] == []
    assert [name for name in names if f"::: {registry[name].__module__}\n" not in page] == []


def test_every_hook_is_documented():
    hooks = [name for name in vars(hookspecs) if name.startswith("rnnkit_")]
    assert hooks
    page = read(DOCS / "hooks.md")
    assert [hook for hook in hooks if f"::: rnnkit.plugin.hookspecs.{hook}\n" not in page] == []


def test_every_command_and_option_is_documented():
    page = read(DOCS / "command-line.md")
    for name, command in {"": main, **main.commands}.items():
        text = section(page, f"`rnnkit {name}`" if name else "`rnnkit`")
        options = [max(p.opts, key=len) for p in command.params if isinstance(p, click.Option)]
        assert [option for option in options if option not in text] == []


def test_help_texts_are_what_the_commands_print():
    spec = importlib.util.spec_from_file_location("rnnkit_docs_help", ROOT / "tools" / "help.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page, shown = read(DOCS / "command-line.md"), {path.stem: path.read_text() for path in script.FOLDER.iterdir()}
    assert shown == script.help_texts(), "regenerate them: python tools/help.py"
    assert [name for name, text in shown.items() if text not in page] == []


def test_the_table_of_settings_is_that_of_the_fields():
    spec = importlib.util.spec_from_file_location("rnnkit_docs_help", ROOT / "tools" / "help.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.SETTINGS.read_text() == script.settings_table(), "regenerate it: python tools/help.py"
    assert script.settings_table() in read(DOCS / "command-line.md") + "\n"


def test_every_public_name_is_on_one_page_of_the_api():
    found = {
        name: [page.stem for page in API if f"::: rnnkit.{name}\n" in read(page) + "\n"] for name in rnnkit.__all__
    }
    rooms = {name: home.partition(".")[0] for name, home in rnnkit._HOMES.items()} | {"init": "layers"}
    assert found == {name: [rooms.get(name, name)] for name in rnnkit.__all__}


def test_every_room_s_page_has_an_example_and_a_row_in_the_overview():
    overview = read(DOCS / "api.md")
    assert API
    assert [page.name for page in API if not list(examples(read(page)))] == []
    assert [
        page.name for page in API if f"\n| [{read(page).splitlines()[0][2:]}](api/{page.name}) |" not in overview
    ] == []


def test_every_extra_is_on_the_page_of_installing():
    page = read(DOCS / "install.md")
    for extra in extras():
        assert f"\n| `{extra.name}` | {extra.gives} | {', '.join(extra.packages)} |\n" in page


def test_evidence_stands_behind_what_one_wants_to_do():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2].partition("\n\n")[0]
    *_, last = re.split(r"^  - ", nav, flags=re.MULTILINE)
    assert last.startswith("Evidence:\n")
    pages = {"benchmarks.md", "many-cores.md", "gradient-matrix.md", "reliability.md", "bad-input.md"}
    assert set(re.findall(r"[\w-]+\.md", last)) == pages


def test_every_exit_code_is_documented():
    table = section(read(DOCS / "command-line.md"), "Exit codes")
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.RnnkitError)]
    assert len(kinds) > 5
    rows = dict(re.findall(r"^\| (\d+) \| (.*?) \|$", table, re.MULTILINE))
    assert [kind for kind in kinds if f"`{kind.__name__}`" not in rows[str(kind.exit_code)]] == []
    assert {"0", "130", "143"} <= set(rows)


def test_every_promise_of_a_cell_is_documented():
    page = read(DOCS / "write-a-cell.md")
    promises = testing.inspect_cell(rnnkit.cells["rnn"]).promises
    assert [promise for promise in promises if f"\n| {promise} |" not in page] == []


def test_every_field_of_a_record_is_documented():
    page = read(DOCS / "training.md")
    assert [field for field in Record.__dataclass_fields__ if f"\n| `{field}` |" not in page] == []


def test_every_plugin_package_and_file_of_the_architecture_is_there():
    text = read(DOCS / "architecture.md")
    packages = [path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")]
    assert [name for name in packages if f"\n  {name}/ " not in text] == []
    table = section(text, "The house").split("```")[0]
    files = re.findall(r"`(\w+/[\w/]+(?:\.py|/))`", table)
    assert len(files) > 12
    assert [name for name in files if not any((ROOT / base / name).exists() for base in ("rnnkit", "plugins"))] == []


def speeds(text):
    """Return geometric mean and least of the last column of a table: one row a size."""
    found = [float(x) for x in re.findall(r"^\| \d+, \d+, \d+, \d+ \|.* \| ([\d.]+) \([^|]*\) \|$", text, re.MULTILINE)]
    assert len(found) == 8
    return math.exp(sum(map(math.log, found)) / len(found)), min(found)


def test_the_speeds_of_the_drop_in_page_are_those_that_were_measured():
    table = section(read(DOCS / "drop-in.md"), "Speed")
    measured = {
        "compiled": speeds(section(read(DOCS / "benchmarks.md"), "LSTM").split("**memory kept**")[0]),
        "loop": speeds(included("assets/speed.md")),
    }
    for unroller, (mean, worst) in measured.items():
        row = re.search(rf"^\| `{unroller}`.* \| (.*) \| (.*) \|$", table, re.MULTILINE)
        assert float(row[1]) == pytest.approx(mean, abs=0.011), unroller
        assert float(row[2]) == pytest.approx(worst, abs=0.006), unroller


def test_transcripts_say_what_auto_takes():
    """A run that names no unroller says the one that a layer takes by itself, where there is a compiler."""
    for page in PAGES:
        for block in re.findall(r"^\$ rnnkit run([^\n]*)\n(.*?)^```", read(page), re.MULTILINE | re.DOTALL):
            told = re.search(r"^\w+ on \w+, unroller (\w+):", block[1], re.MULTILINE)
            if told and "--unroller" not in block[0]:
                assert told[1] == "compiled", page.name


@pytest.mark.parametrize("page", PAGES[:2], ids=lambda page: page.stem)  # of the others, the build checks the links
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.slow  # `make docs` builds the site, and .ci/run runs this
def test_the_site_builds_and_fetches_nothing(tmp_path):
    # Not --quiet, which would keep warnings from --strict too.
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    said = [line for line in (built.stdout + built.stderr).splitlines() if not line.startswith("INFO ")]
    assert (built.returncode, said) == (0, [])
    fetched = re.compile(r"<(?:script|img|link)[^>]*(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
    pages = list(tmp_path.glob("**/*.html"))
    assert len(pages) > len(list(DOCS.glob("*.md"))) + len(API)
    assert [(page.name, fetched.findall(page.read_text(encoding="utf-8"))) for page in pages] == [
        (page.name, []) for page in pages
    ]
