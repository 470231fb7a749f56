"""The folder of a matrix: records.jsonl, a line for each case that was examined, and certificate.json."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any

from rnnkit.checkpoints.lock import locked
from rnnkit.errors import UsageError
from rnnkit.matrix.certificate import to_text
from rnnkit.matrix.record import Record
from rnnkit.support.atomic_files import reported, write_file
from rnnkit.support.own_files import check_not_own
from rnnkit.support.paths import AnyPath, as_path

RECORDS, CERTIFICATE = "records.jsonl", "certificate.json"


class MatrixFolder:
    """Keeps each record as soon as it is there. One process at a time.

    Args:
        path: where; it is made if it is not there.

    Raises:
        UsageError: something else is there.
        ResourceError: it cannot be made or written. CheckpointError: another process writes to it.
    """

    def __init__(self, path: AnyPath) -> None:
        self.path = as_path(path)
        check_not_own(self.path / RECORDS, "--out")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"--out {self.path} is not a folder; name another one")
        if self.path.is_dir() and not (self.path / RECORDS).exists() and any(self.path.iterdir()):
            raise UsageError(f"--out {self.path} holds something else; name a new folder, or one with a {RECORDS}")
        with reported(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        self._lock = locked(self.path)
        with reported(self.path / RECORDS):
            self._end_line()
            self._file = open(self.path / RECORDS, "a", encoding="utf-8")  # noqa: SIM115  (closed by `close`)

    def _end_line(self) -> None:
        """End a line that a kill has cut off, so that the next one stands by itself."""
        path = self.path / RECORDS
        if path.exists() and (data := path.read_bytes()) and not data.endswith(b"\n"):
            with open(path, "ab") as file:
                file.write(b"\n")

    def records(self) -> list[Record]:
        """Return what was recorded, in its order; lines that are damaged count as none."""
        with reported(self.path / RECORDS):
            lines = (self.path / RECORDS).read_text(encoding="utf-8", errors="replace").splitlines()
        return [record for record in map(Record.read, lines) if record is not None]

    def add(self, record: Record) -> None:
        """Keep a record."""
        with reported(self.path / RECORDS):
            self._file.write(record.to_json() + "\n")
            self._file.flush()

    def write(self, certificate: dict[str, Any]) -> Path:
        """Write the certificate, over one that may be there; return where it is."""
        path = self.path / CERTIFICATE
        write_file(path, to_text(certificate).encode())
        return path

    def close(self) -> None:
        """Let others in."""
        self._file.close()
        os.close(self._lock)

    def __enter__(self) -> "MatrixFolder":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
