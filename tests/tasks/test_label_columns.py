"""What columns and keys of files with labels are taken for: each is told in one line, or the file is refused in one."""

import csv
import json
import re

import pytest

import rnnkit
from rnnkit.errors import DataError
from rnnkit_tasks.labelled.text_table import read_text_table

from .labelled_files import write_folder

Classify = rnnkit.tasks["classify"]

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
    line = Classify(file=tmp_path / "a.jsonl").data_summary()
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
        Classify(file=path)


def numbers(at):
    return [f"2024-01-{1 + at % 28:02}", str(at), "yes" if at % 2 else "no", f"{at * 2.5}", label(at)]


HEAD = ["day", "count", "flag", "level", "label"]


@pytest.mark.parametrize("tokens", ["char", "word"])
@pytest.mark.parametrize("first", [0, 1, 3])
def test_a_table_without_texts_is_refused(tmp_path, tokens, first):
    path = tmp_path / "a.csv"
    path.write_text(sheet(HEAD[first:], lambda at: numbers(at)[first:]))
    shown = ", ".join(HEAD[first:-1])
    said = (
        f"{path} has no column of texts beside the labels, only numbers, dates, yes and no ({shown}); name the "
        "column with text= that is to be read as text, or give sequences of numbers as JSON lines or a folder"
    )
    with pytest.raises(DataError, match=f"^{re.escape(said)}$"):
        Classify(file=path, tokens=tokens)
    assert "texts: column level; " in Classify(file=path, text="level").data_summary()


def test_a_run_over_other_files_does_not_take_numbers_for_texts(tmp_path):
    folder = write_folder(tmp_path / "folder", [("warm tea", "warm"), ("cold tea", "cold")] * 9)
    path = tmp_path / "new.csv"
    path.write_text(sheet(HEAD, numbers))
    task = Classify(file=folder)
    predictor = task.predictor(rnnkit.Model(task, "gru", 3, embedding_size=3, unroller="loop").eval(), {})
    with pytest.raises(DataError, match=r"new\.csv has no column of texts .*; call the column 'text' that is to"):
        predictor.predict(path)


def test_words_are_texts_and_longer_numbers_are_none(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(sheet(["id", "words", "label"], lambda at: [f"{at + 10**15}", f"tea {label(at)}", label(at)]))
    assert "texts: column words; labels: column label; names: " in Classify(file=path).data_summary()


@pytest.mark.parametrize(("task", "name", "noun"), [("classify", "a.csv", "words"), ("tag", "a.conll", "tokens")])
def test_symbols_of_which_none_occurs_twice_are_refused(tmp_path, task, name, noun):
    path = tmp_path / name
    rows = [f"v{at} O\nw{at} B-X\n" for at in range(20)]
    path.write_text("\n".join(rows) if task == "tag" else sheet(["text", "label"], lambda at: [f"w{at}", label(at)]))
    said = f"{path}: none of the {noun} that train occurs 2 times, so that all would be one unknown; give more of them"
    with pytest.raises(DataError, match=f"^{re.escape(said)}"):
        rnnkit.tasks[task](file=path, **({"tokens": "word"} if task == "classify" else {}))


@pytest.mark.parametrize("empty", [",", '"",', '"",""'])
def test_rows_of_empty_cells_are_counted(tmp_path, empty):
    path = tmp_path / "reviews.csv"
    path.write_text(sheet(["text", "label"], lambda at: [f"tea {label(at)}", label(at)]) + f"{empty}\n\n  \n{empty}\n")
    assert "; passed over: 2 row(s) of empty cells; " in Classify(file=str(path)).data_summary()


def test_an_empty_text_of_one_column_is_counted(tmp_path):
    path = tmp_path / "new.csv"
    path.write_text('text\ntea\n""\n\nice\n')
    examples = read_text_table(path, {"text": "text", "label": "label"}, kept=True)
    assert len(examples.items) == 2
    assert "passed over: 1 row(s) of empty cells" in examples.notes
