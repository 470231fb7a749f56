"""The extras of the distribution: what each gives, and which of its packages are installed."""

import re
from importlib import metadata
from typing import NamedTuple

GIVES = {
    "plot": "pictures: --plot, and those of inspect, race and forecasts",
    "data": "the task digits",
    "tensorboard": "rnnkit run --log tensorboard",
    "parquet": "tables in Parquet files",
    "wandb": "rnnkit run --log wandb: Weights & Biases",
    "mlflow": "rnnkit run --log mlflow",
    "triton": "kernels for GPUs; torch's builds for these bring it along",
    "notebook": "a progress bar and pictures in Jupyter",
    "onnx": "rnnkit export --format onnx",
    "recipes": "the recipes of docs/own-loop.md",
    "oracles": "for rnnkit's own slow tests: make test-all",
    "docs": "for rnnkit's own documentation: make docs",
    "dev": "for rnnkit's own tests: make test, make lint, make types",
}
"""By extra, what works where it is installed."""

REQUIREMENT = re.compile(r"""([\w.-]+).*;.*\bextra\s*==\s*["']([\w.-]+)["']""")
"""Of a distribution's metadata: `matplotlib>=3.9; extra == "plot"`."""


class Extra(NamedTuple):
    """An extra of rnnkit."""

    name: str
    gives: str
    packages: dict[str, str | None]
    """By the name of a distribution, the version that is installed; None: it is not."""

    @property
    def missing(self) -> list[str]:
        """Names of what is not installed."""
        return [name for name, version in self.packages.items() if version is None]

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'rnnkit[{self.name}]'"


def extras() -> list[Extra]:
    """Return what the installed distribution offers, in the order of its metadata."""
    packages: dict[str, dict[str, str | None]] = {}
    for requirement in metadata.requires("rnnkit") or []:
        if match := REQUIREMENT.match(requirement):
            packages.setdefault(match[2], {})[match[1]] = _version(match[1])
    return [Extra(name, GIVES.get(name, ""), found) for name, found in packages.items()]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
