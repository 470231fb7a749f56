"""The format of an exported file: how a program is written, and run again."""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeAlias

from torch import Tensor
from torch.export import ExportedProgram

from rnnkit.errors import ResourceError
from rnnkit.export.interface import Table, TensorInfo
from rnnkit.support.paths import AnyPath

Runner: TypeAlias = Callable[..., tuple[Tensor, Table]]
"""What a file computes: input, and state if it takes one, to output and state."""


class Format(ABC):
    """A format of files."""

    name: ClassVar[str]
    """Also the suffix of its files."""

    packages: ClassVar[tuple[str, ...]] = ()
    """What it needs beside torch; rnnkit's extra of the same name brings it."""

    def check_packages(self) -> None:
        """Raise ResourceError if a package is not installed."""
        missing = [name for name in self.packages if importlib.util.find_spec(name) is None]
        if missing:
            raise ResourceError(f"export to {self.name} needs {', '.join(missing)}; pip install 'rnnkit[{self.name}]'")

    @abstractmethod
    def encode(
        self, program: ExportedProgram, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], about: str
    ) -> bytes:
        """Return the bytes of a file, with `about`, a text, inside."""

    @abstractmethod
    def load(self, path: AnyPath) -> Runner:
        """Read a file, to be run on the CPU."""

    @abstractmethod
    def read_about(self, path: AnyPath) -> str:
        """Return the text that `encode` put into a file; what is no such file raises whatever it may."""
