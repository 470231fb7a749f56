"""Small tables of many makes, for the tests of `csv`: what each is told to be, or why it is refused."""

import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple

ROWS = 120
BEGIN = datetime(2020, 1, 1)


TURN = "give order=newest-first to turn the rows round, or order=oldest-first to take them as they stand"


class Told(NamedTuple):
    """A file that is taken, and words of its line."""

    content: str
    words: tuple[str, ...]
    options: Mapping = MappingProxyType({})


class Refused(NamedTuple):
    """A file that is refused, and words of the answer."""

    content: str
    words: tuple[str, ...]
    options: Mapping = MappingProxyType({})


def day(row, form="%Y-%m-%d", hours=24):
    return (BEGIN + timedelta(hours=hours * row)).strftime(form)


def hour(row, form="%Y-%m-%d %H:%M"):
    return day(row, form, 1)


def table(head, line, rows=ROWS, turned=False):
    """Return a table; `line` makes a row of its number and a number drawn for it."""
    draw = random.Random(0)
    lines = [line(row, f"{draw.gauss(10, 3):.2f}") for row in range(rows)]
    return "".join(f"{text}\n" for text in [*([] if head is None else [head]), *(lines[::-1] if turned else lines)])


def with_cell(cell):
    """Return a table whose column `a` holds such a cell in every row, with other digits."""
    return table("date,a,b", lambda row, x: f'{day(row)},"{cell.replace("7", str(row % 9 + 1))}",{x}')


def once(cell, at=60):
    return table("date,a,b", lambda row, x: f"{day(row)},{cell if row == at else x},{x}")


FORMS = {
    "17,84": "write 11.84",
    "7.234,50": "write 1234.50",
    "7.234.567": "write 1234561",
    "7,234": "write 1.234 or 1234",
    "$20.74": "write 20.14",
    "-$5.7": "write -5.1",
    "US$ 7": "write 1",
    "7 €": "write 1",
    "£7.00": "write 1.00",
    "EUR 7": "write 1",
    "7 kr": "write 1",
    "12.7 °C": "write 12.1",
    "7 km/h": "write 1",
    "7kWh": "write 1",
    "7 %": "write 1",
    "7%": "write 1",
    "7k": "write 1000 or 1",
    "7.5M": "write 1500000 or 1.5",
    "$7.25 bn": "write 1250000000 or 1.25",
    "7 m": "write 1",
    "\u22127.5": "write -1.5",
    "7\u202f200,5": "write 1200.5",
    "7_200": "write 1200",
    "(7.5)": "write -1.5",
    "($7,200.50)": "write -1200.50",
    "7.5-": "write -1.5",
    "<7.5": "write 1.5",
    "7.5*": "write 1.5",
    "7,5E+03": "write 1.5E+03",
    "\uff17\uff0c5": "",  # full-width digits
    "0x7f": "write 31",
    "7/8": "write 0.125",
    "20.7D+01": "write 20.1E+01",
    "7d-3": "write 1E-3",
    "70°30'N": "write 10.5",
    "70°30′36″ S": "write -10.51",
    "'7.5'": "write 1.5",
    "7.5 # ok": "write 1.5",
    "7.5e400": "is not a finite number, being above 1.8e308; give the column in another unit",
}
LOST = ["n/a", "NA", "", "-", "?", "null", "#N/A", "broken", "nan", "-inf", "1_000", "$5", "3,5 %"]

