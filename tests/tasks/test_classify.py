"""Classification of sequences: whatever file they are in, parts that do not overlap, and a run that stands alone."""

import re
from collections import Counter

import pytest
import torch

import rnnkit
from rnnkit.errors import DataError, UsageError

from .labelled_files import json_lines, numbers, table, texts, write_folder

Classify = rnnkit.tasks["classify"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text(table(texts()))
    return path


def rows_of(batches):
    """Return each sequence with its target, padding cut off."""
    found = []
    for batch in batches:
        for row, length in enumerate(batch.lengths.tolist()):
            found.append((tuple(batch.xs[:length, row].flatten().tolist()), int(batch.targets[row])))
    return found


def all_rows(task):
    drawn = task.batch(3000, torch.Generator().manual_seed(0))
    return sorted({*rows_of([drawn]), *rows_of(task.validation()), *rows_of(task.test() or [])})


def test_every_kind_of_file_gives_the_same_texts(tmp_path, file):
    rows = texts()
    files = {
        "table.tsv": table(rows, header=None, delimiter="\t"),
        "turned.csv": table([row[::-1] for row in rows], header=("sentiment", "review"), delimiter=";"),
        "lines.jsonl": json_lines(rows),
        "unnamed": json_lines(rows),
    }
    expected = all_rows(Classify(file=file, tokens="byte"))
    assert len(expected) == len(set(rows))
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        assert all_rows(Classify(file=tmp_path / name, tokens="byte")) == expected, name
    folder = write_folder(tmp_path / "folder", rows)
    assert all_rows(Classify(file=folder, tokens="byte")) == expected


def test_every_kind_of_file_gives_the_same_numbers(tmp_path):
    rows = numbers()
    lines = tmp_path / "moves.jsonl"
    lines.write_text(json_lines(rows, "sequence"))
    sheets = [("x,y\n" + "".join(f"{x!r},{y!r}\n" for x, y in steps), label) for steps, label in rows]
    folder = write_folder(tmp_path / "moves", sheets, ".csv")
    one, other = Classify(file=lines), Classify(file=folder)
    assert (one.input_size, one.symbols, one.labels) == (2, False, ["down", "up"])
    lengths = [Counter(len(steps) for steps, _ in all_rows(task)) for task in (one, other)]
    assert lengths[0] == lengths[1]


def test_parts_have_all_sequences_once_and_the_same_shares_of_each_label(file):
    task = Classify(file=file)
    parts = [Counter(label for _, label in rows_of(part)) for part in (task.validation(), task.test())]
    counts = Counter(label for _, label in texts())
    for at, label in enumerate(task.labels):
        assert [part[at] for part in parts] == [round(0.15 * counts[label])] * 2
    assert task._split.counts() == (28, 6, 6)
    assert Classify(file=file, split="50,25,25")._split.counts() == (20, 10, 10)
    assert Classify(file=file, split=[3, 1]).test() is None


def test_batches_are_padded_with_lengths(file):
    batch = Classify(file=file).batch(9, torch.Generator().manual_seed(0))
    assert batch.xs.shape == (int(batch.lengths.max()), 9)
    assert len(set(batch.lengths.tolist())) > 1
    for row, length in enumerate(batch.lengths.tolist()):
        assert not batch.xs[length:, row].any()
        assert batch.xs[:length, row].any()


def test_what_is_rare_in_training_is_one_unknown_symbol(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text(table([*texts(), ("warm zebra", "good"), ("warm yak", "good")]))
    task = Classify(file=path, tokens="word")
    vocabulary = task._learnt.vocabulary
    assert {"warm", "cold", ","} <= set(vocabulary.symbols)
    assert not {"zebra", "yak"} & set(vocabulary.symbols)
    assert task.input_size == len(vocabulary.symbols) + 1
    assert vocabulary.encode("WARM zebra!").tolist() == [vocabulary.symbols.index("warm") + 1, 0, 0]


def test_numbers_are_scaled_as_the_training_part_is(tmp_path):
    path = tmp_path / "moves.jsonl"
    path.write_text(json_lines(numbers(), "sequence"))
    task = Classify(file=path)
    training = torch.cat([piece.steps for piece in task._pieces["t"]]).double()
    assert training.mean(0) == pytest.approx([0, 0], abs=1e-6)
    assert training.std(0, correction=0) == pytest.approx([1, 1], abs=1e-6)
    others = torch.cat([piece.steps for piece in task._pieces["v"]]).double()
    assert others.mean(0).abs().max() > 1e-3


def test_long_sequences_are_cut_and_it_is_said(file):
    longest = max(len(text) for text, _ in texts())
    task = Classify(file=file, max_len=12)
    assert all(len(batch.xs) <= 12 for batch in task.validation())
    many = sum(len(text) > 12 for text, _ in texts())
    assert f"to {longest} steps, {many} of 40 sequences cut to the first 12 (max_len)" in task.data_summary()
    assert "cut" not in Classify(file=file, max_len=longest).data_summary()


def test_balanced_weights_make_labels_count_alike(file):
    task, plain = Classify(file=file, weights="balanced"), Classify(file=file)
    counts = torch.tensor(plain._learnt.counts).float()
    outputs, targets = torch.randn(50, 2), torch.arange(50) % 2
    each = torch.nn.functional.cross_entropy(outputs, targets, reduction="none")
    weights = counts.sum() / (2 * counts)
    assert task.loss(outputs, targets) == pytest.approx(float((weights[targets] * each).mean()), rel=1e-6)
    assert plain.loss(outputs, targets) == pytest.approx(float(each.mean()), rel=1e-6)
    whole = torch.tensor([0] * int(counts[0]) + [1] * int(counts[1]))
    assert float(weights[whole].mean()) == pytest.approx(1)


def test_a_run_stands_alone_when_its_file_is_gone(file, tmp_path):
    task = Classify(file=file, tokens="word")
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", 8, embedding_size=8, unroller="loop")
    list(rnnkit.train(model, task, steps=60, batch_size=16, lr=0.02))
    calibration, state = task.calibration(model.eval()), task.data_state()
    expected = task.predictor(model, calibration).predict()
    file.unlink()
    again = Classify.from_data_state(state, file=str(file), tokens="word")
    assert again.data_summary() == task.data_summary()
    new = tmp_path / "new.csv"
    new.write_text("id,text\n1,warm and kind\n2,cold and dim\n")
    made = again.predictor(model, calibration).predict(new)
    assert made.columns()["label"] == ["good", "bad"]
    assert made.columns()["actual"] == ["", ""]
    assert made.index == {"file": [str(new)] * 2, "line": ["2", "3"]}
    assert made.figures() == []
    assert "2 sequence(s) without a label are not held against the truth" in made.notes
    assert expected.figures()[0]["accuracy"] == 1
    with pytest.raises(DataError, match=r"reviews\.csv does not exist"):
        again.predictor(model, calibration).predict()


def test_a_file_that_has_grown_keeps_its_parts(file, caplog):
    task = Classify(file=file)
    state, before = task.data_state(), rows_of(task.validation())
    with file.open("a") as more:
        more.write("dim,bad\n" * 9)
    again = Classify.from_data_state(state, file=str(file))
    assert rows_of(again.validation()) == before
    assert again.fingerprint() == task.fingerprint()
    assert "has 9 sequence(s) more than when the run was made; they are left out" in caplog.text
    file.write_text(table(texts(30)))
    with pytest.raises(DataError, match=r"has 30 sequence\(s\), 40 when the run was made; give back that file"):
        Classify.from_data_state(state, file=str(file)).fingerprint()


def test_a_folder_that_has_grown_keeps_its_parts(tmp_path):
    folder = write_folder(tmp_path / "folder", texts())
    task = Classify(file=folder)
    state, before = task.data_state(), rows_of(task.validation())
    (folder / "bad" / "aaa.txt").write_text("dim")
    assert rows_of(Classify.from_data_state(state, file=str(folder)).validation()) == before
    (folder / "bad" / "000.txt").unlink()
    with pytest.raises(DataError, match=r"has no file bad/000\.txt, which the run knew; give it back"):
        Classify.from_data_state(state, file=str(folder)).fingerprint()


def test_a_test_of_its_own(file, tmp_path):
    later = tmp_path / "later.csv"
    later.write_text(table(texts(10)))
    task = Classify(file=file, test=later)
    assert task._split.counts() == (34, 6, 0)
    assert len(rows_of(task.test())) == 10
    assert "10 kept for a test (a file of its own)" in task.data_summary()
    with pytest.raises(UsageError, match="split is '70,15,15', and test is a file of its own; give two shares"):
        Classify(file=file, test=later, split="70,15,15")


@pytest.mark.parametrize(
    ("content", "summary"),
    [
        ("a b,x\nc d,y\n" * 5, "texts: column 1; labels: column 2; names: none, line 1 is a row"),
        ("words,kind\n" + "a b,x\nc d,y\n" * 5, "texts: column words; labels: column kind; names: line 1 (what stands"),
        ("Label,Body\n" + "x,a b\ny,c d\n" * 5, "texts: column Body; labels: column Label; names: line 1 (it has "),
        ("sep=;\na b;x\nc d;y\n" + "a, b;x\nc d;y\n" * 5, "texts: column 1; labels: column 2; names: none"),
        ("id,text,label\n" + "".join(f"{n},a b,{n % 2}\n" for n in range(9)), "left out: id"),
    ],
)
def test_columns_are_found_and_named(tmp_path, content, summary):
    path = tmp_path / "table.csv"
    path.write_text(content)
    assert summary in Classify(file=path).data_summary()


def test_labels_that_are_numbers_go_by_size_and_stay_as_they_are_written(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("text,label\n" + "".join(f"a{n},{n % 3 * 5:02}\n" for n in range(30)))
    assert Classify(file=path).labels == ["00", "05", "10"]


def test_what_is_passed_over_in_a_folder_is_said(tmp_path):
    folder = write_folder(tmp_path / "folder", texts())
    (folder / "readme.md").write_text("about")
    (folder / "bad" / "more").mkdir()
    summary = Classify(file=folder).data_summary()
    assert "40 file(s) in 2 folder(s); passed over: 1 .md file(s); passed over: 1 folder(s) within" in summary


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"tokens": "letter"}, "tokens is 'letter'; it must be char, word or byte"),
        ({"weights": "yes"}, "weights is 'yes'; it must be none or balanced"),
        ({"split": "90"}, "split is '90'; it must be shares that train, validate and are kept, such as 70,15,15"),
        ({"split": "1,0,1"}, "split is '1,0,1'; it must be shares"),
        ({"split": "a,b"}, "split is 'a,b'; it must be shares"),
        ({"split": 3}, "split is 3; it must be shares"),
        ({"text": ""}, "text is empty; name a column or key"),
        ({"label": 1.5}, "label is 1.5; it must be the name of a column or key"),
        ({"delimiter": ",,"}, "delimiter is ',,'; it must be one character"),
        ({"header": "maybe"}, "header is 'maybe'; it must be yes, no or auto"),
    ],
)
def test_options_that_make_no_sense(options, fault):
    with pytest.raises(UsageError, match=f"^task 'classify': {re.escape(fault)}"):
        Classify(**options)


