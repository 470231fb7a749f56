"""Of the corpus: 31 things that a finished run is asked for, rows that come on stdin, and data that are gone."""

import math

from .scene import Item, Scene

HEAD = "time,load,feast"
KNOWN = ("--set", "task.known=feast", "--set", "task.missing=forward")
EVEN = ("--set", "task.every=1h", "--set", "task.missing=forward")


def row(hour: int, load: str | None = None, feast: str = "0") -> str:
    load = f"{10 + math.sin(hour):.2f}" if load is None else load
    return f"2024-{1 + hour // 672:02d}-{1 + hour // 24 % 28:02d} {hour % 24:02d}:00,{load},{feast}"


def lines(*rows: str) -> str:
    return "\n".join([HEAD, *rows]) + "\n"


TABLE = lines(*(row(hour, feast=str(hour % 3)) for hour in range(120)))
FEW = [row(hour) for hour in range(8)]


def predicted(content: str | None, *words: object, options: tuple[str, ...] = ()):
    """Forecast a table."""

    def make(scene: Scene):
        scene.learnt("csv", TABLE, *options)
        data = () if content is None else ("--data", scene.text(content, "new.csv").name)
        return ("predict", "run", *data, "--quiet", *words)

    return make


def followed(content: str | bytes, *words: object, options: tuple[str, ...] = ()):
    """Forecast rows that come on stdin."""

    def make(scene: Scene):
        scene.learnt("csv", TABLE, *options)
        scene.request["stdin"] = scene.text(content, "rows.csv").name
        return ("predict", "run", "--follow", "--quiet", *words)

    return make


def without(*words: object, keep: int = 0):
    """Do something with a run whose file is gone."""

    def make(scene: Scene):
        scene.learnt("csv", TABLE, "--keep-data", keep)
        return words

    return make


def changed(scene: Scene):
    scene.learnt("csv", TABLE, "--keep-data", 0)
    scene.text(TABLE.replace("10.00", "12.00"), "table.csv")
    return ("run", "--resume", "run", "--steps", 2, "--quiet")


def shorter(scene: Scene):
    scene.learnt("csv", TABLE, "--keep-data", 0)
    scene.text(lines(*FEW), "table.csv")
    return ("eval", "run")


def answered(scene: Scene):
    """Forecast a table with a 2 in a column of yes and no."""
    scene.learnt("csv", lines(*(row(hour, feast="yes" if hour % 3 else "no") for hour in range(120))))
    scene.text(lines(*FEW, row(8, feast="2")), "new.csv")
    return ("predict", "run", "--data", "new.csv", "--quiet")


def damaged_copy(scene: Scene):
    scene.learnt("csv", TABLE)
    copy = scene.folder / "run" / "data" / "file" / "table.csv"
    copy.with_name("table.csv.gz").write_bytes(b"no gzip")
    copy.unlink()
    scene.text(TABLE, "table.csv").unlink()
    return ("predict", "run", "--set", "task.file=run/data/file/table.csv.gz", "--quiet")


def nothing_to_predict(scene: Scene):
    scene.run()
    return ("predict", "run")


