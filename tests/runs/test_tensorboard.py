"""What TensorBoard itself reads back from the event files, and that nothing is lost or left over."""

import resource
import sys

import pytest

from rnnkit.errors import ResourceError
from rnnkit.runs.tensorboard import TensorBoard
from rnnkit.training.evaluation import Evaluation
from rnnkit.training.record import Record

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")

METRIC = "bits per character"


def record(step, validation=None, seconds=None):
    """Return a record whose figures are told from its step."""
    return Record(step, step / 2, step / 4, step / 8, 100 * step, seconds or step / 16, 0.001, validation)


def read(folder):
    """Return tag -> [(step, value)], as TensorBoard shows them."""
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_tensorboard_reads_every_scalar_back(tmp_path):
    with TensorBoard(tmp_path / "made" / "here", METRIC) as board:
        for step in (1, 2, 3):
            board.write(record(step, Evaluation(0.5, 0.25) if step == 2 else None))
    assert read(tmp_path / "made" / "here") == {
        "loss": [(1, 0.5), (2, 1.0), (3, 1.5)],
        METRIC: [(1, 0.25), (2, 0.5), (3, 0.75)],
        "gradient norm": [(1, 0.125), (2, 0.25), (3, 0.375)],
        "tokens per second": [(1, 1600.0), (2, 1600.0), (3, 1600.0)],
        "validation/loss": [(2, 0.5)],
        f"validation/{METRIC}": [(2, 0.25)],
    }


def test_the_speed_is_that_since_the_record_before(tmp_path):
    with TensorBoard(tmp_path, METRIC) as board:
        for step, seconds in ((1, 0.5), (2, 0.75), (3, 0.75), (4, 1.75)):
            board.write(record(step, seconds=seconds))
    assert read(tmp_path)["tokens per second"] == [(1, 200.0), (2, 400.0), (4, 100.0)]


def test_a_record_can_be_read_as_soon_as_it_is_written(tmp_path):
    with TensorBoard(tmp_path, METRIC) as board:
        board.write(record(1))
        assert read(tmp_path)["loss"] == [(1, 0.5)]


def test_nothing_is_made_before_the_first_record(tmp_path):
    with TensorBoard(tmp_path / "run", METRIC):
        pass
    assert not (tmp_path / "run").exists()


def test_resuming_hides_what_came_after_the_checkpoint(tmp_path):
    with TensorBoard(tmp_path, METRIC) as board:
        for step in range(1, 8):
            board.write(record(step))
    with TensorBoard(tmp_path, METRIC, resumed_at=4) as board:
        for step in (5, 6):
            board.write(Record(step, -1.0, 0, 0, 100 * step, step / 16, 0.001))
    read_back = read(tmp_path)
    assert read_back["loss"] == [(1, 0.5), (2, 1.0), (3, 1.5), (4, 2.0), (5, -1.0), (6, -1.0)]
    # Of the first record after resuming, the time since the one before is not known.
    assert [step for step, _ in read_back["tokens per second"]] == [1, 2, 3, 4, 6]


def test_a_missing_package_is_one_line_at_the_start(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(
        ResourceError, match=r"needs the package tensorboard; install it with: pip install 'rnnkit\[tensorboard\]'"
    ):
        TensorBoard(tmp_path, METRIC)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("mine")
    board = TensorBoard(tmp_path / "file" / "board", METRIC)
    with pytest.raises(ResourceError, match="Not a directory"):
        board.write(record(1))


def test_a_full_disk(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with TensorBoard(tmp_path, METRIC) as board:
            board.write(record(1))
            size = next(tmp_path.iterdir()).stat().st_size
            resource.setrlimit(resource.RLIMIT_FSIZE, (size + 10, before[1]))
            with pytest.raises(ResourceError, match="no event file can be written there: File too large"):
                board.write(record(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert read(tmp_path)["loss"] == [(1, 0.5)]
