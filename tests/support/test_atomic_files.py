"""Files are there whole or not at all, whatever happens; what is read is a regular file of the right size."""

import os

import pytest

from rnnkit.errors import CheckpointError, ResourceError
from rnnkit.support.atomic_files import (
    PARTIAL,
    read_file,
    remove_folder,
    sweep,
    tried_file,
    write_file,
    write_folder,
)

FILES = {"one": b"1" * 1000, "two": b"", "three": bytes(range(256))}


def contents(path):
    """Return what a file holds, or a folder's files."""
    return {file.name: file.read_bytes() for file in path.iterdir()} if path.is_dir() else path.read_bytes()


class Killed(BaseException):
    """The process ends here."""


class Calls:
    """Notes the system calls that change the disk, and fails at the one of a number."""

    NAMES = ("open", "write", "fsync", "mkdir", "rename", "replace", "rmdir", "unlink")

    def __init__(self, monkeypatch, fail_at=None, error=None):
        self.made = []
        for name in self.NAMES:
            monkeypatch.setattr(os, name, self._wrap(name, getattr(os, name), fail_at, error))

    def _wrap(self, name, call, fail_at, error):
        def wrapped(*arguments, **options):
            self.made.append((name, arguments))
            if len(self.made) - 1 == fail_at:
                raise error
            return call(*arguments, **options)

        return wrapped

    @property
    def names(self):
        return [name for name, _ in self.made]


def how_many(action, path, monkeypatch):
    """Return how many calls an action makes, on a path that it is then not at."""
    with monkeypatch.context() as patch:
        calls = Calls(patch)
        action(path)
    return len(calls.made)


def test_a_file_comes_back(tmp_path):
    write_file(tmp_path / "file", b"before")
    write_file(tmp_path / "file", b"after")
    assert read_file(tmp_path / "file", 5) == b"after"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_folder_comes_back(tmp_path):
    write_folder(tmp_path / "folder", FILES)
    assert contents(tmp_path / "folder") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_folder_may_have_empty_folders_in_it(tmp_path):
    with pytest.raises(ResourceError):
        write_folder(tmp_path / "folder", FILES, ["inside", "inside"])
    assert list(tmp_path.iterdir()) == []
    write_folder(tmp_path / "folder", {}, ["inside"])
    assert list((tmp_path / "folder" / "inside").iterdir()) == []


def test_a_file_that_fails_its_trial_leaves_what_was_there(tmp_path):
    write_file(tmp_path / "file", b"before")
    seen = []

    def fail(partial):
        seen.append((partial.read_bytes(), (tmp_path / "file").read_bytes()))
        raise OSError("of the trial")

    with pytest.raises(OSError, match="of the trial"), tried_file(tmp_path / "file", b"after") as partial:
        fail(partial)
    assert seen == [(b"after", b"before")]
    assert contents(tmp_path) == {"file": b"before"}


def test_a_file_is_on_disk_before_its_name_is(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)
    write_file(tmp_path / "file", b"data")
    assert calls.names == ["open", "write", "fsync", "replace", "open", "fsync"]


def test_the_files_of_a_folder_and_their_names_are_on_disk_before_its_own(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)
    write_folder(tmp_path / "folder", {"one": b"1", "two": b"2"})
    file, folder = ["open", "write", "fsync"], ["open", "fsync"]
    assert calls.names == ["mkdir", *file, *file, *folder, "rename", *folder]


def test_files_lie_in_folders_within_the_folder_which_are_on_disk_before_it(tmp_path, monkeypatch):
    calls = Calls(monkeypatch)
    files = {"one": b"1", "a/b/two": b"2", "a/three": b"3"}
    write_folder(tmp_path / "folder", files)
    file, folder = ["open", "write", "fsync"], ["open", "fsync"]
    assert calls.names == [*["mkdir"] * 3, *file * 3, *folder * 3, "rename", *folder]
    assert {name: (tmp_path / "folder" / name).read_bytes() for name in files} == files


def test_large_data_is_written_in_as_many_pieces_as_the_system_likes(tmp_path, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:100]))
    write_folder(tmp_path / "folder", FILES)
    assert contents(tmp_path / "folder") == FILES


def actions():
    return [
        pytest.param(lambda path: write_file(path, b"after"), b"before", b"after", id="file"),
        pytest.param(lambda path: write_folder(path, FILES), None, FILES, id="folder"),
    ]


@pytest.mark.parametrize(("action", "before", "after"), actions())
def test_a_call_that_fails_leaves_what_was_there_and_nothing_else(tmp_path, monkeypatch, action, before, after):
    count = how_many(action, tmp_path / "counted", monkeypatch)
    assert count > 5
    for number in range(count):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        if before is not None:
            (folder / "it").write_bytes(before)
        with monkeypatch.context() as patch:
            Calls(patch, number, OSError(28, "No space left on device"))
            with pytest.raises(ResourceError, match=r"/it cannot be written: No space left on device"):
                action(folder / "it")
        left = {path.name: contents(path) for path in folder.iterdir()}
        assert left in ({} if before is None else {"it": before}, {"it": after}), number