def test_data_of_another_kind_are_refused(file, tmp_path):
    task = Classify(file=file)
    model = rnnkit.Model(task, "gru", 4, embedding_size=4, unroller="loop").eval()
    predictor = task.predictor(model, {})
    lines = tmp_path / "moves.jsonl"
    lines.write_text(json_lines(numbers(), "text"))
    with pytest.raises(
        DataError, match=r"moves\.jsonl holds numbers, and the run learnt from texts; give data of that"
    ):
        predictor.predict(lines)
    lines.write_text(table([("warm", "godo")]))
    with pytest.raises(DataError, match=r"line 2: label 'godo' is none that the run knows \(did you mean 'good'\?\)"):
        predictor.predict(lines.rename(tmp_path / "new.csv"))
    (tmp_path / "new.csv").write_text("words,label\nwarm,good\n")
    with pytest.raises(DataError, match="has no column 'text', which the run reads; it has words, label"):
        predictor.predict(tmp_path / "new.csv")


def test_one_text_and_a_folder_without_labels(file, tmp_path):
    task = Classify(file=file)
    predictor = task.predictor(rnnkit.Model(task, "gru", 4, embedding_size=4, unroller="loop").eval(), {})
    (tmp_path / "one.txt").write_text("kind\n")
    assert predictor.predict(tmp_path / "one.txt").index == {"file": [str(tmp_path / "one.txt")]}
    (tmp_path / "new").mkdir()
    for name in ("a", "b"):
        (tmp_path / "new" / f"{name}.txt").write_text("kind")
    assert predictor.predict(tmp_path / "new").index == {"file": ["a.txt", "b.txt"]}


