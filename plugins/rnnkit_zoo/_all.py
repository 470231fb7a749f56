"""All cells of the catalogue, while it is being written."""

from importlib import import_module
from pathlib import Path

import rnnkit

FILES = [path.stem for path in sorted(Path(__file__).parent.glob("*.py")) if not path.stem.startswith("_")]


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer them."""
    return [cell for file in FILES for cell in import_module(f"rnnkit_zoo.{file}").rnnkit_cells()]
