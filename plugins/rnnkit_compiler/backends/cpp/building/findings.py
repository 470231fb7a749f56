"""Findings: what was found out on this machine and holds for later processes; a file each in the cache folder."""

import json
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any, Generic, TypeVar

from rnnkit_compiler.backends.cpp.building.cache import cache_folder

Found = TypeVar("Found")


class Findings(Generic[Found]):
    """Findings of one kind, each by all that it depends on.

    Args:
        name: of their folder.
        make: makes one of its fields, as a NamedTuple does.
        is_sound: tells whether one that was read may have been written so.
    """

    def __init__(self, name: str, make: Callable[..., Found], is_sound: Callable[[Found], bool]) -> None:
        self._name, self._make, self._is_sound = name, make, is_sound

    @property
    def folder(self) -> Path:
        """Where they are kept."""
        return cache_folder() / self._name

    def path(self, *facts: str) -> Path:
        """Return where the finding is kept that depends on these facts."""
        return self.folder / f"{sha256(chr(10).join(facts).encode()).hexdigest()}.json"

    def read(self, path: Path) -> Found | None:
        """Return a finding; None where there is none that can be read, so that it is found again."""
        try:
            found = self._make(**json.loads(path.read_text(encoding="utf-8")))
            return found if self._is_sound(found) else None
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, path: Path, found: Any) -> None:
        """Write a finding, whole or not at all; where that is not possible, each process finds it again."""
        try:
            path.parent.mkdir(exist_ok=True)
            scratch = path.with_suffix(f".{os.getpid()}")
            scratch.write_text(json.dumps(found._asdict()), encoding="utf-8")
            scratch.replace(path)
        except OSError:
            return

    def all(self) -> Iterator[Found]:
        """Read all that are kept."""
        yield from filter(None, map(self.read, self._paths()))

    def clear(self) -> int:
        """Forget all; return their bytes."""
        paths = self._paths()
        size = sum(path.stat().st_size for path in paths)
        for path in paths:
            path.unlink(missing_ok=True)
        return size

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("*.json")) if self.folder.is_dir() else []