def test_gestures_ask_for_an_order():
    task = Classify()
    assert task._split.counts() == (504, 108, 108)
    assert task.baselines()["ridge"] < 0.6  # on mean, deviation, least, greatest and last value


@pytest.mark.slow
def test_a_network_tells_gestures():
    torch.manual_seed(0)
    task = Classify()
    model = rnnkit.Model(task, "gru", 32)
    *_, last = rnnkit.train(model, task, steps=600, batch_size=32, lr=5e-3)
    assert last.validation.metric > 0.88
    figures = task.further_figures(model.eval())
    assert figures["macro F1"] > 0.85


def test_a_run_takes_files_of_other_kinds_than_its_own(tmp_path):
    folder = write_folder(tmp_path / "folder", texts())
    task = Classify(file=folder)
    predictor = task.predictor(rnnkit.Model(task, "gru", 4, embedding_size=4, unroller="loop").eval(), {})
    new = tmp_path / "new.csv"
    new.write_text("id,text\n1,warm\n")
    assert predictor.predict(new).index["line"] == ["2"]
    new.write_text(json_lines([("warm", "good")]))
    assert predictor.predict(new).columns()["actual"] == ["good"]
    lines = tmp_path / "moves.jsonl"
    lines.write_text(json_lines(numbers(), "sequence"))
    task = Classify(file=lines)
    predictor = task.predictor(rnnkit.Model(task, "gru", 4, unroller="loop").eval(), {})
    new.write_text("x,y\n1,2\n3,4\n")
    assert predictor.predict(new).index == {"file": [str(new)]}
    new.write_text("x\n1\n3\n")
    with pytest.raises(DataError, match=r"has 1 feature\(s\) \(x\), and the run learnt from 2 \(1, 2\); give the same"):
        predictor.predict(new)


