"""The log of a run: what an update did, to the byte; how long it took, apart."""

import json
import math
import resource
import signal

import pytest

from rnnkit.errors import CheckpointError, ResourceError
from rnnkit.runs.log import METRICS, TIMES, RunLog, as_plain
from rnnkit.training.evaluation import Evaluation
from rnnkit.training.record import Record


def record(step, seconds=None, validation=None, loss=0.5):
    return Record(step, loss, 0.25, 2.0, 10 * step, step / 4 if seconds is None else seconds, 0.01, validation)


def write(folder, steps, **options):
    log = RunLog(folder, **options)
    for step in steps:
        log.append(record(step))
    size = log.sync()
    log.close()
    return size


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_update_is_a_line_in_each_file(tmp_path):
    write(tmp_path, [1, 2])
    line = {"loss": 0.5, "metric": 0.25, "gradient_norm": 2.0, "lr": 0.01}
    assert read(tmp_path / METRICS) == [{"step": 1, "tokens": 10, **line}, {"step": 2, "tokens": 20, **line}]
    assert read(tmp_path / TIMES) == [{"step": 1, "seconds": 0.25}, {"step": 2, "seconds": 0.5}]


def test_a_validation_is_a_table_of_its_own():
    plain = as_plain(record(3, validation=Evaluation(1.5, math.inf)))
    assert plain["validation"] == {"loss": 1.5, "metric": None}
    assert "validation" not in as_plain(record(3))
    assert set(as_plain(record(3))) == set(Record.__dataclass_fields__) - {"validation", "skipped"}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf], ids=str)
def test_figures_that_json_lacks_become_null(tmp_path, value):
    log = RunLog(tmp_path)
    log.append(record(1, loss=value))
    log.close()
    assert read(tmp_path / METRICS)[0]["loss"] is None


def test_every_line_is_there_as_soon_as_it_is_appended(tmp_path):
    log = RunLog(tmp_path)
    for step in (1, 2):
        log.append(record(step))
        assert [line["step"] for line in read(tmp_path / METRICS)] == list(range(1, step + 1))
        assert [line["step"] for line in read(tmp_path / TIMES)] == list(range(1, step + 1))
    log.close()


def test_the_size_is_what_the_metrics_have(tmp_path):
    size = write(tmp_path, [1, 2, 3])
    assert size == (tmp_path / METRICS).stat().st_size > 0


def test_figures_are_written_to_the_last_bit(tmp_path):
    log, values = RunLog(tmp_path), [0.1 + 0.2, 1 / 3, 5e-324, 1.7976931348623157e308]
    for step, value in enumerate(values, 1):
        log.append(record(step, loss=value))
    log.close()
    assert [line["loss"] for line in read(tmp_path / METRICS)] == values


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path):
    size = write(tmp_path, [1, 2])
    write(tmp_path, [3, 4, 5], metrics_bytes=size, step=2)
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"step": 6, "lo')
    write(tmp_path, [3], metrics_bytes=size, step=2)
    assert [line["step"] for line in read(tmp_path / METRICS)] == [1, 2, 3]
    assert [line["step"] for line in read(tmp_path / TIMES)] == [1, 2, 3]


def test_a_new_run_begins_with_nothing(tmp_path):
    write(tmp_path, [1, 2])
    write(tmp_path, [1])
    assert [line["step"] for line in read(tmp_path / METRICS)] == [1]
    assert [line["step"] for line in read(tmp_path / TIMES)] == [1]


@pytest.mark.parametrize(
    "rest",
    ['{"step": 3, "sec', "nonsense\n", "[]\n", '{"seconds": 3}\n', '{"step": "3"}\n', "\n", "\udcff\n"],
    ids=ascii,
)
def test_a_time_that_is_damaged_is_cut_off_with_all_after_it(tmp_path, rest):
    size = write(tmp_path, [1, 2])
    with (tmp_path / TIMES).open("ab") as file:
        file.write(rest.encode("utf-8", "surrogateescape") + b'{"step": 2, "seconds": 9.0}\n')
    write(tmp_path, [3], metrics_bytes=size, step=2)
    assert read(tmp_path / TIMES) == [{"step": step, "seconds": step / 4} for step in (1, 2, 3)]


def test_times_that_a_power_cut_took_are_not_missed(tmp_path):
    size = write(tmp_path, [1, 2])
    (tmp_path / TIMES).unlink()
    write(tmp_path, [3], metrics_bytes=size, step=2)
    assert [line["step"] for line in read(tmp_path / TIMES)] == [3]
    assert [line["step"] for line in read(tmp_path / METRICS)] == [1, 2, 3]


def test_metrics_that_are_shorter_than_they_were_are_refused(tmp_path):
    size = write(tmp_path, [1, 2])
    with pytest.raises(CheckpointError) as caught:
        RunLog(tmp_path, size + 7, 2)
    assert str(caught.value) == (
        f"{tmp_path / METRICS} has {size} bytes, fewer than the {size + 7} when the checkpoint was made; "
        "restore the file"
    )
    assert [line["step"] for line in read(tmp_path / METRICS)] == [1, 2]


@pytest.mark.timeout(5)
def test_many_times_are_cut_without_delay(tmp_path):
    lines = "".join(f'{{"step": {step}, "seconds": {step}.0}}\n' for step in range(1, 100_001))
    (tmp_path / TIMES).write_text(lines)
    (tmp_path / METRICS).write_text("x")
    RunLog(tmp_path, 1, 99_999).close()
    assert (tmp_path / TIMES).read_text() == lines[: lines.rindex('{"step": 100000')]


@pytest.mark.parametrize("name", [METRICS, TIMES])
def test_a_file_that_cannot_be_opened_is_named(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(ResourceError, match=f"{name} cannot be written: Is a directory"):
        RunLog(tmp_path)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ResourceError, match=rf"nowhere/{METRICS} cannot be written: No such file"):
        RunLog(tmp_path / "nowhere")


def fill(log):
    for step in range(1, 9):
        log.append(record(step))


def test_a_full_disk_is_named(tmp_path):
    log = RunLog(tmp_path)
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150, limits[1]))
        with pytest.raises(ResourceError, match=f"{METRICS} cannot be written: (No space|File too)"):
            fill(log)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
        log.close()
    assert (tmp_path / METRICS).stat().st_size <= 150


def test_closing_twice_does_no_harm(tmp_path):
    log = RunLog(tmp_path)
    log.close()
    log.close()
