"""The cache of compiled kernels: whole or absent, safe from others, bounded, and never in the way."""

import errno
import json
import logging
import os
import tempfile
import time
from pathlib import Path

import pytest

from rnnkit_compiler.backends.cpp.building import cache

KEY = "a1" * 32
OTHER = "b2" * 32
LIBRARY = bytes(range(256)) * 40
DAY = 24 * 3600


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Keep kernels, and all that is temporary, under the test's own folder."""
    monkeypatch.setenv("RNNKIT_CACHE", str(tmp_path / "kernels"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    cache._usable.cache_clear()
    cache._warn_of.cache_clear()
    yield tmp_path / "kernels"
    cache._usable.cache_clear()


@pytest.fixture
def told(caplog):
    """Return a function that tells what was logged as a warning so far."""
    caplog.set_level(logging.WARNING, logger="rnnkit_compiler")
    return lambda: [record.getMessage() for record in caplog.records]


def store(key=KEY, library=LIBRARY):
    cache.store(key, library, "int source;", {"compiler": "c++", "seconds": 0.5})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- The folder ----


def test_the_folder_is_the_chosen_one_else_under_the_cache_home_else_under_the_home(tmp_path, monkeypatch):
    assert cache.cache_folder() == tmp_path / "kernels"
    monkeypatch.delenv("RNNKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache.cache_folder() == tmp_path / "xdg" / "rnnkit"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for unusable in ("", "relative/path"):  # the specification has relative ones ignored
        monkeypatch.setenv("XDG_CACHE_HOME", unusable)
        assert cache.cache_folder() == tmp_path / "home" / ".cache" / "rnnkit"


def test_the_folder_is_made_for_the_user_alone(folder):
    before = os.umask(0)
    try:
        assert cache.cache_folder().stat().st_mode & 0o777 == 0o700
    finally:
        os.umask(before)


def test_a_folder_that_others_can_only_read_is_used(folder):
    folder.mkdir(mode=0o755)
    assert cache.cache_folder() == folder


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_folder_that_others_can_write_to_is_refused_and_said_once(folder, told, mode):
    folder.mkdir()
    folder.chmod(mode)
    used = cache.cache_folder()
    assert used != folder
    assert used == cache.cache_folder()
    assert used.stat().st_mode & 0o777 == 0o700
    store()
    assert cache.fetch(KEY) == LIBRARY
    assert names(folder) == []
    assert len(told()) == 1
    assert f"{folder}: compiled kernels cannot be kept here (others can write to it" in told()[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused(folder, told):
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, -1)
    assert cache.cache_folder() != folder
    assert "it belongs to another user" in told()[0]


def test_a_folder_that_cannot_be_made_is_replaced(folder, told):
    folder.write_text("a file in its place")
    used = cache.cache_folder()
    assert used.is_dir()
    assert used != folder
    store()
    assert cache.fetch(KEY) == LIBRARY
    assert len(told()) == 1


def test_a_user_without_a_home_gets_a_temporary_folder(monkeypatch, told):
    monkeypatch.delenv("RNNKIT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert cache.cache_folder().is_absolute()
    assert "no home folder" in told()[0]


# ---- Kernels ----


def test_what_is_stored_is_fetched_and_can_be_read(folder):
    assert cache.fetch(KEY) is None
    store()
    assert cache.fetch(KEY) == LIBRARY
    assert cache.fetch(OTHER) is None
    assert names(folder) == [f"{KEY}.{ending}" for ending in ("cpp", "json", "so")]
    assert (folder / f"{KEY}.cpp").read_text() == "int source;"
    facts = json.loads((folder / f"{KEY}.json").read_text())
    assert (facts["compiler"], facts["seconds"]) == ("c++", 0.5)


@pytest.mark.parametrize("place", [0, 5000, len(LIBRARY) - 1])
def test_one_changed_byte_is_found(folder, place):
    store()
    damaged = bytearray(LIBRARY)
    damaged[place] ^= 1
    (folder / f"{KEY}.so").write_bytes(damaged)
    assert cache.fetch(KEY) is None
    store()
    assert cache.fetch(KEY) == LIBRARY


@pytest.mark.parametrize("ending", ["so", "json"])
@pytest.mark.parametrize("size", [0, 1, 100])
def test_a_truncated_file_is_found(folder, ending, size):
    store()
    os.truncate(folder / f"{KEY}.{ending}", size)
    assert cache.fetch(KEY) is None


@pytest.mark.parametrize("record", [b"", b"null", b"[]", b'"text"', b"{}", b"\xff\xfe", b"[" * 100_000, b'{"key": 1}'])
def test_a_record_can_be_anything(folder, record):
    store()
    (folder / f"{KEY}.json").write_bytes(record)
    assert cache.fetch(KEY) is None


def test_a_kernel_under_another_key_is_not_taken(folder):
    store()
    for ending in ("so", "json"):
        (folder / f"{KEY}.{ending}").rename(folder / f"{OTHER}.{ending}")
    assert cache.fetch(OTHER) is None


@pytest.mark.parametrize("missing", ["so", "json"])
def test_half_a_kernel_is_none(folder, missing):
    store()
    (folder / f"{KEY}.{missing}").unlink()
    assert cache.fetch(KEY) is None


@pytest.mark.parametrize("ending", ["so", "json"])
def test_a_link_a_pipe_and_a_folder_are_not_read(folder, ending):
    store()
    path = folder / f"{KEY}.{ending}"
    path.rename(folder / "elsewhere")
    path.symlink_to(folder / "elsewhere")
    assert cache.fetch(KEY) is None
    path.unlink()
    os.mkfifo(path, 0o600)
    assert cache.fetch(KEY) is None
    path.unlink()
    path.mkdir(mode=0o700)
    assert cache.fetch(KEY) is None


@pytest.mark.parametrize("ending", ["so", "json"])
def test_a_file_that_others_can_write_to_is_not_taken(folder, ending):
    store()
    (folder / f"{KEY}.{ending}").chmod(0o666)
    assert cache.fetch(KEY) is None
    store()
    assert cache.fetch(KEY) == LIBRARY


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("ending", ["so", "json"])
def test_a_file_of_another_user_is_not_taken(folder, ending):
    store()
    os.chown(folder / f"{KEY}.{ending}", 12345, -1)
    assert cache.fetch(KEY) is None


def test_the_record_comes_last(folder, monkeypatch):
    order = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (order.append(Path(new).suffix), replace(old, new)))
    store()
    assert order == [".cpp", ".so", ".json"]


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_full_disk_is_said_once_and_leaves_nothing(folder, monkeypatch, told, failing):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, failing, full)
    store()
    store(OTHER)
    assert cache.store_log(KEY, b"error", "source") is None
    assert names(folder) == []
    assert len(told()) == 1
    assert "cannot be stored (No space left on device)" in told()[0]


def test_an_interrupted_write_leaves_nothing(folder, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        store()
    assert names(folder) == []


def test_a_log_is_kept_with_its_source(folder):
    path = cache.store_log(KEY, b"error: no", "int source;")
    assert path == folder / f"{KEY}.log"
    assert path.read_bytes() == b"error: no"
    assert path.with_suffix(".cpp").read_text() == "int source;"
    assert cache.fetch(KEY) is None


# ---- Size ----


def test_clearing_removes_what_is_ours_and_nothing_else(folder):
    store()
    cache.store_log(OTHER, b"error", "int other;")
    (folder / "rnnkit-kernel-abc_12.tmp").write_bytes(b"left over")
    found = cache.cache_size()
    assert found == (6, sum(path.stat().st_size for path in folder.iterdir()))
    foreign = ["notes.txt", "a1.so", f"{KEY}.so.bak", f"{KEY}.o", KEY, f"x{KEY}.so", f"{KEY.upper()}.so", ".tmp"]
    for name in foreign:
        (folder / name).write_bytes(b"keep")
    (folder / f"{'c3' * 32}.so").mkdir()
    (folder / f"{'d4' * 32}.so").symlink_to(folder / "notes.txt")
    assert cache.clear_cache() == found
    assert names(folder) == sorted([*foreign, f"{'c3' * 32}.so", f"{'d4' * 32}.so"])
    assert cache.cache_size() == cache.clear_cache() == (0, 0)


def age(folder, key, seconds):
    for path in folder.glob(f"{key}.*"):
        os.utime(path, (time.time() - seconds,) * 2)


def test_the_least_recently_used_kernel_goes_first(folder):
    keys = [f"{digit}" * 64 for digit in range(4)]
    for digit, key in enumerate(keys):
        store(key)
        age(folder, key, 1000 - digit)
    assert cache.fetch(keys[0]) == LIBRARY  # the oldest, now used last
    one = cache.cache_size()[1] // 4
    cache.prune(capacity=2 * one + 1)
    assert [key for key in keys if cache.fetch(key)] == [keys[0], keys[3]]
    assert cache.cache_size() == (6, 2 * one)


def test_storing_keeps_the_cache_within_its_capacity(folder, monkeypatch):
    monkeypatch.setattr(cache, "CAPACITY", 3 * len(LIBRARY))
    for digit in range(6):
        store(f"{digit}" * 64)
        age(folder, f"{digit}" * 64, 1000 - digit)
    assert cache.cache_size()[1] <= cache.CAPACITY
    assert cache.fetch("5" * 64) == LIBRARY
    assert cache.fetch("0" * 64) is None


def test_what_killed_processes_left_is_removed_after_a_day(folder):
    cache.cache_folder()
    temporary = Path(tempfile.gettempdir())
    old = [folder / "rnnkit-kernel-one.tmp", temporary / "rnnkit-kernel-two.tmp"]
    new = [folder / "rnnkit-kernel-three.tmp", temporary / "rnnkit-kernel-four.tmp"]
    foreign = [temporary / "kernel.tmp", temporary / "rnnkit-kernel-", folder / "rnnkit-kernel-x.txt"]
    for path in (old[0], new[0], *foreign):
        path.write_bytes(b"data")
    for path in (old[1], new[1]):
        path.mkdir()
        (path / "kernel.so").write_bytes(b"data")
    for path in (*old, *foreign):
        os.utime(path, (time.time() - DAY - 60,) * 2)
    store()
    assert not any(path.exists() for path in old)
    assert all(path.exists() for path in (*new, *foreign))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_another_user_left_stays(folder):
    cache.cache_folder()
    path = Path(tempfile.gettempdir(), "rnnkit-kernel-theirs.tmp")
    path.write_bytes(b"data")
    os.chown(path, 12345, -1)
    os.utime(path, (0, 0))
    cache.prune()
    assert path.exists()
