"""Tagging: tokens in columns and rows of tables, sequences kept apart, and a label for every step."""

import re

import pytest
import torch

import rnnkit
from rnnkit.errors import DataError, UsageError
from rnnkit_tasks._targets import LEFT_OUT

from .labelled_files import conll

Tag = rnnkit.tasks["tag"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "names.conll"
    path.write_text(conll())
    return path


def watch(sequences=8, steps=10):
    """Return a table of a sensor: labels follow its sign, and rows of two sequences alternate."""
    rows = ["session,time,ax,ay,activity"]
    for pair in range(sequences // 2):
        for step in range(steps + pair):
            for session in (2 * pair, 2 * pair + 1):
                value = (-1) ** (step // 3 + session) * (1 + session / 10)
                rows.append(f"s{session},2024-01-01 00:00:{step:02},{value},0,{'walk' if value > 0 else 'rest'}")
    return "\n".join(rows) + "\n"


def sentences(task):
    """Return the tokens and labels of each sequence, by part."""
    return {
        mark: [(example.content, list(example.labels)) for example in part] for mark, part in task._examples.items()
    }


def all_sentences(task):
    return sorted(pair for part in sentences(task).values() for pair in part)


def test_tokens_and_labels_are_those_of_the_file(file):
    task = Tag(file=file)
    found = all_sentences(task)
    assert len(found) == 30
    assert (["then", "anna", "."], ["O", "B-NAME", "O"]) in found
    assert (["then", "came", "new", "york", "."], ["O", "O", "B-NAME", "I-NAME", "O"]) in found
    assert task.labels == ["B-NAME", "I-NAME", "O"]
    assert task.symbols
    assert task._split.counts() == (22, 4, 4)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\t", " "),
        lambda text: text.replace("\t", "   "),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("\n\n", "\n \n\n\n"),
        lambda text: "-DOCSTART- -X-\n\n" + text,
        lambda text: "# sent_id = 1\n# a comment of several words\n" + text,
        lambda text: re.sub(r"\t", "\tNOUN\tx\t", text),
    ],
    ids=["a space", "spaces", "line ends", "more blank lines", "documents", "comments", "columns between"],
)
def test_other_spellings_are_the_same(file, change):
    expected = all_sentences(Tag(file=file))
    file.write_bytes(change(conll()).encode())
    assert all_sentences(Tag(file=file)) == expected


def test_what_is_passed_over_is_said_and_a_hash_may_be_a_token(file):
    file.write_text("# id = 7\n" + "#\tO\nanna\tB-NAME\n\n" * 9 + "-DOCSTART-\tO\n\nbob\tB-NAME\n")
    task = Tag(file=file)
    assert (
        "tokens: column 1 of 2; labels: column 2; passed over: 1 comment(s); passed over: 1 -DOC" in task.data_summary()
    )
    assert (["#", "anna"], ["O", "B-NAME"]) in all_sentences(task)
    assert (["bob"], ["B-NAME"]) in all_sentences(task)


def test_a_table_of_sensors(tmp_path):
    path = tmp_path / "watch.csv"
    path.write_text(watch())
    task = Tag(file=path)
    summary = task.data_summary()
    for part in (
        "labels: column activity; sequences: column session, 8 of them; rows of 8 sequence(s) lie apart",
        "left out: time (text)",
        "features: ax, ay",
        "10 to 13 steps",
    ):
        assert part in summary
    for example in (example for examples in task._examples.values() for example in examples):
        signs = ["walk" if value > 0 else "rest" for value in example.content[:, 0]]
        assert signs == list(example.labels)
        assert len({line % 2 for line in example.lines}) == 1


def test_columns_that_are_asked_for(tmp_path):
    path = tmp_path / "watch.csv"
    path.write_text(watch())
    assert Tag(file=path, columns="ay").input_size == 1
    assert Tag(file=path, label="session", key="activity", columns="ax").labels == [f"s{n}" for n in range(8)]
    with pytest.raises(UsageError, match=r"has no column 'az' \(did you mean 'a[xy]'\?\)"):
        Tag(file=path, columns="ax,az")


def test_a_table_without_sequences_is_cut_into_pieces_in_their_order(tmp_path):
    path = tmp_path / "watch.csv"
    path.write_text("x,label\n" + "".join(f"{row},{'ab'[row // 7 % 2]}\n" for row in range(100)))
    task = Tag(file=path, max_len=10)
    assert task._split.marks == "ttttttvvkk"
    assert "sequences: the table as a whole is one" in task.data_summary()
    (batch,) = task.validation()
    assert batch.xs.shape == (10, 2, 1)
    with pytest.raises(
        DataError, match=r"is one sequence of 100 step\(s\), and pieces of it of 200 train and validate"
    ):
        Tag(file=path)


def test_a_table_of_tokens(tmp_path):
    path = tmp_path / "names.csv"
    path.write_text("sequence,word,tag\n" + "".join(f"{n // 2},{'ab'[n % 2]},{'XY'[n % 2]}\n" for n in range(40)))
    task = Tag(file=path)
    assert "tokens: column word" in task.data_summary()
    assert task.symbols
    assert set(map(str, all_sentences(task))) == {"(['a', 'b'], ['X', 'Y'])"}


def test_batches_are_padded_and_what_is_not_there_is_not_judged(file):
    task = Tag(file=file)
    batch = task.batch(8, torch.Generator().manual_seed(0))
    there = torch.arange(len(batch.xs)).unsqueeze(1) < batch.lengths
    assert (there == (batch.targets != LEFT_OUT)).all()
    assert not there.all()
    outputs = torch.randn(*batch.xs.shape, 3)
    right = (outputs.argmax(-1) == batch.targets)[there].double().mean()
    assert task.metric(outputs, batch.targets) == pytest.approx(float(right))
    whole = torch.nn.functional.cross_entropy(outputs[there], batch.targets[there])
    assert task.loss(outputs, batch.targets) == pytest.approx(float(whole), rel=1e-6)


def test_the_accuracy_is_that_of_all_steps_whatever_the_batches(tmp_path, monkeypatch):
    monkeypatch.setattr("rnnkit_tasks.labelled.padding.TOGETHER", 2)
    path = tmp_path / "names.conll"
    path.write_text(conll(60))
    task = Tag(file=path)
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 4, embedding_size=4, unroller="loop").eval()
    batches = list(task.validation())
    assert len(batches) == 5
    right = steps = 0
    with torch.no_grad():
        for batch in batches:
            given = model(batch.xs, lengths=batch.lengths)[0].argmax(-1)
            right += int((given == batch.targets).sum())
            steps += int(batch.lengths.sum())
    assert rnnkit.evaluate(model, task).metric == pytest.approx(right / steps)


