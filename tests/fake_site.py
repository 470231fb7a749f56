"""Fake distributions: a folder on the import path, and the source of a plugin."""

import importlib
import re
from pathlib import Path

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


def cell_source(name="fake", hook=HOOK):
    """Return the source of a plugin: a cell called `name`, then `hook`, by default the one that offers it."""
    return CELL.format(name=name) + hook


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
        from rnnkit.plugin import registry  # here, for whoever hands out tests needs no torch

        importlib.invalidate_caches()
        registry._load.cache_clear()
