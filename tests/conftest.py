"""What many tests need: one thread, fake distributions, and the command line in this process or in one of its own."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .covering import leave_the_rest_to_test_all
from .fake_site import Site, cell_source

# The process that hands tests out to workers reads this file too: what imports torch is imported where it is used.

pytest_plugins = ["pytester"]

KEPT = Path(__file__).parents[1] / ".pytest_cache"

# Kernels that tests compile are kept between runs, apart from the user's own.
os.environ.setdefault("RNNKIT_CACHE", str(KEPT / "kernels"))


def pytest_configure(config):
    """Let kernels be compiled with the system's headers, which one worker compiles while all collect."""
    worker = getattr(config, "workerinput", {}).get("workerid")
    if worker or config.getoption("numprocesses", None) is None:
        from .system_headers import use_precompiled

        use_precompiled(KEPT / "headers", compile_them=worker in (None, "gw0"))


def pytest_collection(session):
    """Count no garbage while thousands of tests are collected, all of which stay."""
    gc.disable()


def pytest_collection_finish():
    """Leave collected tests out of every later count of the garbage, which would take a second each."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)  # before what is slow is left out
def pytest_collection_modifyitems(items):
    """Leave to `make test-all` what others cover, and bring the tests that are marked as early to the front."""
    leave_the_rest_to_test_all(items)
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Bits are compared, and they depend on the number of threads."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Yield an empty Site; afterwards nothing of it is left in this process."""
    monkeypatch.delenv("RNNKIT_PLUGINS", raising=False)
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    modules = set(sys.modules)
    site = Site(folder)
    yield site
    for name in set(sys.modules) - modules:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    site.refresh()


@pytest.fixture(name="cell_source")
def source_of_a_cell():
    """Return `fake_site.cell_source`."""
    return cell_source


@pytest.fixture
def few_cells(monkeypatch):
    """Let a check of an unroller go through the core's cells, and not all of the catalogue's."""
    import rnnkit

    from .core_cells import CORE_CELLS

    monkeypatch.setattr("rnnkit.testing.unrollers.cells", {name: rnnkit.cells[name] for name in CORE_CELLS})


@pytest.fixture
def cli():
    """Run a command line in this process: cli("run", "--cell", "lstm") -> a click Result."""
    from click.testing import CliRunner

    from rnnkit.cli import main

    runner = CliRunner(env={"COLUMNS": None})  # or a pipe is as wide as the terminal of whoever runs the tests
    return lambda *words: runner.invoke(main, [str(word) for word in words])


@pytest.fixture
def process(tmp_path):
    """Run a command line in a process of its own, started in a scratch folder."""

    def run(*words, path=None, **extra):
        found = [str(path or ""), os.environ.get("PYTHONPATH", "")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, found)), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "rnnkit", *map(str, words)]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, **extra)

    return run


@pytest.fixture
def past_run(tmp_path):
    """Write the folder of a run that nobody ran: past_run("first", [3.0, 2.5], {2: 2.6}) -> its path."""
    from rnnkit.runs.settings import Settings

    def write(name, metrics=(), validations=None, times=None, **settings):
        folder = tmp_path / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.toml").write_text(Settings(**{"steps": max(1, len(metrics)), **settings}).to_toml())
        (folder / "env.json").write_text("{}")
        records = []
        for step, metric in enumerate(metrics, start=1):
            record = {"step": step, "loss": metric, "metric": metric, "gradient_norm": 0.5, "tokens": 100 * step}
            records.append({**record, "lr": 0.01})
            if step in (validations or {}):
                records[-1]["validation"] = {"loss": 1.0, "metric": validations[step]}
        (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
        if times is not None:
            lines = [{"step": step, "seconds": seconds} for step, seconds in enumerate(times, start=1)]
            (folder / "times.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder

    return write
