"""Small files with labels, of every kind that the tasks `classify` and `tag` read."""

import csv
import io
import json

WORDS = {"good": ["warm", "bright", "kind"], "bad": ["cold", "dim"]}
"""By label, words of which each text has two."""


def texts(count=40):
    """Return texts and labels: in both are commas, and quotes in some."""
    rows = []
    for at in range(count):
        label = "good" if at % 3 else "bad"
        words = WORDS[label]
        mark = '"so" ' if at % 7 == 0 else ""
        rows.append((f"{mark}{words[at % len(words)]}, and {words[(at + 1) % len(words)]}", label))
    return rows


def table(rows, header=("text", "label"), delimiter=","):
    """Return rows as delimiter-separated text."""
    sheet = io.StringIO()
    writer = csv.writer(sheet, delimiter=delimiter, lineterminator="\n")
    writer.writerows([header, *rows] if header else rows)
    return sheet.getvalue()


def json_lines(rows, key="text"):
    """Return rows as JSON lines."""
    return "".join(json.dumps({key: content, "label": label}) + "\n" for content, label in rows)


def write_folder(path, rows, ending=".txt"):
    """Write each content into a file in the folder of its label."""
    for at, (content, label) in enumerate(rows):
        (path / label).mkdir(parents=True, exist_ok=True)
        (path / label / f"{at:03}{ending}").write_text(content)
    return path


def numbers(count=30):
    """Return sequences of two features, of 2 to 6 steps, and labels: what goes up, and what goes down."""
    return [
        (
            [[(step if at % 2 else -step) + at / 9, 5.0 + step % 2] for step in range(2 + at % 5)],
            "up" if at % 2 else "down",
        )
        for at in range(count)
    ]


def conll(sentences=30, mark="\t"):
    """Return sentences with names, a token a line."""
    names = ["anna", "bob", "new york"]
    blocks = []
    for at in range(sentences):
        name = names[at % 3].split()
        lines = [f"{word}{mark}O" for word in ["then", "came"][: 1 + at % 2]]
        lines += [f"{word}{mark}{'I' if place else 'B'}-NAME" for place, word in enumerate(name)]
        blocks.append("\n".join([*lines, f".{mark}O"]))
    return "\n\n".join(blocks) + "\n"
