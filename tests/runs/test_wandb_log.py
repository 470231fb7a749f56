"""What wandb is asked to do, by a fake in its place; and, where it is installed, what the real one has on disk."""

import struct
import sys
from types import SimpleNamespace

import pytest

from rnnkit.runs.wandb_log import WandbLog
from rnnkit.training.evaluation import Evaluation

from .logger_records import SETTINGS, record


class FakeWandb:
    """Takes note of calls, in the place of the package."""

    def __init__(self):
        self.begun, self.logged, self.ended = [], [], []

    def init(self, **words):
        self.begun.append(words)
        return SimpleNamespace(
            id=words["id"] or "new-id",
            log=lambda values, step: self.logged.append((step, values)),
            finish=lambda exit_code: self.ended.append(exit_code),
        )

    def Settings(self, **words):  # noqa: N802  (wandb's name)
        return words


@pytest.fixture(autouse=True)
def no_settings_of_whoever_runs_the_tests(monkeypatch):
    for name in ("WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("WANDB_ERROR_REPORTING", "WANDB_INIT_TIMEOUT"):
        monkeypatch.setenv(name, "")  # so that what is set here is gone afterwards
        monkeypatch.delenv(name)


@pytest.fixture
def fake(monkeypatch):
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_it_is_offline_in_the_run_s_folder(fake, tmp_path):
    with WandbLog(tmp_path / "run", SETTINGS, "MSE", resumed=False) as logger:
        assert fake.begun == []
        (tmp_path / "run").mkdir()
        logger.write(record(1))
        logger.write(record(2, Evaluation(0.5, 0.25)))
    (begun,) = fake.begun
    assert (begun["mode"], begun["dir"], begun["name"]) == ("offline", str(tmp_path / "run"), "run")
    assert (begun["project"], begun["id"], begun["resume"]) == ("rnnkit-adding", None, "allow")
    assert (begun["config"]["hidden"], begun["config"]["cell_options"]) == (7, {"bias": False})
    assert begun["settings"]["silent"]
    validation = {"validation/loss": 0.5, "validation/MSE": 0.25}
    assert fake.logged == [
        (1, {"loss": 0.5, "MSE": 0.25, "gradient norm": 0.125, "tokens per second": 1600.0}),
        (2, {"loss": 1.0, "MSE": 0.5, "gradient norm": 0.25, "tokens per second": 1600.0, **validation}),
    ]
    assert fake.ended == [0]
    assert logger.place.startswith(f"wandb: offline, in {tmp_path / 'run' / 'wandb'}; ")


def test_what_the_environment_says_goes_first(fake, tmp_path, monkeypatch):
    for name, value in {"WANDB_MODE": "online", "WANDB_PROJECT": "mine", "WANDB_DIR": "/elsewhere"}.items():
        monkeypatch.setenv(name, value)
    with WandbLog(tmp_path, SETTINGS, "MSE", resumed=False) as logger:
        logger.write(record(1))
    (begun,) = fake.begun
    assert (begun["mode"], begun["project"], begun["dir"]) == (None, "mine", "/elsewhere")
    assert logger.place == "wandb: online, as WANDB_MODE says"


def test_a_run_that_goes_on_is_the_same_run_there(fake, tmp_path):
    for resumed in (False, True):
        with WandbLog(tmp_path, SETTINGS, "MSE", resumed=resumed) as logger:
            logger.write(record(1))
    assert [begun["id"] for begun in fake.begun] == [None, "new-id"]


def test_a_run_that_fails_is_told_so(fake, tmp_path):
    logger = WandbLog(tmp_path, SETTINGS, "MSE", resumed=False)
    logger.write(record(1))
    logger.__exit__(ZeroDivisionError, ZeroDivisionError(), None)
    assert fake.ended == [1]


def test_without_a_record_nothing_begins(fake, tmp_path):
    with WandbLog(tmp_path, SETTINGS, "MSE", resumed=False):
        pass
    assert (fake.begun, fake.ended) == ([], [])


def entries(file):
    """Yield the entries of a file of wandb's, one block of LevelDB's log format: checksum, length, kind, bytes."""
    data, at = file.read_bytes(), 7
    assert len(data) < 2**15
    while at < len(data):
        length, kind = struct.unpack_from("<HB", data, at + 4)
        assert kind == 1
        yield data[at + 7 : at + 7 + length]
        at += 7 + length


@pytest.mark.slow  # it starts a process of wandb's
@pytest.mark.filterwarnings("default")  # of its own
def test_the_real_one_has_every_scalar_on_disk(tmp_path):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record as Entry

    with WandbLog(tmp_path, SETTINGS, "MSE", resumed=False) as logger:
        for step in (1, 2, 3):
            logger.write(record(step))
    (file,) = (tmp_path / "wandb").glob("offline-run-*/*.wandb")
    losses = {}
    for entry in map(Entry.FromString, entries(file)):
        items = {"/".join(item.nested_key) or item.key: item.value_json for item in entry.history.item}
        if items:
            losses[int(items["_step"])] = float(items["loss"])
    assert losses == {1: 0.5, 2: 1.0, 3: 1.5}