def test_long_sequences_train_in_pieces_and_it_is_said(file):
    task = Tag(file=file, max_len=3)
    assert max(len(batch.xs) for batch in task.validation()) == 3
    assert "3 to 5 steps, 20 of 30 sequences cut into pieces of 3 (max_len)" in task.data_summary()
    steps = sum(int(batch.lengths.sum()) for batch in [*task.validation(), *task.test()])
    parts = sentences(task)
    assert steps == sum(len(labels) for mark in "vk" for _, labels in parts[mark])


def test_baselines_are_counted(file):
    task = Tag(file=file)
    held_out = sentences(task)["v"]
    labels = [label for _, each in held_out for label in each]
    figures = task.baselines()
    assert figures["majority label"] == pytest.approx(labels.count("O") / len(labels))
    assert figures["majority of the token"] == 1  # every token has one label here


def test_predictions_of_a_run_whose_file_is_gone(file, tmp_path):
    task = Tag(file=file)
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 8, embedding_size=8, unroller="loop")
    list(rnnkit.train(model, task, steps=60, batch_size=16, lr=0.02))
    state, calibration = task.data_state(), task.calibration(model.eval())
    file.unlink()
    again = Tag.from_data_state(state, file=str(file))
    predictor = again.predictor(model, calibration)
    new = tmp_path / "new.conll"
    new.write_text("then\nanna\n.\n\nnew\nyork\n")
    made = predictor.predict(new)
    assert made.columns()["label"] == ["O", "B-NAME", "O", "B-NAME", "I-NAME"]
    assert made.index["line"] == ["1", "2", "3", "5", "6"]
    assert made.index["token"] == ["then", "anna", ".", "new", "york"]
    assert list(made.columns()) == ["file", "line", "token", "label", "probability", "actual"]
    assert made.figures() == []
    new.write_text("then\tO\nanna\tB-NAME\n.\tO\n")
    (ours, *_) = predictor.predict(new).figures()
    assert (ours["accuracy"], ours["span F1"], ours["rows"]) == (1, 1, 3)
    new.write_text("then\tO\nanna\tB-PLACE\n")
    with pytest.raises(DataError, match=r"new\.conll, line 2: label 'B-PLACE' is none that the run knows"):
        predictor.predict(new)


