"""The corpus: 245 inputs that are no good. Each gets one line that names what is wrong and what to do, and soon."""

import html
import json
import os
import re
from pathlib import Path

import pytest

from .bad_arguments import ARGUMENTS
from .bad_beginnings import BEGINNINGS
from .bad_checkpoints import CHECKPOINTS
from .bad_data import DATA
from .bad_forecasts import FORECASTS
from .bad_labels import LABELS
from .bad_plugins import PLUGINS
from .bad_readings import READINGS
from .bad_resources import RESOURCES
from .bad_sequences import SEQUENCES
from .bad_tables import TABLES
from .promises import ANSWERED
from .scene import TRAIN, Scene
from .small_run import complaints

CORPUS = {
    "Checkpoints": CHECKPOINTS,
    "Plugins": PLUGINS,
    "Data": DATA,
    "Tables": TABLES,
    "Readings": READINGS,
    "Labels": LABELS,
    "Sequences": SEQUENCES,
    "Forecasts": FORECASTS,
    "Resources": RESOURCES,
    "Arguments": ARGUMENTS,
    "New plugins": BEGINNINGS,
}
THINNED = {"Readings": 4, "Sequences": 4, "Forecasts": 3}
"""Of how many items `make test` tries one, where tests of their own have their words, too."""

ITEMS = [(chapter, item) for chapter, items in CORPUS.items() for item in items]
PAGE = Path(__file__).parents[2] / "docs" / "assets" / "corpus.md"
REPORT = "RNNKIT_CORPUS"
"""Environment variable: a file to which a line of JSON is added for what was said of each item."""

SECONDS, BYTES = 5.0, 500e6
PAST = ("run", "--task", "adding", "--seq-len", 6, "--batch", 2, "--hidden", 4, "--unroller", "loop", "--quiet")


@pytest.fixture(scope="session")
def past(server, tmp_path_factory):
    """Return the folder of a finished run of four steps with some settings changed: past(hidden=3)."""
    folder, found = tmp_path_factory.mktemp("past"), {}

    def get(**changed):
        settings = {"steps": 4, "save_every": 0, **changed}
        name = "-".join(map(str, settings.values()))
        if name not in found:
            words = [word for key, value in settings.items() for word in (f"--{key.replace('_', '-')}", value)]
            done = server.run(*PAST, *words, "--out", folder / name)
            assert done.code == 0, done
            found[name] = folder / name
        return found[name]

    return get


@pytest.fixture(scope="session")
def learnt(server, tmp_path_factory):
    """Return the folder of a run of one step on a file that is gone since: learnt("csv", content, "--keep-data", 0)."""
    found = {}

    def get(task, content, *words):
        key = (task, content, *words)
        if key not in found:
            folder = tmp_path_factory.mktemp("learnt")
            (folder / "table.csv").write_text(content)
            sizes = ("--steps", 1, "--batch", 2, "--hidden", 2, "--unroller", "loop", "--quiet")
            own = ("--set", "task.window=4", "--set", "task.horizon=2") if task == "csv" else ()
            done = server.run(
                "run",
                "--task",
                task,
                *sizes,
                "--set",
                "task.file=table.csv",
                *own,
                *words,
                "--out",
                "run",
                folder=folder,
            )
            assert done.code == 0, done
            (folder / "table.csv").unlink()
            found[key] = folder / "run"
        return found[key]

    return get


def test_the_corpus_is_whole():
    assert [len(items) for items in CORPUS.values()] == [36, 16, 16, 18, 27, 30, 26, 31, 12, 28, 6]
    assert len({(chapter, item.name) for chapter, item in ITEMS}) == 246


def cases():
    """Yield each item, slow but for one of so many of its chapter."""
    for chapter, items in CORPUS.items():
        for number, item in enumerate(items):
            marks = [pytest.mark.slow] if number % THINNED.get(chapter, 1) else []
            yield pytest.param(chapter, item, marks=marks, id=f"{chapter}: {item.name}")


@pytest.mark.parametrize(("chapter", "item"), [*cases()])
def test_an_input_that_is_no_good(server, past, learnt, tally, tmp_path, chapter, item):
    scene = Scene(tmp_path, past, learnt)
    words = item.make(scene)
    before = contents(tmp_path)
    done = server.run(*words, folder=tmp_path, **scene.request)
    failures = complaints(done, item.code, *item.says) if item.code else spoken(done, item.says)
    if item.code and not scene.leaves:
        failures += [f"{path} differs" for path in differing(before, contents(tmp_path))]
    if done.cpu > SECONDS:
        failures.append(f"it took {done.cpu:.1f} s")
    if done.peak > BYTES:
        failures.append(f"it took {done.peak / 1e6:.0f} MB")
    if chapter == "Plugins":
        failures += troubled(server, scene)
    line = done.err.strip().removeprefix("rnnkit: ").replace(f"{tmp_path}/", "")
    if REPORT in os.environ:
        with Path(os.environ[REPORT]).open("a") as file:
            file.write(json.dumps({"chapter": chapter, "name": item.name, "code": done.code, "line": line}) + "\n")
    else:
        failures += unlike_the_page(chapter, item)
    tally(ANSWERED, f"{chapter.lower()} that are no good", 1, failures)


def spoken(done, says):
    """Return what is wrong with a command that goes on: it says one line, or none where there is nothing to say."""
    as_wanted = done.code == 0 and done.err.count("\n") == bool(says) and all(word in done.err for word in says)
    return [] if as_wanted else [f"expected a line with {says}, got {done.code} and {done.err!r}"]


def troubled(server, scene):
    """Return what else a broken plugin spoils: nothing, if the others' cells train, and help is there at once."""
    trains = server.run(*TRAIN, "--task", "adding", "--cell", "lstm", folder=scene.folder, **scene.request)
    helps = server.run("run", "--help", folder=scene.folder, **scene.request)
    failures = [] if (trains.code, trains.err) == (0, "") else [trains]
    return failures if helps.code == 0 and helps.cpu < 1 else [*failures, helps]


def contents(folder):
    """Return what lies in a folder, but for what the trial has said."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        regular = path.is_file() and not path.is_symlink() and about.st_mode & 0o400
        found[str(path.relative_to(folder))] = path.read_bytes() if regular else oct(about.st_mode)
    return {
        name: what for name, what in found.items() if name not in ("stdout", "stderr") and "__pycache__" not in name
    }


def differing(before, after):
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def unlike_the_page(chapter, item):
    """Return what the documentation says otherwise; `python tools/measure.py corpus` writes it anew."""
    section = PAGE.read_text().partition(f"## {chapter}\n")[2].partition("\n## ")[0]
    row = re.search(rf"^\| \d+ \| {re.escape(item.name)} \| (\d+) \| (.*) \|$", section, re.M)
    if row and int(row[1]) == item.code and all(word in html.unescape(row[2]) for word in item.says):
        return []
    return [f"{PAGE.name} has another row for {chapter}: {item.name}"]
