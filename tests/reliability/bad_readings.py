"""Of the corpus: 27 tables of which it is not clear how they are to be read, or that are read as nothing of use."""

from .bad_tables import rows, table
from .scene import Item

HOURS = [f"2024-01-{1 + hour // 24:02d} {hour % 24:02d}:00" for hour in range(100)]


def made(line, head="time,load", count=100):
    """Return a table of lines made by the number of their row."""
    return "\n".join([*([] if head is None else [head]), *(line(row) for row in range(count))]) + "\n"


def plain(content, **options):
    """Forecast a table of one series."""
    return table(content, key=None, **options)


LOAD = made(lambda row: f"{HOURS[row]},{row * 7 % 11}")
AMERICAN = made(lambda row: f"{1 + row // 28:02d}/{1 + row % 28:02d}/2024,{row * 7 % 11}")
OTHER = made(lambda row: f"{HOURS[row]},{row * 7 % 11},{row * 5 % 7}", "time,load,other")
TWO = made(lambda row: f"{HOURS[row // 2]},{'ab'[row % 2]},{row * 7 % 11}", "time,shop,load")

READINGS = (
    Item(
        "a target that begins after the rows that train",
        plain(
            made(lambda row: f"{HOURS[row]},{row % 7 if row > 90 else ''},{row * 5 % 11}", "time,load,b"),
            missing="forward",
            target="load",
        ),
        6,
        ("column 'load': none of the rows that train holds a number", "name another target, or cut the rows"),
    ),
    Item(
        "a target that ends with the rows that train",
        plain(
            made(lambda row: f"{HOURS[row]},{row % 7 if row < 70 else ''},{row * 5 % 11}", "time,load,b"),
            missing="mask",
            target="load",
        ),
        6,
        ("column 'load': none of the rows that validate holds a number", "cut the rows elsewhere (split)"),
    ),
    Item(
        "a word in a step of numbers",
        plain(made(lambda row: f"{HOURS[row]},{'much' if row == 40 else row * 7 % 11}"), every="3h"),
        6,
        ("line 42, column 'load': 'much' is not a finite number; correct it",),
    ),
    Item(
        "steps without a row",
        plain(LOAD, every="15min"),
        6,
        ("line 2, column 'load': here is a step of 15min without a number; give a longer one (every)", "missing="),
    ),
    Item("an empty key", table(rows().replace(",a,", ",,", 1)), 6, ("line 2, column 'shop': the cell is empty; fill",)),
    Item(
        "series that would be averaged",
        plain(TWO, every="1h"),
        6,
        ("100 row(s) have the time of another one and other numbers", "give key=shop, or leave_out=shop"),
    ),
    Item(
        "steps that are too short",
        plain(made(lambda row: f"{2000 + row}-01-01,{row * 7 % 11}"), every="1s"),
        6,
        ("its times go over more than 20,000,000 steps of 1s; give a longer one",),
    ),
    Item(
        "names that may be a row",
        plain(made(lambda row: f"{row * 7 % 11 / 2},{row % 7 / 2}", "2019,2020")),
        6,
        ("may be names or a row", "header=yes or header=no"),
    ),
    Item(
        "months where days are asked for",
        plain(AMERICAN, dates="day-first"),
        6,
        ("is no date with the day first, as dates=day-first asks",),
    ),
    Item(
        "dates that have one reading",
        plain(LOAD, dates="day-first"),
        2,
        ("dates is 'day-first', and", "leave dates out"),
    ),
    Item(
        "JSON for a table",
        plain('{"a": 1, "b": 2}\n' * 99),
        6,
        ("looks like JSON, not like a table; write it as text",),
    ),
    Item(
        "a quote that does not end", plain(LOAD + f'"{HOURS[0]},1\n'), 6, ("line 102: unexpected end of data; correct",)
    ),
    Item("blank lines alone", plain("\n \n\n"), 6, ("table.csv has nothing but blank lines; give a table of numbers",)),
    Item("names alone", plain("time,load\n"), 6, ("table.csv has no rows below the names in line 1; give a table",)),
    Item(
        "decimal commas between cells",
        plain(made(lambda row: f"{20 + row % 3},{row * 37 % 100:02d}", None)),
        6,
        ("'20,00' may be two cells or a number with a decimal comma; write 20.00, or give delimiter=,",),
    ),
    Item(
        "a name that is another's",
        plain(
            LOAD.replace("time,load", "load,load.2")
            .replace("load,load.2", "load,load,load.2", 1)
            .replace("\n2024", "\n1,2024")
        ),
        6,
        ("has several columns called 'load'; give each a name",),
    ),
    Item(
        "a total below the rows", plain(LOAD + "Total,550\n"), 6, ("line 102, column 'time': 'Total' is no date like",)
    ),
    Item(
        "dates in several forms",
        plain(made(lambda row: f"{HOURS[row][:10] if row % 2 else f'{1 + row % 28}/12/2023'},{row * 7 % 11}")),
        6,
        ("column 'time' has dates in several forms", "so whether the oldest row comes first is not known"),
    ),
    Item(
        "rows that count down",
        plain(made(lambda row: f"{100 - row},{row * 7 % 11}", "id,load")),
        6,
        ("column 'id' counts down, from 100 in line 2 to 1 in line 101", "give order=newest-first"),
    ),
    Item(
        "decimals at the delimiter", plain(LOAD, decimal="','", delimiter="','"), 2, ("are both ','; they must differ",)
    ),
    Item(
        "changes of what is no input",
        plain(OTHER, columns="other", target="load", level="last"),
        2,
        ("level is 'last', and target 'load' is no input; add it to columns",),
    ),
    Item(
        "a column that is named twice", plain(LOAD, columns="'load,load'"), 2, ("name one column or more, each once",)
    ),
    Item(
        "a delimiter of two characters",
        plain(LOAD, delimiter="ab"),
        2,
        ("delimiter is 'ab'; it must be one character",),
    ),
    Item(
        "a header that is neither",
        plain(LOAD, header="perhaps"),
        2,
        ("header is 'perhaps'; it must be yes, no or auto",),
    ),
    Item("decimals of another mark", plain(LOAD, decimal="x"), 2, ("decimal is 'x'; it must be , or .",)),
    Item(
        "a table of words", plain(made(lambda row: f"{HOURS[row]},word {row}")), 6, ("has no column of numbers; write",)
    ),
    Item(
        "nothing that varies",
        plain(made(lambda row: f"{HOURS[row]},5")),
        6,
        ("has nothing to forecast: load is constant",),
    ),
)
