"""Of the corpus: 18 tables that are asked for what they cannot give, or hold what they should not."""

import math

from .scene import Item, Scene


def rows(cell=None, at=50, count=100, head="time,shop,load,feast", mark=","):
    """Return a table of two shops, hour by hour; `cell` stands as the load of a row."""
    lines = []
    for row in range(count):
        load = cell if row == at and cell is not None else f"{10 + math.sin(row):.2f}"
        hour = row // 2
        time = f"2024-{1 + hour // 672:02d}-{1 + hour // 24 % 28:02d} {hour % 24:02d}:00"
        lines.append(mark.join([time, "ab"[row % 2], load, "no" if row % 9 else "yes"]))
    return "\n".join([head.replace(",", mark), *lines]) + "\n"


def table(content, **options):
    """Forecast a table."""

    def make(scene: Scene):
        scene.text(content, "table.csv")
        words = ["run", "--task", "csv", "--steps", 1, "--batch", 2, "--hidden", 2, "--quiet", "--out", "run"]
        for name, value in {"file": "table.csv", "window": 4, "key": "shop", **options}.items():
            words += [] if value is None else ["--set", f"task.{name}={value}"]
        return tuple(words)

    return make


TABLES = (
    Item("a key that is no column", table(rows(), key="store"), 2, ("table.csv has no column 'store'", "it has time,")),
    Item(
        "series that are all too short",
        table(rows(count=8), window=20),
        6,
        ("table.csv has too few rows, 4 at most in each of its 2 series", "window + horizon = 21"),
    ),
    Item(
        "a series whose newest row comes first",
        table(rows().splitlines()[0] + "\n" + "\n".join(rows().splitlines()[:0:-1])),
        6,
        ("series 'b': time column 'time' goes back", "order=newest-first"),
    ),
    Item("a gap that nobody fills", table(rows("n/a")), 6, ("line 52, column 'load': 'n/a' is not", "missing=forward")),
    Item(
        "a word where gaps are filled",
        table(rows("broken"), missing="forward"),
        6,
        ("line 52, column 'load': 'broken'",),
    ),
    Item(
        "a policy that is none", table(rows("n/a"), missing="drop"), 2, ("missing is 'drop'", "error, forward, inter")
    ),
    Item(
        "neither yes nor no",
        table(rows().replace("yes", "on", 1).replace(",on\n", ",\n", 1)),
        6,
        ("line 2, column 'feast': the cell is empty",),
    ),
    Item(
        "a target that is no number", table(rows(), target="feast"), 6, ("column 'feast'", "a target must be numbers")
    ),
    Item(
        "a target that is known", table(rows(), known="load", target="load"), 2, ("target and known both name 'load'",)
    ),
    Item(
        "what is known ahead is not there",
        table(rows(), known="holiday"),
        2,
        ("table.csv has no column 'holiday'", "it has time, shop, load, feast"),
    ),
    Item(
        "a step in time that is none",
        table(rows(), every="1 fortnight"),
        2,
        ("every is '1 fortnight'", "such as 15min"),
    ),
    Item(
        "a step in time without times",
        table("load\n" + "1\n2\n" * 60, key="load", every="1h"),
        2,
        ("every is '1h'", "no column of", "table.csv tells the time"),
    ),
    Item("a zone that is none", table(rows(), zone="Berlin"), 2, ("zone is 'Berlin'", "such as Europe/Berlin")),
    Item(
        "parts that do not make a whole", table(rows(), split="'80,30,10'"), 2, ("split is", "it must be percentages")
    ),
    Item(
        "parts that begin before the table",
        table(rows(), split="'2020-01-01,2020-02-01'"),
        6,
        ("too few rows before the dates of split", "0 window(s) train"),
    ),
    Item("quantiles without the median", table(rows(), quantiles="'0.1,0.9'"), 2, ("0.5 must be among them",)),
    Item(
        "decimal commas beside points",
        table(rows(mark=";").replace("10.", "10,", 40)),
        6,
        ("column 'load'", "is not a finite number", "each semicolon"),
    ),
    Item(
        "columns of one name",
        table(rows(head="time,shop,load,load").replace("load,load", "load,load")[:-1] + "\n", target="load.3"),
        2,
        ("table.csv has no column 'load.3'", "load.2"),
    ),
)
