"""What columns and keys of files with labels are taken for: each is told in one line, or the file is refused in one."""

import csv
import json
import re

import pytest

import rnnkit
from rnnkit.errors import DataError

WORDS = ["warm", "cold"]


def label(at):
    return WORDS[at % 2]


def objects(count=20, **more):
    """Return JSON lines with a text and a label, and more keys."""
    return "".join(json.dumps({"text": f"tea {label(at)}", "label": label(at), **more}) + "\n" for at in range(count))


def sheet(head, row, mark=","):
    """Return a table: `row` gives the cells of each line."""
    return "".join(mark.join(line) + "\n" for line in [head, *map(row, range(60))])


def tokens(row, mark):
    """Return tokens in columns, two a sequence: `row` gives the cells of each line."""
    return "\n".join(f"{mark.join(row(at))}\n{mark.join(row(at + 1))}\n" for at in range(30))


KINDS = {
    "objects": ("classify", "a.jsonl", objects(meta={"x": 1}, score=0.5)),
    "a key that but the last object has": ("classify", "a.jsonl", objects() + objects(1, source="web")),
    "a text beside a sequence": ("classify", "a.jsonl", objects(sequence=[[1.5, 2], [2, 1]])),
    "keys with commas and line ends": ("classify", "a.jsonl", objects(**{"a, b": 1, "two\nlines": 2})),
    "texts": ("classify", "a.csv", sheet(["id", "text", "label"], lambda at: [str(at), "warm tea", label(at)])),
    "tokens": ("tag", "a.conll", tokens(lambda at: [label(at), "NOUN", "x", label(at)], " ")),
    "tokens at tabs": ("tag", "a.conll", tokens(lambda at: [label(at), "", label(at)], "\t")),
    "steps": (
        "tag",
        "a.csv",
        sheet(["session", "a", "note", "label"], lambda at: [f"s{at // 4}", f"{at / 7}", label(at // 3), label(at)]),
    ),
}


def columns_of(name, content):
    """Return the keys or columns of a file, each once, without the code that is tested."""
    first, *_ = lines = content.splitlines()
    if name.endswith(".jsonl"):
        return sorted({" ".join(key.split()) for line in lines if line for key in json.loads(line)})
    if name.endswith(".csv"):
        return sorted(first.split(","))
    return [f"column {place}" for place in range(1, len(re.split("[ \t]", first)) + 1)]


def columns_told(name, line):
    """Return what a summary names as read or left out."""
    parts = dict(part.split(": ", 1) for part in line.split("; ") if ": " in part)
    found = [
        re.match(r"(key |column )([^,]+?)( of \d+)?(,|$)", parts[role])
        for role in ("texts", "sequences", "tokens", "labels")
        if role in parts
    ]
    told = [f"column {match[2]}" if name.endswith(".conll") else match[2] for match in found]
    listed = ["left out", *(["features"] if name.endswith(".csv") else [])]
    for role in [role for role in listed if role in parts]:
        told += [re.sub(r" \(.*", "", cell) for cell in next(csv.reader([parts[role]], skipinitialspace=True))]
    return sorted(told)


@pytest.mark.parametrize("kind", KINDS)
def test_every_column_is_told_once(tmp_path, kind):
    task, name, content = KINDS[kind]
    (tmp_path / name).write_text(content)
    line = rnnkit.tasks[task](file=tmp_path / name).data_summary()
    assert columns_told(name, line) == columns_of(name, content), line
    assert "\n" not in line


def test_many_columns_are_counted(tmp_path):
    (tmp_path / "a.jsonl").write_text(objects(**{f"k{at}": at for at in range(15)}))
    line = rnnkit.tasks["classify"](file=tmp_path / "a.jsonl").data_summary()
    assert "; left out: k0, k1, k2, k3, k4, k5, k6, k7, k8, k9, k10, k11, and 3 more; " in line


@pytest.mark.parametrize(
    "twice", ['"text": "so", "label": "warm", "text": "or so"', '"label": 1, "of": {"a": 1, "a": 2}']
)
def test_a_key_that_stands_twice_is_refused(tmp_path, twice):
    path = tmp_path / "a.jsonl"
    path.write_text(f"{objects()}{{{twice}}}\n")
    key = "text" if "text" in twice else "a"
    said = f"{path}, line 21: the key '{key}' stands in one object 2 times; correct it, or leave the line out"
    with pytest.raises(DataError, match=f"^{re.escape(said)}$"):
        rnnkit.tasks["classify"](file=path)