REFUSED = {
    **{f"all {cell!r}": Refused(with_cell(cell), ("line 2, column 'a'", remedy)) for cell, remedy in FORMS.items()},
    **{f"one {cell!r}": Refused(once(f'"{cell}"'), ("line 62, column 'a'",)) for cell in LOST},
    "newest first": Refused(
        table("date,a", lambda row, x: f"{day(row)},{x}", turned=True),
        ("time column 'date' goes back, from 2020-04-29 in line 2 to 2020-01-01 in line 121", "order=newest-first"),
    ),
    "newest first, American": Refused(
        table("d,a", lambda row, x: f"{day(row, '%m/%d/%Y')},{x}", turned=True), ("from 2020-04-29 in line 2",)
    ),
    "newest first, in words": Refused(
        table("d,a", lambda row, x: f'"{day(row, "%b %d, %Y")}",{x}', turned=True), ("from 2020-04-29 in line 2",)
    ),
    "newest first, in years": Refused(
        table("YEAR,a", lambda row, x: f"{1900 + row},{x}", turned=True), ("time column 'YEAR' goes back",)
    ),
    "newest first, in months": Refused(
        table("year,month,a", lambda row, x: f"{1990 + row // 12},{row % 12 + 1},{x}", turned=True),
        ("time column 'year' + 'month' goes back",),
    ),
    "newest first, in seconds": Refused(
        table("timestamp,a", lambda row, x: f"{1577836800 + 60 * row},{x}", turned=True), ("goes back",)
    ),
    "newest first, several a day": Refused(
        table("d,s,a", lambda row, x: f"{day(row // 3)},{row % 3},{x}", turned=True), ("goes back",)
    ),
    **{
        f"newest first, {name} in {kind}": Refused(
            table(f"{name},a", lambda row, x, form=form: f"{form(row)},{x}", turned=True),
            (f"column '{name}' {verb}", TURN),
        )
        for name, kind, form, verb in (
            ("Date", "days of a spreadsheet", lambda row: 45300 + row, "goes back"),
            ("Date", "working days of a spreadsheet", lambda row: 45300 + row // 5 * 7 + row % 5, "goes back"),
            ("Date", "hours of a spreadsheet", lambda row: f"{45300 + row / 24:.5f}", "goes back"),
            ("x", "milliseconds", lambda row: 1700000000000 + 60000 * row, "counts down"),
            ("x", "uneven milliseconds", lambda row: 1700000000000 + 60000 * row + row * row % 7, "counts down"),
            ("x", "seconds with a fraction", lambda row: 1700000000.25 + 60 * row, "counts down"),
            ("x", "minutes in digits", lambda row: hour(row, "%Y%m%d%H%M"), "goes back"),
            ("id", "numbers", lambda row: row + 1, "counts down"),
            ("id", "numbers with gaps", lambda row: 3 * row + row % 2, "counts down"),
            ("step", "tens", lambda row: 10 * row, "counts down"),
            ("Time", "elapsed seconds", lambda row: row * row // 9, "counts down"),
            ("clock", "times of day", lambda row: day(row, "%H:%M", 1 / 6), "counts down"),
            ("month", "months", lambda row: row // 10 + 1, "counts down"),
        )
    },
    "newest first, an index above": Refused(
        table(",x,a", lambda row, x: f"{row},{1700000000 - 60 * row},{x}"), ("column 'x' counts down", TURN)
    ),
    **{
        f"dates such as {form(0)}": Refused(
            table("d,a", lambda row, x, form=form: f'"{form(row)}",{x}', turned=True),
            ("column 'd' has dates", "write dates as 2024-01-31", "order=oldest-first"),
        )
        for form in (
            lambda row: day(row, "%Y-%m-%d" if row % 2 else "%d/%m/%Y"),
            lambda row: f"{row % 28 + 1} {('janvier', 'février', 'août', 'décembre')[row // 30]} 2024",
            lambda row: f"{('janvier', 'février', 'août', 'décembre')[row // 30]} 2024",
            lambda row: f"lundi {row % 28 + 1} de marzo de 2024",
            lambda row: f"{row % 28 + 1}. {('Jänner', 'März', 'Mai', 'Dezember')[row // 30]} 2024",
            lambda row: f"2024年{row // 30 + 1}月{row % 30 + 1}日",
            lambda row: f"2024-02-{row // 4 + 40}",
            lambda row: f"2024년 {row // 30 + 1}월 {row % 30 + 1}일",
            lambda row: f"{row % 28 + 1}-{('ene', 'abr', 'ago', 'dic')[row // 30]}-24",
            lambda row: f"{row % 28 + 1} {('січня', 'лютого', 'серпня', 'грудня')[row // 30]} 2024",
            lambda row: f"{row // 4 + 40}/{row // 4 + 40}/2024 10:30",
        )
    },
    "turned round for nothing": Refused(
        table("date,a", lambda row, x: f"{day(row)},{x}"), ("goes forth", "leave order out"), {"order": "newest-first"}
    ),
    "names or a row": Refused(
        table(",5.5,6", lambda row, x: f"{x},{x},{x}"), ("line 1: an empty cell and then numbers", "header=yes")
    ),
    **{
        f"names or a row: {head}": Refused(
            table(head, line), (f"line 1: {head.replace(',', ', ')!r} may be", "header=yes or")
        )
        for head, line in (
            ("2019,2020,2021", lambda row, x: f"{x},{x},{x}"),
            ("773869,767541", lambda row, x: f"{x},{x}"),
            ("5000", lambda row, x: x),
            ("site,2020,2021", lambda row, x: f"s{row},{x},{x}"),
            ("site,2020", lambda row, x: f"s{row},{x}"),
            ("0,2020,2021", lambda row, x: f"{row},{x},{x}"),
            ("7,8,9,10", lambda row, x: f"{x},{x},{x},{x}"),
            ("site,7,8,9,10", lambda row, x: f"s{row},{x},{x},{x},{x}"),
            ("101,102,103", lambda row, x: f"{row % 7},{row % 5},{row % 3}"),
        )
    },
    **{
        f"decimal commas, {kind}": Refused(table(None, line, rows), (cell, "a decimal comma; write ", "delimiter=,"))
        for kind, line, rows, cell in (
            ("two places", lambda row, x: f"{20 + row % 3},{row * 37 % 100:02d}", ROWS, "'20,00'"),
            ("two places in few rows", lambda row, x: f"{20 + row % 3},{10 + row * 37 % 90}", 40, "'20,10'"),
            ("one place", lambda row, x: f"{20 + row % 3},{row * 7 % 10}", ROWS, "'20,0'"),
            ("after a date", lambda row, x: f"{day(row)},{20 + row % 3},{row * 37 % 100:02d}", ROWS, "'20,00'"),
        )
    },
    "decimal commas below names": Refused(
        table("d,a", lambda row, x: f"{day(row)},{x.replace('.', ',')}"), ("line 2: 3 cell(s)", "commas are decimal")
    ),
    "JSON": Refused('{"a": 1, "b": 2}\n' * ROWS, ("looks like JSON, not like a table",)),
    "a list": Refused("[1, 2]\n" * ROWS, ("looks like JSON",)),
    "a list over lines": Refused("[\n" + "1,\n" * ROWS + "]", ("looks like JSON",)),
    "HTML": Refused("<html><table>\n<tr><td>1</td></tr>\n</table></html>\n", ("looks like HTML",)),
    "many spaces between": Refused(table("a  b", lambda row, x: f"{x}   {x}"), ("delimiter=' '",)),
    "dates and spaces between": Refused(table("d a b", lambda row, x: f"{day(row)} {x} {x}"), ("delimiter=' '",)),
    "a comment of another kind": Refused(
        "% by hand\n" + table("d,a", lambda row, x: f"{day(row)},{x}"), ("line 1 is a title or a comment, begin it",)
    ),
    "dates in single quotes": Refused(
        table("d,a", lambda row, x: f"'{day(row)}',{x}", turned=True), ("'d' has dates that cannot be read",)
    ),
    "all constant": Refused("a,b\n" + "1,2\n" * ROWS, ("nothing to forecast: a is constant", "target=")),
    "a separator in a name": Refused(
        table("d,wind, m/s,b", lambda row, x: f"{day(row)},{x},{x}"),
        ("line 2: 3 cell(s), 4 in line 1", "cells are cut at each comma"),
    ),
    "units below the names": Refused(
        table("d,a,b\n,°C,hPa", lambda row, x: f"{day(row)},{x},{x}"), ("line 2, column 'a': '°C' is not",)
    ),
    "a title above": Refused(
        "Sales\n" + table("d,a,b", lambda row, x: f"{day(row)},{x},{x}"), ("line 2: 3 cell(s), 1 in line 1",)
    ),
    "spaces between": Refused(table("a b", lambda row, x: f"{x} {x}"), ("no column of numbers", "each comma")),
    "one name twice, and a third that it may be": Refused(
        table("a,a,a.2", lambda row, x: f"{x},{x},{x}"), ("several columns called 'a'",)
    ),
    "decimal commas beside points": Refused(
        table("a;b", lambda row, x: f"{x.replace('.', ',')};{x}"), ("line 2, column 'a'", "write ")
    ),
    "points where decimals have commas": Refused(
        table("a;b", lambda row, x: f"{x.replace('.', ',')};{x}"), ("line 2, column 'b'",), {"decimal": ","}
    ),
    "neither yes nor no": Refused(
        table("d,a,b", lambda row, x: f"{day(row)},{'' if row == 50 else 'yes' if row % 2 else 'no'},{x}"),
        ("line 52, column 'a': the cell is empty; correct it", "or fill gaps (missing=forward)"),
    ),
    "a target that is known ahead": Refused(
        table("d,a,b", lambda row, x: f"{day(row)},{x},{x}"),
        ("target and known both name 'a'",),
        {"target": "a", "known": "a"},
    ),
    "an input that is the key": Refused(
        table("d,a,b", lambda row, x: f"{day(row)},{x},{x}"),
        ("columns and key both name 'a'",),
        {"columns": "a,b", "key": "a"},
    ),
    "even steps without a time": Refused(
        table("a,b", lambda row, x: f"{x},{x}"), ("every is '1h', and no column of", "tells the time"), {"every": "1h"}
    ),
    "a zone without a time": Refused(
        table("a,b", lambda row, x: f"{x},{x}"), ("zone is 'Europe/Berlin', and no column",), {"zone": "Europe/Berlin"}
    ),
    "parts of the date without one": Refused(
        table("a,b", lambda row, x: f"{x},{x}"), ("calendar is hour, and no column of",), {"calendar": "hour"}
    ),
    "dates of the parts without a time": Refused(
        table("a,b", lambda row, x: f"{x},{x}"),
        ("split names dates, and no column",),
        {"split": "2020-02-01,2020-03-01"},
    ),
    "dates of the parts that leave nothing": Refused(
        table("d,a", lambda row, x: f"{day(row)},{x}"),
        ("too few rows before the dates of split: 0 window(s) train",),
        {"split": "2019-02-01,2020-03-01"},
    ),
    "steps too small": Refused(
        table("d,a", lambda row, x: f"{day(row, hours=24 * 365)},{x}"),
        ("more than 20,000,000 steps of 1s",),
        {"every": "1s"},
    ),
    "no step": Refused(table("a,b", lambda row, x: f"{x},{x}"), ("every is '0h'; it must be a step",), {"every": "0h"}),
    "no column of the key": Refused(table("a,b", lambda row, x: f"{x},{x}"), ("no column 'c'",), {"key": "c"}),
    "a series that goes back": Refused(
        table("d,shop,a", lambda row, x: f"{day(row // 2 if row % 2 else 60 - row // 2)},{'xy'[row % 2]},{x}"),
        ("series 'x': time column 'd' goes back",),
        {"key": "shop"},
    ),
    "commas that may be either": Refused(
        table("d;a", lambda row, x: f"{day(row)};{1 + row % 9},{234 + row}"),
        (
            "'1,234' is not a finite number; write 1.234 or 1234, or give",
            'decimal="," for 1.234 or decimal="." for 1234',
        ),
    ),
    "commas beside points, which decimal cannot mend": Refused(
        table("d;a;b", lambda row, x: f"{day(row)};{1 + row % 9},5;{x}"), ("write 1.5, or leave the column out",)
    ),
    "a target of yes and no": Refused(
        table("d,a,b", lambda row, x: f"{day(row)},{x},{'yes' if row % 3 else ''}"),
        ("line 3, column 'b': 'yes' is yes/no, and a target must be numbers; write 1 for yes and 0 for no, or name",),
        {"target": "b"},
    ),
    "a target of words": Refused(
        table("d,a,b", lambda row, x: f"{day(row)},{x},{'rain' if row % 3 else 'sun'}"),
        ("line 2, column 'b': 'sun' is text, and a target must be numbers; name another",),
        {"target": "b"},
    ),
    "separators at the end of rows": Refused(
        table("d,a", lambda row, x: f"{day(row)},{x},"), ("line 2: 3 cell(s), 2 in line 1",)
    ),
    "a name that is not there": Refused(
        table("a,b", lambda row, x: f"{x},{x}"), ("no column 'c'",), {"leave_out": "c"}
    ),
    "names where there are none": Refused(
        table("a,b", lambda row, x: f"{x},{x}"), ("line 1, column '1': 'a' is not",), {"header": "no"}
    ),
}

TOLD = {
    **{
        f"numbers such as {cell}": Told(with_cell(cell), ("inputs: a, b;", "marks between thousands"))
        for cell in ("7,234.50", "7\u00a0200", "7 200", "7'200.50")
    },
    **{
        f"decimal commas such as {cell}": Told(
            table("d;a;b", lambda row, x, cell=cell: f"{day(row)};{cell.replace('7', str(row % 9 + 1))};{row % 5}"),
            ("inputs: a, b;", "each semicolon", "decimals after a comma"),
        )
        for cell in ("17,84", "7.234,50", "7.234.567,1", "-7,5", "7\u202f200,5", "7,5E+03")
    },
    **{
        f"thousands are told with their own mark, {cell}": Told(with_cell(cell), (f"thousands, as in {cell};",))
        for cell in ("1'234.5", "1,234.5", "1 234.5")
    },
    "decimal commas in quotes alone": Told('"1,5"\n"2,5"\n' * 60, ("inputs: 1;", "after a comma, as in 2,5")),
    "decimal commas, as asked": Told(
        table("a;b", lambda row, x: f"7,{row % 9 + 100};{row % 4}"),
        ("after a comma, as in 20,84 (as asked)",),
        {"decimal": ","},
    ),
    "one name twice": Told(
        table("d,a,a,b", lambda row, x: f"{day(row)},{x},{x},{x}"),
        ("inputs: a, a.2, b;", "names that stand several times: 'a' (2)"),
    ),
    "known ahead": Told(
        table("d,a,feast", lambda row, x: f"{day(row)},{x if row < 110 else ''},{'yes' if row % 7 == 6 else 'no'}"),
        ("inputs: a, feast (yes/no, known ahead); targets: a;", "10 row(s) at the end hold but what is known ahead"),
        {"known": "feast"},
    ),
    "parts of the date": Told(table("d,a", lambda row, x: f"{hour(row)},{x}"), ("of the date: hour of the day;",)),
    "no parts of the date": Told(
        table("d,a", lambda row, x: f"{hour(row)},{x}"), ("left out: none; names",), {"calendar": "none"}
    ),
    "parts of the date, as asked": Told(
        table("d,a", lambda row, x: f"{hour(row)},{x}"), ("of the date: time of the year;",), {"calendar": "year"}
    ),
    "a split by shares": Told(
        table("d,a", lambda row, x: f"{day(row)},{x}"),
        ("rows: 60 train (to 2020-02-29), 30 validate (to 2020-03-30), 30 test (to 2020-04-29)",),
        {"split": "50,25,25"},
    ),
    "a split by dates": Told(
        table("d,a", lambda row, x: f"{day(row)},{x}"),
        ("rows: 31 train (to 2020-01-31), 29 validate (to 2020-02-29), 60 test (to 2020-04-29)",),
        {"split": "2020-02-01,2020-03-01"},
    ),
    "series by a key": Told(
        table("d,shop,a", lambda row, x: f"{day(row // 2)},{'xy'[row % 2]},{x}"),
        ("targets: a; time: d; ", "key: shop", "2 series by shop, each with its own scale"),
        {"key": "shop"},
    ),
    "even steps": Told(
        table("d,a", lambda row, x: f"{day(row + (row > 50))},{x}"),
        ("time: d (1 day apart)", "a row every day (as asked): 1 of 121 had none", "missing: a 1: the last one before"),
        {"every": "day", "missing": "forward"},
    ),
    **{
        f"gaps, {policy}": Told(
            table("d,a,b", lambda row, x: f"{day(row)},{'n/a' if row % 9 == 5 else x},{x}"),
            ("inputs: a, b;", "missing: a 13: ", "(as asked), none is a target"),
            {"missing": policy},
        )
        for policy in ("forward", "interpolate", "mask")
    },
    "a zone whose clocks change": Told(
        table("d,a", lambda row, x: f"{hour(row + 2090 + (row > 23), '%Y-%m-%d %H:%M')},{x}"),
        ("time: d (1 h apart); ", "times are those of Europe/Berlin (as asked)"),
        {"zone": "Europe/Berlin"},
    ),
    "empty column": Told(table("d,a,b", lambda row, x: f"{day(row)},,{x}"), ("left out: a (empty)",)),
    "yes or no": Told(
        table("d,a,b", lambda row, x: f"{day(row)},{'no' if row % 3 else 'Yes'},{x}"),
        ("inputs: a (yes/no), b;", "targets: b;"),
    ),
    "true or false": Told(table("d,a,b", lambda row, x: f"{day(row)},{row % 2 == 0},{x}"), ("a (yes/no)",)),
    "text": Told(table("d,a,b", lambda row, x: f"{day(row)},day {row},{x}"), ("left out: a (text)",)),
    "categories": Told(
        table("d,a,b", lambda row, x: f"{day(row)},day {row % 7},{x}"), ("inputs: a (category), b;", "targets: b;")
    ),
    "words in a few rows": Told(
        table("d,a,b", lambda row, x: f"{day(row)},{'Easter' if row % 50 == 0 else ''},{x}"), ("inputs: a (category)",)
    ),
    "always the same word": Told(table("d,a,b", lambda row, x: f"{day(row)},kWh,{x}"), ("left out: a (text)",)),
    "text with some numbers": Told(
        table("d,a,b", lambda row, x: f"{day(row)},{'12' if row % 5 == 0 else 'red'},{x}"),
        ("inputs: a (category), b;",),
    ),
    "codes": Told(table("code,b", lambda row, x: f"{row}{'ABCDEF'[row % 6]}9,{x}"), ("left out: code (text)",)),
    "house numbers": Told(table("no,b", lambda row, x: f"{row}{'ABCDEF'[row % 6]},{x}"), ("left out: no (text)",)),
    "addresses": Told(table("ip,b", lambda row, x: f"10.0.0.{row},{x}"), ("left out: ip (text)",)),
    **{
        f"codes such as {form(0)}": Told(
            table("code,b", lambda row, x, form=form: f"{form(row)},{x}"), ("left out: code (text)",)
        )
        for form in (
            lambda row: f"{row % 90 + 10}{'ABCDEF'[row % 6]}BC{row % 80 + 10}",
            lambda row: f"2020-A{row % 90 + 10}",
            lambda row: f"INV-2020-{row:04d}",
            lambda row: f"room {row} of 2020",
            lambda row: f"1.{row}.2",
            lambda row: f"{row}-{row + 3}",
        )
    },
    "not wanted": Told(with_cell("7,5"), ("inputs: b;", "left out: a (as asked)"), {"leave_out": "a"}),
    "not asked for": Told(with_cell("7,5"), ("inputs: b;", "left out: a (not asked for)"), {"columns": "b"}),
    "only a target": Told(
        table("d,a,b", lambda row, x: f"{day(row)},{x},{row % 5}"), ("inputs: a, b; targets: b;",), {"target": "b"}
    ),
    "numbers for names": Told(
        table(",773869,767541", lambda row, x: f"{hour(row)},{x},{x}"),
        ("inputs: 773869, 767541;", "time: 1 (1 h apart)", "names: line 1 (an empty cell above dates)"),
    ),
    "numbers for names, and a word": Told(
        table("date,2020,2021", lambda row, x: f"{hour(row)},{x},{x}"), ("inputs: 2020, 2021;", "a word above dates")
    ),
    "numbers for names, and a number": Told(
        table("0,1,2", lambda row, x: f"{hour(row)},{x},{x}"), ("inputs: 1, 2;", "a number above dates")
    ),
    "an index of row numbers": Told(
        table(",0,1", lambda row, x: f"{row},{x},{x}"), ("targets: 0, 1 (not column 1: a counter)", "above a counter")
    ),
    "no names": Told(table(None, lambda row, x: f"{x},{x}"), ("inputs: 1, 2;", "names: none, line 1 is a row")),
    "no names above dates": Told(table(None, lambda row, x: f"{day(row)},{x}"), ("inputs: 2;", "time: 1 (1 day")),
    "names as asked": Told(
        table("5,6", lambda row, x: f"{x},{x}"), ("inputs: 5, 6;", "line 1 (as asked)"), {"header": "yes"}
    ),
    "years for names, as asked": Told(
        table("2019,2020", lambda row, x: f"{x},{x}"), ("inputs: 2019, 2020;",), {"header": "yes"}
    ),
    "a far row, as asked": Told(
        table("2019,2020", lambda row, x: f"{x},{x}"), ("inputs: 1, 2;", "names: none"), {"header": "no"}
    ),
    "a first row of whole numbers": Told(table("9,12", lambda row, x: f"{x},{x}"), ("inputs: 1, 2;", "names: none")),
    "a first row of a date and a far number": Told(
        "2019-12-31,5000\n" + table(None, lambda row, x: f"{day(row)},{x}"), ("inputs: 2;", "time: 1 (1 day apart)")
    ),
    "a first row that is far in one column": Told(
        table("9.5,900", lambda row, x: f"{x},{x}"), ("inputs: 1, 2;", "names: none")
    ),
    "two columns of whole numbers": Told(
        table(None, lambda row, x: f"{row * 7 % 40},{10 + row * 37 % 90}"), ("inputs: 1, 2;",)
    ),
    "two cells, as asked": Told(
        table(None, lambda row, x: f"{20 + row % 3},{row * 37 % 100:02d}"), ("inputs: 1, 2;",), {"delimiter": ","}
    ),
    "names in a comment": Told(
        "# by hand\n# d, a\n" + table(None, lambda row, x: f"{day(row)},{x}" + ("\n# note" if row == 9 else "")),
        ("inputs: a;", "time: d", "names: in a line with #", "2 line(s) with # passed over"),
    ),
    "comments": Told("#x\n" + table("d,a", lambda row, x: f"{day(row)},{x}"), ("inputs: a;", "1 line(s) with #")),
    "declared": Told(
        "sep=;\n" + table("d;a, in m", lambda row, x: f"{day(row)};{x}"), ('inputs: "a, in m";', "each semicolon")
    ),
    "another mark in a name": Told(table("d,a|b;c", lambda row, x: f"{day(row)},{x}"), ("each comma", "a|b;c")),
    "a quoted name": Told(
        table('d,"wind, m/s",b', lambda row, x: f"{day(row)},{x},{x}"),
        ('targets: "wind, m/s", b;',),
        {"target": '"wind, m/s",b'},
    ),
    "a name with a comma alone": Told(
        table('d,"wind, m/s",b', lambda row, x: f"{day(row)},{x},{x}"),
        ('targets: "wind, m/s";',),
        {"target": "wind, m/s"},
    ),
    "years": Told(
        table("YEAR,a", lambda row, x: f"{1900 + row},{x}"), ("targets: a (not YEAR: a counter); time: YEAR (1 year",)
    ),
    "years and months": Told(
        table("year,month,a", lambda row, x: f"{1990 + row // 12},{row % 12 + 1},{x}"),
        ("not year: a counter, month: a part of the date", "time: year + month (1 month apart)"),
    ),
    "ids": Told(table("id,a", lambda row, x: f"{3 * row + row % 2},{x}"), ("not id: an id",)),
    "row numbers": Told(table('"",a', lambda row, x: f"{row + 1},{x}"), ("not 1: a counter",)),
    "an axis": Told(table("t,a", lambda row, x: f"{row / 10},{x}"), ("not t: a counter",)),
    "a sum that grows": Told(table("sum,a", lambda row, x: f"{row * row},{x}"), ("targets: sum, a;",)),
    "counters alone": Told(table("n", lambda row, x: f"{row}"), ("targets: n;", "nothing but what counts is there")),
    "a counter as asked": Told(table("n,a", lambda row, x: f"{row},{x}"), ("targets: n;",), {"target": "n"}),
    "seconds": Told(table("timestamp,a", lambda row, x: f"{1577836800 + 60 * row},{x}"), ("timestamp (1 min apart)",)),
    "milliseconds": Told(table("time,a", lambda row, x: f"{1577836800000 + 3600000 * row},{x}"), ("time: time (1 h",)),
    "days in digits": Told(table("date,a", lambda row, x: f"{day(row, '%Y%m%d')},{x}"), ("date (1 day apart)",)),
    "years in decimals": Told(
        table("decimal year,a", lambda row, x: f"{1958.2 + row / 12:.4f},{x}"), ("time: decimal year (1 month apart)",)
    ),
    "days first": Told(table("d,a", lambda row, x: f"{day(row, '%d/%m/%Y')},{x}"), ("d (day first, 1 day apart)",)),
    "days first, German": Told(table("d;a", lambda row, x: f"{day(row, '%d.%m.%y')};{x}"), ("day first, 1 day",)),
    "months first": Told(table("d,a", lambda row, x: f"{day(row, '%m/%d/%y')},{x}"), ("month first, 1 day apart",)),
    "months by name": Told(table("d,a", lambda row, x: f"{day(row, '%d-%b-%Y')},{x}"), ("time: d (1 day apart)",)),
    "weekdays too": Told(table("d,a", lambda row, x: f'"{day(row, "%a, %d %b %Y")}",{x}'), ("time: d (1 day apart)",)),
    "afternoons": Told(table("d,a", lambda row, x: f"{hour(row, '%m/%d/%Y %I:%M %p')},{x}"), ("1 h apart",)),
    "a zone": Told(table("d,a", lambda row, x: f"{hour(row, '%Y-%m-%dT%H:%M:%S+02:00')},{x}"), ("d (1 h apart)",)),
    "universal time": Told(
        table("d,a", lambda row, x: f"{hour(row, '%Y-%m-%dT%H:%M:%S.000Z')},{x}"), ("d (1 h apart)",)
    ),
    "two zones": Told(
        table(
            "d,a", lambda row, x: f"{hour(row + (row > 60), '%Y-%m-%d %H:%M')}{'+02:00' if row > 60 else '+01:00'},{x}"
        ),
        ("time: d (1 h apart)",),
    ),
    "quarters": Told(table("d,a", lambda row, x: f"{1990 + row // 4}Q{row % 4 + 1},{x}"), ("d (3 months apart)",)),
    "weeks": Told(table("d,a", lambda row, x: f"{day(row, '%G-W%V', 168)},{x}"), ("time: d (1 week apart)",)),
    "months": Told(table("d,a", lambda row, x: f"{1990 + row // 12}-{row % 12 + 1:02d},{x}"), ("d (1 month apart)",)),
    "date and time apart": Told(
        table("Date;Time;a", lambda row, x: f"{hour(row, '%d/%m/%Y;%H:%M:%S')};{x}"),
        ("Date + Time (day first (month first is possible too: dates=month-first), 1 h",),
    ),
    "times of day": Told(
        table("Time,a", lambda row, x: f"{hour(row, '%H:%M')},{x}"), ("time: none", "left out: Time (times of day)")
    ),
    "two columns of dates": Told(
        table("d,e,a", lambda row, x: f"{day(row)},{day(99 - row)},{x}"), ("time: d (1", "left out: e (dates)")
    ),
    "jumps": Told(
        table("d,a", lambda row, x: f"{day(row + 4 * (row > 50))},{x}"), ("1 jump(s), the first of 5 days in line 53",)
    ),
    "repeats": Told(
        table("d,a", lambda row, x: f"{day(row - (row > 50))},{x}"), ("1 repeat(s), the first in line 53",)
    ),
    "a step back": Told(
        table("d,a", lambda row, x: f"{day(row - 9 * (row > 50))},{x}"), ("1 step(s) back, the first in line 53",)
    ),
    "no date in a row": Told(
        table("d,a", lambda row, x: f"{day(row) if row != 50 else ''},{x}"),
        ("1 row(s) without a date, the first in line 52",),
    ),
    "dates in several forms, as they stand": Told(
        table("d,a", lambda row, x: f"{day(row, '%Y-%m-%d' if row % 2 else '%d/%m/%Y')},{x}"),
        ("time: none", "left out: d (dates in several forms)"),
        {"order": "oldest-first"},
    ),
    "dates that cannot be read beside those that can": Told(
        table("d,e,a", lambda row, x: f"{day(row)},{row + 1} janvier 2024,{x}"),
        ("time: d (1", "left out: e (dates that cannot be read)"),
    ),
    "minutes in digits, under any name": Told(
        table("x,a", lambda row, x: f"{hour(row, '%Y%m%d%H%M')},{x}"), ("inputs: a;", "time: x (1 h apart)")
    ),
    "seconds in digits, under any name": Told(
        table("x,a", lambda row, x: f"{hour(row, '%Y%m%d%H%M%S')},{x}"), ("inputs: a;", "time: x (1 h apart)")
    ),
    "days of a spreadsheet": Told(
        table("Date,a", lambda row, x: f"{45300 + row},{x}"), ("inputs: a;", "time: Date (1 day apart)")
    ),
    "hours of a spreadsheet": Told(
        table("Date,a", lambda row, x: f"{45300 + row / 24:.5f},{x}"), ("inputs: a;", "time: Date (1 h apart)")
    ),
    "seconds since the beginning": Told(
        table("Time,a", lambda row, x: f"{row * row // 9},{x}"), ("targets: a (not Time: a counter)", "time: none")
    ),
    **{
        f"a zone called {zone}": Told(
            table("d,a", lambda row, x, zone=zone: f"{hour(row)}:00 {zone},{x}"), ("d (1 h apart)",)
        )
        for zone in ("UTC", "CEST", "Europe/Berlin", "America/Argentina/Buenos_Aires")
    },
    "a shuffled index": Told(table(",a", lambda row, x: f"{row * 37 % ROWS},{x}"), ("targets: a (not 1: an id)",)),
    "counting down as asked": Told(
        table("id,a", lambda row, x: f"{row},{x}", turned=True),
        ("newest row first, turned",),
        {"order": "newest-first"},
    ),
    "counting up and down": Told(table("id,left,a", lambda row, x: f"{row},{ROWS - row},{x}"), ("time: none",)),
    "falling": Told(table("x,load,a", lambda row, x: f"{x},{-row * row},{x}"), ("targets: x, load, a;",)),
    "newest first, turned": Told(
        table("d,a", lambda row, x: f"{day(row)},{x}", turned=True),
        ("time: d (1 day apart)", "newest row first, turned round"),
        {"order": "newest-first"},
    ),
    "newest first, as it stands": Told(
        table("d,a", lambda row, x: f"{day(row)},{x}", turned=True), ("119 step(s) back",), {"order": "oldest-first"}
    ),
    "separators at the end": Told(table("d,a,", lambda row, x: f"{day(row)},{x},"), ("left out: 3 (empty)",)),
    "tabs": Told(table("d\ta", lambda row, x: f"{day(row)}\t{x}"), ("inputs: a;", "each tab")),
    "bars": Told(table("d|a", lambda row, x: f"{day(row)}|{x}"), ("inputs: a;", "each bar")),
    "all in quotes": Told(table('"d","a"', lambda row, x: f'"{day(row)}","{x}"'), ("inputs: a;", "time: d")),
    "other alphabets": Told(table("日付,Größe", lambda row, x: f"{day(row)},{x}"), ("inputs: Größe;", "time: 日付")),
    "one column": Told(table(None, lambda row, x: x), ("inputs: 1; targets: 1;",)),
    "one column with a name": Told(table("x", lambda row, x: x), ("inputs: x; targets: x;",)),
    "a wide table": Told(
        table(",".join(f"c{at}" for at in range(200)), lambda row, x: ",".join([x] * 200)), ("c0, c1, ", ", c199;")
    ),
    "blank lines": Told(table("d,a", lambda row, x: f"{day(row)},{x}\n"), ("inputs: a;",)),
    "a mark and other line ends": Told(
        "\ufeff" + table("d,a", lambda row, x: f"{day(row)},{x}").replace("\n", "\r\n"), ("inputs: a;", "time: d")
    ),
    "constant at first": Told(
        table("a,b", lambda row, x: f"{5 + (row > 100)},{x}"),
        ("inputs: a (constant over the rows that train), b;", "targets: b (not a: constant over the rows that train)"),
    ),
    "constant but for rounding": Told(
        table("a,b", lambda row, x: f"{0.3 if row % 2 else 0.1 + 0.2!r},{x}"),
        ("a (constant)", "targets: b (not a: con"),
    ),
    "far from zero": Told(
        table("a,b", lambda row, x: f"{1e9 + 1e-7 * (row % 3)!r},{x}"), ("a (constant)", "not a: constant")
    ),
}
