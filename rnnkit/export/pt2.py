"""Torch's own format: the archive of an exported program."""

import io
import zipfile
from collections.abc import Sequence

import torch
from torch.export import ExportedProgram

from rnnkit.export.format import Format, Runner
from rnnkit.export.interface import TensorInfo
from rnnkit.support.paths import AnyPath, as_path

ABOUT = "rnnkit.json"


class Pt2(Format):
    """An archive for `torch.export.load`: the graph as JSON, the weights as bytes."""

    name = "pt2"

    def encode(
        self, program: ExportedProgram, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], about: str
    ) -> bytes:
        """Return the bytes of the archive."""
        program.example_inputs = None  # they would be pickled
        buffer = io.BytesIO()
        torch.export.save(program, buffer, extra_files={ABOUT: about})
        return buffer.getvalue()

    def load(self, path: AnyPath) -> Runner:
        """Read an archive."""
        path = as_path(path)
        run: Runner = torch.export.load(path).module()
        return run

    def read_about(self, path: AnyPath) -> str:
        """Return the text in an archive; neither graph nor weights are read."""
        path = as_path(path)
        with zipfile.ZipFile(path) as archive:
            (entry,) = [name for name in archive.namelist() if name.endswith(f"/extra/{ABOUT}")]
            return archive.read(entry).decode()
