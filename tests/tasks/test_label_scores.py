"""Figures and simple methods of tasks with labels, held to scikit-learn's and to what is counted by hand."""

import numpy as np
import pytest
import torch

import rnnkit
from rnnkit_tasks.labelled.linear_labels import LinearLabels, summarised
from rnnkit_tasks.labelled.naive_bayes import NaiveBayes
from rnnkit_tasks.labelled.padding import probabilities
from rnnkit_tasks.labelled.scores import ALL, OURS, Scores, macro_f1, score_rows
from rnnkit_tasks.labelled.spans import mark_spans, span_f1, spans_of


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_scores_are_those_of_scikit_learn(labels):
    metrics = pytest.importorskip("sklearn.metrics")
    draw = np.random.default_rng(labels)
    actual, given = draw.integers(labels, size=40), draw.integers(labels, size=40)
    ours = Scores.of(given, actual, labels)
    theirs = metrics.precision_recall_fscore_support(actual, given, labels=range(labels), zero_division=0)
    for one, other in zip(ours[:4], theirs, strict=True):
        assert one == pytest.approx(other)
    assert ours.accuracy == metrics.accuracy_score(actual, given)
    assert macro_f1(given, actual, labels) == pytest.approx(metrics.f1_score(actual, given, average="macro"))


def test_a_label_that_nobody_has_or_is_given_is_no_part_of_the_macro_f1():
    assert macro_f1(np.array([0, 1]), np.array([0, 1]), 5) == 1


def test_rows_without_a_truth_are_left_out():
    given = {OURS: np.array([0, 1, 1, 0]), "other": np.array([0, 0, 0, 0])}
    ours, other, first, second = score_rows(["a", "b"], given, np.array([0, 1, 0, -1]))
    assert (ours.label, ours.method, ours.rows) == (ALL, OURS, 3)
    assert (ours.accuracy, other.accuracy) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert (first.precision, first.recall, first.rows) == (1, 0.5, 2)
    assert (second.precision, second.recall, second.rows) == (0.5, 1, 1)
    assert score_rows(["a", "b"], given, np.full(4, -1)) == ()


def test_naive_bayes_is_that_of_scikit_learn():
    bayes = pytest.importorskip("sklearn.naive_bayes")
    draw = np.random.default_rng(0)
    texts = [draw.integers(6, size=draw.integers(1, 9)) for _ in range(30)]
    places = np.arange(30) % 3
    ours = NaiveBayes.fitted(texts, places, 3, 6, order=1)
    there = np.array([[symbol in text for symbol in range(6)] for text in texts])
    theirs = bayes.MultinomialNB(class_prior=[1 / 3] * 3).fit(there, places)
    assert ours.logs == pytest.approx(theirs.feature_log_prob_, abs=1e-4)
    assert (ours.given(texts) == theirs.predict(there)).mean() > 0.95  # but for ties, broken by rounding


def test_n_grams_tell_what_symbols_do_not():
    ab, ba = np.array([0, 1] * 4), np.array([1, 1, 0, 0] * 2)
    model = NaiveBayes.fitted([ab, ba] * 3, np.array([0, 1] * 3), 2, 2, order=2)
    assert model.given([ab, ba]).tolist() == [0, 1]
    assert NaiveBayes.from_json(model.to_json(), 2).given([ba, ab, np.array([1])]).tolist()[:2] == [1, 0]


def test_ridge_is_that_of_scikit_learn():
    linear = pytest.importorskip("sklearn.linear_model")
    draw = np.random.default_rng(0)
    rows, places = draw.normal(size=(50, 3)), draw.integers(3, size=50)
    model = LinearLabels.fitted(rows, places, rows, places, 3)
    inputs = (rows - rows.mean(0)) / rows.std(0)
    found = [
        linear.Ridge(alpha=50 * penalty).fit(inputs, np.eye(3)[places]) for penalty in (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
    ]
    gaps = [np.abs(np.vstack([one.coef_.T, one.intercept_]) - model.weights).max() for one in found]
    assert min(gaps) < 1e-10
    again = LinearLabels.from_json(model.to_json(), 3, 3)
    assert (again.given(rows) == model.given(rows)).all()


def test_summaries():
    (row,) = summarised([np.array([[1.0, 5.0], [3.0, 5.0]])])
    assert row == pytest.approx([2, 5, 1, 0, 1, 5, 3, 5, 3, 5, np.log(2)])


@pytest.mark.parametrize(
    ("labels", "spans"),
    [
        ("O O", []),
        ("B-x I-x O", [("x", 0, 1)]),
        ("B-x B-x", [("x", 0, 0), ("x", 1, 1)]),
        ("B-x I-y", [("x", 0, 0), ("y", 1, 1)]),
        ("I-x I-x O I-x", [("x", 0, 1), ("x", 3, 3)]),
        ("O B-x", [("x", 1, 1)]),
    ],
)
def test_spans(labels, spans):
    assert {span[1:] for span in spans_of([labels.split()])} == set(spans)


def test_the_f1_of_spans_asks_for_both_ends():
    truth = [["B-x", "I-x", "O"], ["B-y"]]
    assert span_f1(truth, truth) == 1
    assert span_f1([["B-x", "O", "O"], ["B-y"]], truth) == 0.5
    assert span_f1([["O"] * 3, ["O"]], truth) == 0
    assert span_f1([["O"] * 3, ["B-y"]], truth) == pytest.approx(2 / 3)  # one of one, one of two


@pytest.mark.parametrize(
    ("labels", "marks"),
    [("O B-x I-x", True), ("B-x O", True), ("O I-x", False), ("O B-x E-x", False), ("O B-", False), ("up down", False)],
)
def test_which_labels_mark_spans(labels, marks):
    assert mark_spans(labels.split()) == marks


@pytest.mark.parametrize("every_step", [True, False])
def test_what_a_model_says_of_a_sequence_depends_on_no_other(every_step):
    torch.manual_seed(0)
    model = rnnkit.Model(rnnkit.tasks["tag" if every_step else "classify"](), "gru", 5, unroller="loop").double().eval()
    sequences = [torch.randn(length, 2).double() for length in (3, 9, 1, 9)]
    if every_step:
        sequences = [(sequence[:, 0] * 5).abs().long() for sequence in sequences]
    together = probabilities(model, sequences, every_step=every_step)
    for sequence, said in zip(sequences, together, strict=True):
        (alone,) = probabilities(model, [sequence], every_step=every_step)
        assert said.shape == alone.shape == ((len(sequence), 7) if every_step else (4,))
        assert torch.allclose(said, alone, atol=1e-12)
        assert torch.allclose(said.sum(-1), torch.ones(()).double())
