"""Loggers of a run: each gets every record, and one that fails is told in a line and harms nobody."""

import logging
import sys
import tomllib
from pathlib import Path

import pytest

from rnnkit.errors import CheckpointError, ResourceError
from rnnkit.runs.logger_record import keep_logger, kept_logger
from rnnkit.runs.loggers import KINDS, Loggers, open_loggers
from rnnkit.runs.settings import Settings
from rnnkit.training.record import Record

SETTINGS = Settings(task="adding")


def record(step):
    return Record(step, step / 2, step / 4, step / 8, 100 * step, step / 16, 0.001, None)


FULL = OSError(28, "No space left on device")


class Fake:
    """A logger that fails at a step, or at the end."""

    place = "fake: nowhere"

    def __init__(self, fails_at=0, fails_at_end=False, error=FULL):
        self.steps, self.ended = [], None
        self.fails_at, self.fails_at_end, self.error = fails_at, fails_at_end, error

    def write(self, record):
        if record.step == self.fails_at:
            raise self.error
        self.steps.append(record.step)

    def __exit__(self, kind, error, trace):
        self.ended = kind
        if self.fails_at_end:
            raise self.error


def test_one_that_fails_is_told_once_and_the_others_go_on(caplog, tmp_path):
    good, bad = Fake(), Fake(fails_at=2, fails_at_end=True)
    with Loggers({"bad": bad, "good": good}, tmp_path) as loggers:
        for step in range(1, 6):
            loggers.write(record(step))
    assert good.steps == [1, 2, 3, 4, 5]
    assert (bad.steps, bad.ended) == ([1], OSError)
    (told,) = caplog.messages
    assert told == "--log bad fails at step 2, and gets no more: OSError: [Errno 28] No space left on device"
    assert caplog.records[0].levelno == logging.WARNING
    assert f"--log bad {kept_logger(tmp_path, 'bad')['failed']}" == told
    assert kept_logger(tmp_path, "good") == {}


def test_many_lines_of_a_fault_are_one(caplog, tmp_path):
    with Loggers({"bad": Fake(1, error=RuntimeError("no\n\n  network"))}, tmp_path) as loggers:
        loggers.write(record(1))
    assert caplog.messages == ["--log bad fails at step 1, and gets no more: RuntimeError: no network"]


def test_a_password_in_an_address_is_not_told(caplog, tmp_path):
    with Loggers(
        {"bad": Fake(1, error=RuntimeError("no answer from https://me:secret@here/api"))}, tmp_path
    ) as loggers:
        loggers.write(record(1))
    assert caplog.messages == [
        "--log bad fails at step 1, and gets no more: RuntimeError: no answer from https://here/api"
    ]
    assert "secret" not in (tmp_path / "loggers.json").read_text()


def test_one_that_fails_at_the_end_is_told(caplog, tmp_path):
    good = Fake()
    with Loggers({"bad": Fake(fails_at_end=True), "good": good}, tmp_path):
        pass
    assert caplog.messages == ["--log bad fails at the end: OSError: [Errno 28] No space left on device"]


def test_a_disk_that_is_full_for_that_too_ends_nothing(caplog, tmp_path):
    with Loggers({"bad": Fake(fails_at=1)}, tmp_path / "gone") as loggers:
        loggers.write(record(1))
    assert len(caplog.messages) == 1


def test_what_ends_the_training_passes(caplog, tmp_path):
    loggers = Loggers({"bad": Fake(1, error=KeyboardInterrupt())}, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        loggers.write(record(1))
    logger = Fake()
    with pytest.raises(ZeroDivisionError), Loggers({"one": logger}, tmp_path):
        raise ZeroDivisionError
    assert logger.ended is ZeroDivisionError
    assert caplog.messages == []


@pytest.mark.parametrize("name", KINDS)
def test_a_package_that_is_missing_is_named_with_its_extra(name, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ResourceError, match=rf"needs the package {name}; .*pip install 'rnnkit\[{name}\]'"):
        open_loggers([name], tmp_path, SETTINGS, "MSE", resumed_at=None)


def test_each_kind_is_an_extra():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(KINDS) <= project["optional-dependencies"].keys()


def test_what_loggers_keep_stands_side_by_side(tmp_path):
    assert kept_logger(tmp_path, "one") == {}
    keep_logger(tmp_path, "one", {"id": "a"})
    keep_logger(tmp_path, "two", {"id": "b"})
    keep_logger(tmp_path, "one", {"id": "c"})
    assert (kept_logger(tmp_path, "one"), kept_logger(tmp_path, "two")) == ({"id": "c"}, {"id": "b"})


@pytest.mark.parametrize("text", ["{", "[]", '{"one": 3}', "\xff"])
def test_what_is_damaged_is_refused_in_a_sentence(tmp_path, text):
    (tmp_path / "loggers.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"loggers\.json .*remove it, and loggers begin anew"):
        kept_logger(tmp_path, "one")