def test_weights_of_none_are_none(file):
    assert {Classify(file=file, weights=weights).weights for weights in (None, "none")} == {"none"}


def test_files_of_the_run_s_own_are_named_without_their_folders(file, tmp_path):
    folder = write_folder(tmp_path / "folder", texts())
    for options, name in (
        ({"file": file}, "reviews.csv"),
        ({"file": folder}, r"(good|bad)/\d+\.txt"),
        ({"file": file, "test": folder}, r"(good|bad)/\d+\.txt"),
        ({"file": folder, "test": file}, "reviews.csv"),
    ):
        task = Classify(**options)
        made = task.predictor(rnnkit.Model(task, "gru", 3, embedding_size=3, unroller="loop").eval(), {}).predict()
        assert {bool(re.fullmatch(name, own)) for own in made.index["file"]} == {True}


def test_a_file_in_another_order_keeps_its_parts(tmp_path):
    """A sequence is known again by what it holds: none that trained becomes one that is kept for a test."""
    path = tmp_path / "t.csv"
    rows = [f"it was {word} {at},{word}" for at in range(40) for word in ("good", "bad")]
    path.write_text("\n".join(["text,label", *rows]))
    kind = rnnkit.tasks["classify"]
    task = kind(file=str(path))
    state = task.data_state()
    path.write_text("\n".join(["text,label", *sorted(rows)]))
    again = kind.from_data_state(state, file=str(path))
    assert again.fingerprint() == task.fingerprint()
    path.write_text("\n".join(["text,label", *sorted(rows)[:-1], "it was other,good"]))
    with pytest.raises(DataError, match=r"1 of the 80 sequence\(s\) that the run knew have changed or are gone"):
        kind.from_data_state(state, file=str(path)).fingerprint()


@pytest.mark.parametrize("tokens", ["char", "byte"])
def test_half_a_character_is_named(tmp_path, tokens):
    path = tmp_path / "t.jsonl"
    lines = [f'{{"text": "a {at}", "label": "{at % 2}"}}' for at in range(20)]
    path.write_text("\n".join([*lines, '{"text": "a \\ud800 b", "label": "1"}']))
    with pytest.raises(DataError, match=r"line 21: 'text' has half of a character, '\\ud800'; write the whole one"):
        rnnkit.tasks["classify"](file=str(path), tokens=tokens)


def test_names_of_symbols_and_outputs_go_with_an_exported_model(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("text,label\n" + "".join(f"it was {word},{word}\n" for word in ("good", "bad") * 9))
    task = rnnkit.tasks["classify"](file=str(path), tokens="word")
    assert task.symbol_names() == ["", *task.data_state()["learnt"]["vocabulary"]["symbols"]]
    assert len(task.symbol_names()) == task.input_size
    assert task.output_names() == task.labels
    assert rnnkit.tasks["classify"]().symbol_names() is None


@pytest.mark.parametrize("tokens", ["char", "word"])
def test_an_accent_is_the_same_however_it_is_written(tmp_path, tokens):
    """Composed, as one character, or decomposed, as a letter and a mark."""
    path = tmp_path / "texts.csv"
    rows = [f"Caf\u00e9 kind हिन्दी {at},good\ncafe\u0301 cold {at},bad\n" for at in range(20)]
    path.write_text("text,label\n" + "".join(rows))
    symbols = Classify(file=path, tokens=tokens).symbol_names()
    assert "e\u0301" not in "".join(symbols)
    if tokens == "word":
        assert {"caf\u00e9", "हिन्दी", "kind"} < set(symbols)


def test_a_text_may_be_a_book_and_stands_where_it_begins(tmp_path):
    path = tmp_path / "texts.csv"
    long = "warm and kind\n" * 20_000
    rows = [f'"{long}",good\n"cold\n{at}",bad\n' for at in range(6)]
    path.write_text("text,label\n" + "".join(rows))
    task = Classify(file=path, tokens="word", max_len=5)
    model = rnnkit.Model(task, "gru", 2, embedding_size=2, unroller="loop")
    lines = task.predictor(model.eval(), {}).predict(path).index["line"]
    assert lines[:3] == ["2", "20003", "20005"]
