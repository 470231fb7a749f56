"""What many tests need: one thread, fake distributions, and the command line in this process or in one of its own."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from rnnkit import registry
from rnnkit.cli import main
from rnnkit.settings import Settings

# Kernels that tests compile are kept between runs, apart from the user's own.
os.environ.setdefault("RNNKIT_CACHE", str(Path(__file__).parents[1] / ".pytest_cache" / "kernels"))

CELL = '''
import torch

import rnnkit


class Fake(rnnkit.Cell):
    """A cell for tests."""

    name = "{name}"

    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.weight = torch.nn.Parameter(torch.randn(hidden_size, input_size))

    def step(self, p, state):
        h = torch.tanh(p @ self.weight.t() + state[0])
        return h, (h,)
'''

HOOK = """
@rnnkit.hookimpl
def rnnkit_cells():
    return [Fake]
"""


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Bits are compared, and they depend on the number of threads."""
    torch.set_num_threads(1)


class Site:
    """A folder on the import path, into which a test installs fake distributions."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(self, distribution, version="1.0", **sources):
        """Install a distribution with an entry point for each of `sources`: entry=SOURCE of its module."""
        module = re.sub(r"[-_.]+", "_", distribution)
        info = self.path / f"{module}-{version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        lines = [f"{entry} = {module}_{entry}" for entry in sources]
        (info / "entry_points.txt").write_text("\n".join(["[rnnkit]", *lines]) + "\n")
        for entry, source in sources.items():
            (self.path / f"{module}_{entry}.py").write_text(source)
        self.refresh()
        return info

    def refresh(self):
        """Let what has changed on the import path be seen."""
        importlib.invalidate_caches()
        registry._load.cache_clear()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Give an empty Site; afterwards nothing of it is left in this process."""
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


@pytest.fixture
def cell_source():
    """Give the source of a plugin: a cell called `name`, then `hook` (default: the one that offers it)."""
    return lambda name="fake", hook=HOOK: CELL.format(name=name) + hook


@pytest.fixture
def cli():
    """Run a command line in this process: cli("run", "--cell", "lstm") -> a click Result."""
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


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
