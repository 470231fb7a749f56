"""Where one input of the corpus is tried: a folder, what lies in it, and what is done to the process."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import load, save

from ..fake_site import Site, cell_source
from .mutations import FORGED, MANIFEST, forged

WEIGHTS, TRAINING = "model.safetensors", "training.safetensors"
RESUME = ("run", "--resume", "run", "--steps", 9, "--quiet")
TRAIN = ("run", "--steps", 1, "--hidden", 2, "--batch", 2, "--quiet", "--out", "run")


class Scene:
    """An empty folder, in which a command line will be run.

    Args:
        folder: it.
        past: gives the folder of a finished run with some settings changed: past(hidden=3).
        learnt: gives that of a run that has learnt from a file: learnt("csv", content, *words).
    """

    def __init__(self, folder: Path, past: Callable[..., Path], learnt: Callable[..., Path]) -> None:
        self.folder = folder
        self.request: dict[str, Any] = {}
        """What server.py is asked for besides."""
        self.leaves = False
        """Whether the input is met so late that something is left behind by right."""
        self._past, self._learnt = past, learnt

    def run(self, **changed: object) -> Path:
        """Put a finished run there, as "run"; give the folder of its newest checkpoint."""
        shutil.copytree(self._past(**changed), self.folder / "run")
        return max((self.folder / "run" / "checkpoints").iterdir())

    def take_over(self, **changed: object) -> Path:
        """Put a run there with the checkpoint of another one; give the folder of the checkpoint."""
        checkpoint = self.run()
        shutil.rmtree(checkpoint)
        shutil.copytree(max((self._past(**changed) / "checkpoints").iterdir()), checkpoint)
        return checkpoint

    def learnt(self, task: str, content: str, *words: object) -> None:
        """Put a run there, as "run", that has learnt from a file table.csv beside it, which is gone."""
        run = self._learnt(task, content, *words)
        shutil.copytree(run, self.folder / "run")
        config = self.folder / "run" / "config.toml"
        config.write_text(config.read_text().replace(str(run.parent), str(self.folder)))

    def text(self, content: str | bytes, name: str = "text.txt") -> Path:
        """Put a file there."""
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def before(self, function: str, **arguments: object) -> None:
        """Have a function of faults.py called first."""
        self.request.setdefault("before", []).append(["faults", function, arguments])

    def plugin(self, source: str, distribution: str = "fake-odd", version: str = "1.0", name: str = "odd") -> None:
        """Install a third party's module; its source comes after a working cell class `Fake` called `name`."""
        site = self.folder / "site"
        Site(site).install(distribution, version, odd=cell_source(name, source))
        if not self.request.get("before"):
            self.before("installed", site=str(site))


class Item(NamedTuple):
    """One input that is no good."""

    name: str
    make: Callable[[Scene], tuple[object, ...]]
    """Prepares the scene; gives the command line."""
    code: int
    says: tuple[str, ...]
    """What its one line must have; empty where there is nothing to be said."""


def rewritten(checkpoint: Path, name: str, data: bytes) -> None:
    """Replace a file of a checkpoint, and let every checksum agree."""
    put(checkpoint, forged("", {**taken(checkpoint), name: data}).files)


def retold(checkpoint: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest, and let its checksum agree."""
    files = taken(checkpoint)
    manifest = json.loads(files[MANIFEST])
    change(manifest)
    mutation = forged("", {**files, MANIFEST: json.dumps(manifest).encode()}, sizes=False)
    assert mutation.kind == FORGED
    put(checkpoint, mutation.files)


def redone(checkpoint: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the tensors of a file, and let every checksum agree."""
    tensors = load((checkpoint / name).read_bytes())
    change(tensors)
    rewritten(checkpoint, name, save(tensors))


def taken(checkpoint: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in checkpoint.iterdir()}


def put(checkpoint: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (checkpoint / name).write_bytes(data)