FORECASTS = (
    Item("a 2 for yes or no", answered, 6, ("line 10, column 'feast': '2' is neither yes nor no, nor 1 or 0",)),
    Item(
        "a date on stdin that may be two",
        followed(lines(*(f"03/04/2024 0{hour}:00,1,0" for hour in range(8)))),
        6,
        ("stdin, line 2, column 'time': '03/04/2024 00:00' may have the day or the month first", "as 2024-01-31"),
    ),
    Item("fewer rows than a window", predicted(lines(*FEW[:3])), 6, ("new.csv has 3 row(s); the run forecasts from",)),
    Item("a table without a column", predicted("time,feast\n" + "2024-01-01,1\n" * 9), 6, ("no column 'load', which",)),
    Item(
        "nothing is known ahead",
        predicted(lines(*FEW[:4]), options=KNOWN),
        6,
        ("nothing can be forecast, for feast is not known of the 2 row(s) after the last one",),
    ),
    Item(
        "the last row is not known ahead of",
        predicted(lines(*FEW), "--from", "last", options=KNOWN),
        6,
        ("feast is not known of any row after the last one", "give 2 row(s)"),
    ),
    Item(
        "a table over itself",
        predicted(TABLE, "--out", "new.csv"),
        2,
        ("--out new.csv would write over new.csv, which is read",),
    ),
    Item("a folder for a table", predicted(TABLE, "--out", "run/.."), 2, ("--out run/.. is a folder; name a file",)),
    Item("a table in no folder", predicted(TABLE, "--out", "no/f.csv"), 2, ("--out no/f.csv: there is no folder no",)),
    Item("a stream and a file", predicted(TABLE, "--follow"), 2, ("--follow reads stdin", "leave out --data")),
    Item("a stream without a line", followed(""), 6, ("stdin has no line; give a table with the columns",)),
    Item("a stream that ends early", followed(lines(*FEW[:3])), 6, ("stdin ended after 3 row(s); the run forecasts",)),
    Item("a stream that is not UTF-8", followed(TABLE[:60].encode() + b"\xff\n"), 6, ("stdin, line 3 is not UTF-8",)),
    Item("a line without an end", followed(b"1," * 2**24), 6, ("stdin, line 1 has more than 16,777,216 bytes",)),
    Item("a stream without a column", followed("time,feast\n"), 6, ("stdin, line 1: no column 'load', which the run",)),
    Item("a ragged stream", followed(lines(*FEW, "2024-01-02,1")), 6, ("stdin, line 10: 2 cell(s), 3 in the first",)),
    Item("a word in a stream", followed(lines(*FEW, row(8, "much"))), 6, ("line 10, column 'load': 'much' is not",)),
    Item("a gap in a stream", followed(lines(*FEW, row(8, ""))), 6, ("line 10, column 'load': the cell is empty",)),
    Item("no date in a stream", followed(lines(*FEW, "total,1,1")), 6, ("column 'time': 'total' is no date; correct",)),
    Item("names that come twice", followed(lines(*FEW, HEAD)), 6, ("line 10: the names stand here again",)),
    Item("a stream that goes back", followed(lines(*FEW[::-1])), 6, ("line 5: the time column 'time' goes back",)),
    Item(
        "a time that is a slip",
        followed(lines(*FEW, "2924-01-01 00:00,1,1"), options=EVEN),
        6,
        ("stdin, line 10: more than 1,000,000 steps after the row before; correct it",),
    ),
    Item(
        "a stream of which nothing is known ahead",
        followed(lines(*FEW[:4]), options=KNOWN),
        6,
        ("stdin: nothing can be forecast, for feast is not known of the 2 row(s) after any window",),
    ),
    Item(
        "rows known ahead that came never",
        followed(lines(*FEW[:5], row(5, ""), row(6)), options=KNOWN[:2]),
        6,
        ("line 7, column 'load': the cell is empty, as in rows known ahead, and line 8 is of a later time",),
    ),
    Item("nothing to predict", nothing_to_predict, 2, ("which has nothing to predict; see",)),
    Item("data that are gone", without("eval", "run"), 6, ("table.csv, the data of run, is gone; say where it is",)),
    Item("to go on without data", without("run", "--resume", "run", "--steps", 2), 6, ("is gone; say where it is",)),
    Item("to predict without data", without("predict", "run"), 6, ("is gone; say where it is now with --set",)),
    Item("to go on with other data", changed, 6, ("the data of task 'csv' have changed since",)),
    Item("fewer rows than then", shorter, 6, ("table.csv has 8 row(s), 120 when the run was made; give back",)),
    Item("a packed file that is none", damaged_copy, 6, ("table.csv.gz cannot be read: Not a gzipped file",)),
)