@pytest.mark.parametrize(("action", "before", "after"), actions())
def test_a_kill_at_any_call_leaves_it_whole_or_not_there(tmp_path, monkeypatch, action, before, after):
    for number in range(how_many(action, tmp_path / "counted", monkeypatch)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        if before is not None:
            (folder / "it").write_bytes(before)
        with monkeypatch.context() as patch:
            Calls(patch, number, Killed())
            with pytest.raises(Killed):
                action(folder / "it")
        assert contents(folder / "it") in (before, after) if (folder / "it").exists() else before is None, number
        sweep(folder)
        assert {path.name for path in folder.iterdir()} <= {"it"}, number
        if before is not None or not (folder / "it").exists():
            action(folder / "it")  # and it can be done again
        assert contents(folder / "it") == after


def test_a_kill_in_mid_removal_leaves_it_whole_or_not_there(tmp_path, monkeypatch):
    write_folder(tmp_path / "counted", FILES)
    for number in range(how_many(remove_folder, tmp_path / "counted", monkeypatch)):
        folder = tmp_path / f"{number}"
        folder.mkdir()
        write_folder(folder / "it", FILES)
        with monkeypatch.context() as patch:
            Calls(patch, number, Killed())
            with pytest.raises(Killed):
                remove_folder(folder / "it")
        assert not (folder / "it").exists() or contents(folder / "it") == FILES
        sweep(folder)
        assert {path.name for path in folder.iterdir()} <= {"it"}


def test_what_a_killed_process_of_the_same_number_left_is_in_nobodys_way(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        Calls(patch, 4, Killed())
        with pytest.raises(Killed):
            write_folder(tmp_path / "it", FILES)
    assert [path.name.endswith(PARTIAL) for path in tmp_path.iterdir()] == [True]
    write_folder(tmp_path / "it", {"other": b""})
    assert contents(tmp_path / "it") == {"other": b""}
    assert [path.name for path in tmp_path.iterdir()] == ["it"]


def test_a_folder_that_is_there_is_not_written_over(tmp_path):
    write_folder(tmp_path / "folder", FILES)
    with pytest.raises(ResourceError, match="folder cannot be written: Directory not empty"):
        write_folder(tmp_path / "folder", {"one": b""})
    assert contents(tmp_path / "folder") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(
    "action",
    [
        lambda path: write_file(path, b""),
        lambda path: write_folder(path, FILES),
        remove_folder,
        lambda path: sweep(path.parent),
    ],
    ids=["file", "folder", "removal", "sweep"],
)
def test_a_folder_that_is_not_there(tmp_path, action):
    with pytest.raises(ResourceError, match="cannot be written: No such file or directory"):
        action(tmp_path / "nowhere" / "it")


def test_only_what_is_partial_is_swept(tmp_path):
    names = ["file", f"file{PARTIAL}", ".hidden", f".a.1{PARTIAL}", f".b.2{PARTIAL}"]
    for name in names[:4]:
        (tmp_path / name).write_text("mine")
    write_folder(tmp_path / names[4], FILES)
    (tmp_path / f".c.3{PARTIAL}").symlink_to(tmp_path / "file")
    sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(names[:3])


def make_nothing(path):
    assert not path.exists()


def make_folder(path):
    path.mkdir()


def make_pipe(path):
    os.mkfifo(path)


def make_link(path):
    path.with_name("other").write_bytes(b"data")
    path.symlink_to(path.with_name("other"))


def make_loop(path):
    path.symlink_to(path)


def make_large(path):
    path.write_bytes(b"12345678901")


@pytest.mark.timeout(5)
@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (make_nothing, "cannot be read: No such file or directory"),
        (make_folder, "is not a regular file"),
        (make_pipe, "is not a regular file"),
        (make_link, "cannot be read: Too many levels of symbolic links"),
        (make_loop, "cannot be read: Too many levels of symbolic links"),
        (make_large, "has 11 bytes; at most 10 were expected, so it is damaged"),
    ],
)
def test_what_is_not_read(tmp_path, make, fault):
    make(tmp_path / "it")
    with pytest.raises(CheckpointError) as caught:
        read_file(tmp_path / "it", 10)
    assert str(caught.value) == f"{tmp_path / 'it'} {fault}"


def test_a_device_is_not_read():
    with pytest.raises(CheckpointError, match="/dev/zero is not a regular file"):
        read_file(os.path.join("/dev", "zero"), 10)


def test_a_name_that_no_file_can_have(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read: embedded null byte"):
        read_file(tmp_path / "a\0b", 10)


def test_reading_leaves_no_file_open(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    before = len(os.listdir("/proc/self/fd"))
    for limit in (10, 9, 10):
        try:
            assert read_file(tmp_path / "file", limit) == b"0123456789"
        except CheckpointError:
            assert limit == 9
    assert len(os.listdir("/proc/self/fd")) == before
