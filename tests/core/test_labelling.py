"""Labels as a table, figures, a picture and a view: what is there is what was given."""

import csv
import io
import json
from xml.etree import ElementTree

import numpy as np
import pytest

import rnnkit
from rnnkit.core.labelling_plot import counts

TITLE = "{http://www.w3.org/2000/svg}title"


def made(actual=(0, 1, 0, -1), labels=("a,b", "<c>"), **options):
    shares = np.array([[0.9, 0.1], [0.25, 0.75], [0.4, 0.6], [0.5, 0.5]])
    index = {"line": ["2", "3", "4", "5"]}
    return rnnkit.Labelling(index=index, labels=labels, probabilities=shares, actual=np.array(actual), **options)


def test_the_table_has_every_probability_and_the_truth_where_it_is_known():
    head, *rows = csv.reader(io.StringIO(made().to_csv()))
    assert head == ["line", "label", "probability", "probability_a,b", "probability_<c>", "actual"]
    assert rows[0] == ["2", "a,b", "0.900000", "0.900000", "0.100000", "a,b"]
    assert [row[1] for row in rows] == ["a,b", "<c>", "<c>", "a,b"]
    assert [row[-1] for row in rows] == ["a,b", "<c>", "a,b", ""]
    assert list(made(every=False).columns()) == ["line", "label", "probability", "actual"]


def test_records_are_the_table_as_json_has_it():
    first, *_, last = map(json.loads, map(json.dumps, made().records()))
    assert first == {
        "line": "2",
        "label": "a,b",
        "probability": 0.9,
        "probability_a,b": 0.9,
        "probability_<c>": 0.1,
        "actual": "a,b",
    }
    assert last["actual"] is None


def test_figures_have_spans_where_there_are_some():
    plain = rnnkit.LabelScore("(all)", "this run", 0.5, 0.5, 0.5, 0.5, 3)
    assert list(made(scores=(plain,)).figures()[0]) == [
        *("label", "method", "accuracy", "F1", "precision", "recall", "rows")
    ]
    both = made(scores=(plain._replace(span_f1=0.25), plain._replace(label="O"))).figures()
    assert [row["span F1"] for row in both] == [0.25, None]
    assert made().figures() == []


def test_the_matrix_counts_rows_whose_truth_is_known():
    prediction = made()
    assert counts(2, prediction.given, prediction.actual).tolist() == [[1, 1], [0, 1]]
    assert prediction.describe() == (
        "Confusion matrix of 3 sequences and 2 labels, 67% of all on its diagonal; of those with the label, right are: "
        "a,b 50%, <c> 100%"
    )


def drawn(prediction):
    root = ElementTree.fromstring(prediction.svg())
    return root.find(TITLE).text, ["".join(text.itertext()).strip() for text in root.findall(".//{*}text")]


def test_the_picture_is_the_matrix():
    pytest.importorskip("matplotlib")
    title, words = drawn(made())
    assert title == made().describe()
    assert {"a,b", "<c>", "label given", "true label", "2 of 3 sequences right"} <= set(words)
    assert [word for word in words if word.isdigit()] == ["1", "1", "1"]


def test_without_a_truth_the_picture_is_how_often_each_label_is_given():
    pytest.importorskip("matplotlib")
    title, words = drawn(made(actual=[-1] * 4, rows_are="steps"))
    assert title == "How often each of 2 labels is given to 4 steps: a,b 2, <c> 2"
    assert "steps that are given the label" in words


def test_of_many_labels_the_most_frequent_are_drawn():
    pytest.importorskip("matplotlib")
    places = np.repeat(np.arange(40), np.arange(40, 0, -1))
    labels = tuple(f"${place}" for place in range(40))
    index = {"row": [""] * len(places)}
    prediction = rnnkit.Labelling(index=index, labels=labels, probabilities=np.eye(40)[places], actual=places)
    _, words = drawn(prediction)
    assert {"$0", "$15"} <= set(words)
    assert "$16" not in words
    assert "the 16 most frequent of 40 labels" in words


def test_a_notebook_shows_table_and_notes():
    text = made(notes=("how & why",))._repr_html_()
    assert "&lt;c&gt;" in text
    assert "<p>how &amp; why</p>" in text
    assert repr(made()).startswith("<Labelling of 4 row(s): line, label, ")
