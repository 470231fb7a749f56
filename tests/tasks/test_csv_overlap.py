"""Tables whose rows are not in the order of time: refused where their parts would overlap, told where not."""

import random
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from rnnkit.errors import DataError

from .shops import BEGIN, Csv, predictor_of

ROWS = 200
PARTS = "so rows that train or validate would be later than rows of the part behind; "
STAND = "or give order=oldest-first to take the rows as they stand"
SORT = f"sort the rows by time, or name the column that tells series apart (key), {STAND}"


def day(row):
    return f"{BEGIN + timedelta(days=row):%Y-%m-%d}"


def write(path, rows, head="d,shop,a"):
    path.write_text("\n".join([head, *rows]))
    return str(path)


def refusal(path, **options):
    with pytest.raises(DataError) as refused:
        Csv(file=path, window=4, **options)
    return str(refused.value)


def test_shuffled_rows_are_refused(tmp_path):
    rows = [f"{day(row)},{'xy'[row % 7 // 4]},{row % 9}" for row in range(ROWS)]
    random.Random(0).shuffle(rows)
    file = write(tmp_path / "t.csv", rows)
    back = sum(later < sooner for sooner, later in pairwise(rows))
    assert f"time column 'd' goes back {back} time(s), first in line " in refusal(file)
    assert f"{PARTS}{SORT}" in refusal(file)
    assert re.search(rf"series '[xy]': time column .*{PARTS}sort the rows by time, {STAND}", refusal(file, key="shop"))
    assert "some rows that train or validate are later than rows of the part behind (as asked)" in (
        Csv(file=file, window=4, order="oldest-first").data_summary()
    )


@pytest.mark.parametrize("names", ["xyz", "123"])
def test_series_below_each_other_are_refused_and_their_key_is_named(tmp_path, names):
    rows = [f"{day(row)},{name},{(row * 7 + int(name, 36)) % 11 / 2}" for name in names for row in range(80)]
    file = write(tmp_path / "t.csv", rows)
    said = refusal(file)
    assert f"'d' goes back 2 time(s), first in line 82, {PARTS}give key=shop, by which the rows of each series" in said
    assert "3 series by shop" in Csv(file=file, window=4, key="shop").data_summary()


def test_series_in_turn_are_refused_where_words_tell_them_apart(tmp_path):
    rows = [f"{day(row)},{name},{(row * 7 + ord(name)) % 11 / 2}" for row in range(80) for name in "xy"]
    file = write(tmp_path / "t.csv", rows)
    assert "time column 'd' repeats 80 time(s), and never where 'shop' is the same" in refusal(file)
    assert f"give key=shop if that tells them apart, {STAND}" in refusal(file)
    assert "80 repeat(s)" in Csv(file=file, window=4, order="oldest-first").data_summary()
    assert "2 series by shop" in Csv(file=file, window=4, key="shop").data_summary()


def test_series_in_turn_are_not_averaged_in_silence(tmp_path):
    rows = [f"{day(row)},{name},{(row * 7 + ord(name)) % 11 / 2}" for row in range(80) for name in "xy"]
    in_turn, stacked = (write(tmp_path / f"{k}.csv", lines) for k, lines in enumerate((rows, sorted(rows, key=shop))))
    for file in (in_turn, stacked):
        with pytest.raises(DataError) as refused:
            Csv(file=file, window=4, every="day")
        assert "160 row(s) have the time of another one and other numbers, and never where 'shop' is" in str(
            refused.value
        )
        assert "give key=shop, or leave_out=shop if they are to be averaged, or order=oldest-first" in str(
            refused.value
        )
        for options in ({"leave_out": "shop"}, {"order": "oldest-first"}):
            line = Csv(file=file, window=4, every="day", **options).data_summary()
            assert "160 row(s) have the time of another one and other numbers, and are averaged; if they" in line
        assert "averaged" not in Csv(file=file, window=4, every="day", key="shop").data_summary()


def test_rows_that_stand_twice_are_averaged_without_a_word(tmp_path):
    rows = [f"{day(row)},{'xy'[row % 2]},{row * 7 % 11 / 2}" for row in range(80) for _ in range(2)]
    assert "are averaged" not in Csv(file=write(tmp_path / "t.csv", rows), window=4, every="day").data_summary()


def shop(row):
    return row.split(",")[1]


def test_series_in_turn_that_numbers_tell_apart_are_told(tmp_path):
    rows = [f"{day(row)},{shop},{(row * 7 + shop) % 11 / 2}" for row in range(80) for shop in (3, 8)]
    line = Csv(file=write(tmp_path / "t.csv", rows), window=4).data_summary()
    assert "times never repeat where 'shop' is the same; if that tells series apart, give key" in line


def test_several_rows_a_day_are_told(tmp_path):
    rows = [f"{day(row // 3)},{'xy'[row * row % 5 // 3]},{row % 9 / 2}" for row in range(ROWS)]
    assert "133 repeat(s)" in Csv(file=write(tmp_path / "t.csv", rows), window=4).data_summary()


@pytest.mark.parametrize("minutes", [15, 60])
@pytest.mark.parametrize("part", ["train", "validate", "test"])
def test_an_hour_that_clocks_repeat_is_taken_wherever_parts_begin(tmp_path, minutes, part):
    area = ZoneInfo("Europe/Berlin")
    begin = datetime(2024, 10, 20, tzinfo=UTC)
    times = [begin + timedelta(minutes=minutes * at) for at in range(14 * 1440 // minutes)]
    repeated = next(at for at, time in enumerate(times) if time == datetime(2024, 10, 27, 1, tzinfo=UTC))
    share = 100 * repeated / len(times)
    split = {"train": [80, 10, 10], "validate": [share, 20, 80 - share], "test": [20, share - 20, 100 - share]}[part]
    rows = [f"{time.astimezone(area):%Y-%m-%d %H:%M},{at % 7}" for at, time in enumerate(times)]
    task = Csv(file=write(tmp_path / "t.csv", rows, "d,a"), window=3, split=split)
    assert ("1 step(s) back" if minutes == 15 else "1 repeat(s)") in task.data_summary()


def test_two_sensors_of_an_hour_each_are_no_clock(tmp_path):
    rows = [f"2024-01-01 12:{minute:02d},{minute * name % 7}" for name in (3, 4) for minute in range(60)]
    assert "goes back 1 time(s), first in line 62" in refusal(write(tmp_path / "t.csv", rows, "d,a"))


def test_rows_of_series_that_go_back_within_a_part_are_told(tmp_path):
    rows = [f"{day(row - 9 * (row == 50))},{name},{row % 9 / 2}" for name in "xy" for row in range(ROWS)]
    file = write(tmp_path / "t.csv", rows)
    assert "2 step(s) back in time, the first in line 52" in Csv(file=file, window=4, key="shop").data_summary()


def test_another_table_whose_rows_are_in_no_order_is_told(tmp_path):
    rows = [f"{day(row)},{row % 9}" for row in range(ROWS)]
    predictor = predictor_of(Csv(file=write(tmp_path / "t.csv", rows, "d,a"), window=4))
    assert not any("back" in note for note in predictor.predict(tmp_path / "t.csv").notes)
    rows[60], rows[61] = rows[61], rows[60]
    notes = predictor.predict(write(tmp_path / "new.csv", rows, "d,a")).notes
    assert "1 step(s) back in time, the first in line 63" in notes
