"""Copies of the files that a run has learnt from, in RUN/data: with them a run stands alone when the files are gone."""

import logging
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from rnnkit.errors import DataError, ResourceError
from rnnkit.runs.settings import Settings
from rnnkit.support.atomic_files import PARTIAL, write_file
from rnnkit.support.packing import PACKED, NoRoomError, pack
from rnnkit.support.paths import AnyPath, as_path

COPIES = "data"
NO_COPY = "no-copy.txt"
"""Says why a run has none."""

MIB = 2**20
NEEDED = (
    "eval, predict without --data, inspect and --resume need it where it is, or where --set says; "
    "a larger --keep-data keeps it"
)

log = logging.getLogger(__name__)


def keep_copies(path: AnyPath, settings: Settings) -> None:
    """Copy the task's files into the run in folder `path`, packed where they are large: all of them, or none.

    Where it is none, a line says why, and is kept with the run. The whole is there or nothing, whenever a process is
    killed. Nothing here ends a training.
    """
    path = as_path(path)
    files = _files(settings)
    if not files or not settings.keep_data or (path / COPIES).exists():
        return
    names = ", ".join(map(str, files.values()))
    reason = _copied(files, path / COPIES, settings)
    try:
        (path / NO_COPY).unlink(missing_ok=True)
        if reason:
            write_file(path / NO_COPY, f"{reason}\n".encode())
    except (OSError, ResourceError):  # a disk that takes no copy need not take this
        pass
    if reason:
        log.warning("%s keeps no copy of %s: %s", path, names, reason)


def _copied(files: Mapping[str, Path], folder: Path, settings: Settings) -> str:
    """Copy files to a new folder, and return ""; or say why they are not copied."""
    limit = settings.keep_data * MIB
    try:
        size = sum(file.stat().st_size for source in files.values() for file in _contents(source))
        if size <= limit:
            _copy_all(files, folder, _copy_tree)
            return ""
        more = f"{size / MIB:.1f} MiB is more than keep_data, {settings.keep_data} MiB"
        if not settings.task_class.unpacks or any(source.is_dir() for source in files.values()):
            return f"{more}; {NEEDED}"
        _copy_all(files, folder, _Packer(limit))
        return ""
    except NoRoomError:
        return f"{more}, and so it is packed; {NEEDED}"
    except OSError as error:
        return error.strerror or str(error)


def _copy_all(files: Mapping[str, Path], folder: Path, copy: Callable[[Path, Path], None]) -> None:
    """Copy files to a new folder, which is there once all are in it; `copy` copies one into a folder of its own."""
    partial = folder.with_name(f".{folder.name}.{os.getpid()}{PARTIAL}")
    try:
        for name, source in files.items():
            (partial / name).mkdir(parents=True)
            copy(source, partial / name)
        partial.rename(folder)
    except (OSError, NoRoomError):
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _copy_tree(source: Path, folder: Path) -> None:
    """Copy a file, or a folder with all that is in it, into a folder."""
    for file in _contents(source):
        place = folder / source.name / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)


class _Packer:
    """Copies files packed, into so much room for all together."""

    def __init__(self, room: int) -> None:
        self._room = room

    def __call__(self, source: Path, folder: Path) -> None:
        """Copy a file into a folder."""
        with source.open("rb") as plain, (folder / f"{source.name}{PACKED}").open("wb") as packed:
            self._room -= pack(plain, packed, self._room)


def with_copies(path: AnyPath, settings: Settings) -> Settings:
    """Return the settings of the run in folder `path`, the copies in the place of files that are gone."""
    copies = {name: str(copy) for name, file in _files(settings).items() if (copy := _copy(path, name, file))}
    return replace(settings, task_options={**settings.task_options, **copies})


def own_copies(path: AnyPath, settings: Settings) -> dict[str, Path]:
    """Return the copies that the run in folder `path` has of its files, by option, though these are there.

    There is none of a file that was given in place of the run's own, nor of one that is such a copy itself.
    """
    own = _files(Settings.of_run(as_path(path)))
    found = {}
    for name, file in _files(settings).items():
        copy = _place(path, name, file)
        if file == own.get(name) and file != copy and os.path.lexists(file) and copy.exists():
            found[name] = copy
    return found


def check_files(path: AnyPath, settings: Settings) -> list[Path]:
    """Say which of the files that the task of the run in folder `path` reads are gone; return the copies that are read.

    Raises:
        DataError: there is no copy.
    """
    copies = []
    for name, file in _files(settings).items():
        if os.path.lexists(file):
            continue
        copy = _copy(path, name, file)
        if copy is None:
            way = f"--set task.{name}=FILE, or files= in Python"
            why = f" (no copy of it was kept: {reason})" if (reason := _why_none(path)) else ""
            raise DataError(f"{file}, the data of {path}, is gone{why}; say where it is now with {way}")
        log.warning("%s is gone; its copy is read, %s", file, copy)
        copies.append(copy)
    return copies


def _files(settings: Settings) -> dict[str, Path]:
    """Return the files and folders that the task reads, by option."""
    options = {name: settings.task_options.get(name) for name in settings.task_class.files}
    return {name: Path(file) for name, file in options.items() if isinstance(file, str)}


def _copy(path: AnyPath, name: str, file: Path) -> Path | None:
    """Return the copy of a file that is gone; None: it is there, or there is no copy."""
    copy = _place(path, name, file)
    return copy if not os.path.lexists(file) and copy.exists() else None


def _place(path: AnyPath, name: str, file: Path) -> Path:
    """Return where the copy of a file is, if there is one: as it was, or packed."""
    plain = (as_path(path) / COPIES / name / file.name).absolute()
    packed = plain.with_name(f"{plain.name}{PACKED}")
    return packed if packed.exists() and not plain.exists() else plain


def _why_none(path: AnyPath) -> str:
    """Return why the run in folder `path` has no copies, as far as that goes before what is to be done about it."""
    try:
        return (as_path(path) / NO_COPY).read_text().partition(";")[0].strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _contents(source: Path) -> list[Path]:
    """Return a file itself, or all files in a folder; links are followed, each folder once."""
    if not source.is_dir():
        return [source]
    seen: set[str] = set()
    files: list[Path] = []
    for folder, folders, names in os.walk(source, followlinks=True):
        folders[:] = [name for name in folders if _first_seen(os.path.join(folder, name), seen)]
        files += [file for name in names if (file := Path(folder, name)).is_file()]
    return files


def _first_seen(folder: str, seen: set[str]) -> bool:
    """Tell whether a folder has not been met before, under any name; note that it has been now."""
    met = (real := os.path.realpath(folder)) in seen
    seen.add(real)
    return not met