def test_a_table_may_lack_labels_when_it_is_predicted(tmp_path):
    path, new = tmp_path / "watch.csv", tmp_path / "new.csv"
    path.write_text(watch())
    task = Tag(file=path)
    predictor = task.predictor(rnnkit.Model(task, "gru", 4, unroller="loop").eval(), {})
    new.write_text("ay,ax,session\n0,1,a\n0,-1,a\n0,1,b\n")
    made = predictor.predict(new)
    assert made.index == {"file": [str(new)] * 3, "line": ["2", "3", "4"]}
    new.write_text("ay,session\n0,a\n")
    with pytest.raises(DataError, match=r"has no column 'ax'.*, which the run reads; it has ay, session"):
        predictor.predict(new)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("a\n\nb\n", "line 1: a token without a label; write the label behind it, after a tab or blank"),
        ("a\tX\nb\t\nc\tY\n", "line 2: the label is missing; write it, or leave the line out"),
        ("a\tX\n\tX\nc\tY\n", "line 2: the token is missing"),
        ("a X\n\nb Y Z\n\nc X\n", "line 3: 3 cell(s), 2 in line 1; give all lines as many, the label last"),
        ("a X\nb Y\n", r"is one sequence of 2 step(s), and pieces of it of 200 train and validate"),
        ("a X\n\nb X\n", "has one label alone, 'X'; there is nothing to tell apart"),
        ("# only = comments\n", "has no tokens"),
    ],
)
def test_files_that_are_unfit(file, content, fault):
    file.write_text(content)
    with pytest.raises(DataError, match=re.escape(fault)):
        Tag(file=file)


def test_messages_ask_for_what_stands_before():
    figures = Tag().baselines()
    assert figures["majority label"] < 0.55
    assert figures["majority of the token"] < 0.85


@pytest.mark.slow
def test_a_network_tags_messages():
    torch.manual_seed(0)
    task = Tag()
    model = rnnkit.Model(task, "gru", 32)
    *_, last = rnnkit.train(model, task, steps=300, batch_size=32, lr=1e-2)
    assert last.validation.metric > 0.95
    assert task.further_figures(model.eval())["span F1"] > 0.85


@pytest.mark.parametrize(
    ("name", "said"),
    [("t.jsonl", "is JSON; give tokens in columns"), ("new.csv", "is a table, and the run learnt from")],
)
def test_a_file_of_another_kind_is_named(tmp_path, name, said):
    learnt = tmp_path / "t.conll"
    learnt.write_text("meet O\nelm B-STREET\n\nmeet O\noak B-STREET\n\nsee O\nash B-STREET\n" * 5)
    task = rnnkit.tasks["tag"](file=str(learnt))
    model = rnnkit.Model(task, "gru", hidden_size=2, unroller="loop").eval()
    other = tmp_path / name
    other.write_text('{"text": "a", "label": "b"}\n' * 30 if name.endswith("jsonl") else "token,label\nmeet,O\n")
    with pytest.raises(DataError, match=said):
        task.predictor(model, {}).predict(other)


def test_a_no_break_space_is_part_of_a_token(tmp_path):
    path = tmp_path / "t.conll"
    path.write_text("10\u00a0000 B-N\nkm O\n\n7 B-N\nkm O\n\n8 B-N\nkm O\n" * 5)
    task = rnnkit.tasks["tag"](file=str(path))
    assert "10\u00a0000" in task.symbol_names()
