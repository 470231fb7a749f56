"""Texts as bytes and as words: what is read, kept, told and refused; characters are tested beside."""

import json
import math
import random
from itertools import pairwise

import pytest
import torch

import rnnkit
from rnnkit.errors import DataError, UsageError
from rnnkit_tasks.text.cutting import words_of

Chars = rnnkit.tasks["chars"]
RHYME = "The dog ran.\nThe cat's dog sat;\n\n  the cat ran, the dog sat.\n"
STRANGE = "a\u2028b\x85c\t d  e\u00a0f 🙂漢字 don’t x'y' 3.14 _z\r<unk>  \n\n \n"


def task(folder, content, tokens, **options):
    path = folder / "text.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Chars(text=str(path), tokens=tokens, **options)


def cut(text, *at):
    ends = [0, *at, len(text)]
    return [word for part in words_of(text[a:b] for a, b in pairwise(ends)) for word in part]


def test_words_have_the_blank_before_them():
    assert cut("The cat's dog sat; (x)\n\n    if a_1 == 2.5:") == [
        *("The", " cat's", " dog", " sat", ";", " (", "x", ")", "\n", "\n"),
        *("   ", " if", " a_1", " =", "=", " 2", ".", "5", ":"),
    ]


def test_marks_upon_letters_stay_with_them_in_every_script():
    text = "हिन्दी में tha\u0303o می\u200cخواهم กำลัง ❤\ufe0f!"
    assert cut(text) == ["हिन्दी", " में", " tha\u0303o", " می\u200cخواهم", " กำลัง", " ❤\ufe0f", "!"]
    for at in range(1, len(text)):
        assert cut(text, at) == cut(text)


def test_words_joined_are_the_text_wherever_it_is_cut():
    draw = random.Random(0)
    text = "".join(draw.choices(RHYME + STRANGE, k=400))
    whole = cut(text)
    assert "".join(whole) == text
    for at in range(1, len(text)):
        assert cut(text, at) == whole
    assert cut(text, *range(1, len(text))) == whole
    assert cut(STRANGE, 3, 9) == cut(STRANGE)
    assert "".join(cut(STRANGE)) == STRANGE


def test_a_word_that_goes_on_for_ever_is_refused(monkeypatch):
    monkeypatch.setattr("rnnkit_tasks.text.cutting.LONGEST", 10)
    with pytest.raises(DataError, match=r"^x.txt has a word of more than 10 characters; give tokens=char or "):
        list(words_of(["abcdef"] * 2, "x.txt"))
    assert [word for part in words_of(["abcdef "] * 20) for word in part][:2] == ["abcdef", " abcdef"]


def test_the_vocabulary_is_of_the_most_frequent_words_that_train(tmp_path):
    text = "".join(f"{word}\n" for word in ["dog"] * 50 + ["cat"] * 30 + ["ant"] * 10 + ["bee"] * 10)
    read = task(tmp_path, text, "word", vocabulary=2, seq_len=4)
    assert read.length == 200
    # The last 20 tokens, ten bees among them, do not train; line ends are no word, and always known.
    assert read.data_state()["vocabulary"] == ["<unk>", "\n", "dog", "cat"]
    assert (read.input_size, read.output_size) == (4, 4)
    assert read.data_summary() == (
        "words: the 2 most frequent of 3 of the part that trains, each with the blank before it; all others are one "
        "symbol, <unk>, 5.6% of that part"
    )
    assert read.held_out.unique().tolist() == [0, 1]
    assert read.sample(torch.tensor([2, 1, 0, 1, 3])) == "dog\n <unk>\ncat"
    assert "all 3 of the part" in task(tmp_path, text, "word", seq_len=4).data_summary()


def test_words_of_one_frequency_stand_in_order(tmp_path):
    texts = ["pear fig kiwi plum " * 30, "plum kiwi fig pear " * 30]
    states = [task(tmp_path, text, "word", seq_len=4).data_state()["vocabulary"][1:5] for text in texts]
    assert states == [[" fig", " kiwi", " plum", " pear"], [" fig", " kiwi", " pear", " plum"]]


def test_a_word_text_is_the_text_again(tmp_path):
    read = task(tmp_path, RHYME * 20, "word", seq_len=4)
    assert read.sample(torch.cat([read.train, read.held_out, read.test_part])) == RHYME * 20
    assert read.alphabet == ""


def test_bytes_are_those_of_any_file(tmp_path):
    content = bytes(random.Random(0).choices(range(256), k=3000)) + b"\xef\xbb\xbf\r\n\0"
    read = task(tmp_path, content, "byte")
    assert bytes(torch.cat([read.train, read.held_out, read.test_part]).tolist()) == content
    assert (read.input_size, read.length, read.data_summary()) == (256, len(content), "")


@pytest.mark.parametrize(("content", "begins"), [(b"ab\n" * 50, [10, 10]), (b"ab" * 75, [98])])
def test_a_sample_of_bytes_begins_after_a_paragraph_where_there_are_some(tmp_path, content, begins):
    read = task(tmp_path, content, "byte", seq_len=4)
    assert read.prompt().tolist() == begins


def test_a_character_of_several_bytes_comes_once_it_is_whole(tmp_path):
    read = task(tmp_path, b"abc" * 50, "byte", seq_len=4)
    symbols = torch.tensor(list("é漢a".encode() + b"\xff" + "🙂".encode()[:3]))
    pieces = list(read.sample_stream(symbols.unbind()))
    assert pieces == ["", "é", "", "", "漢", "a", "\ufffd", "", "", "", "\ufffd"]
    assert "".join(pieces) == read.sample(symbols)


def test_a_prompt_of_bytes_may_be_any(tmp_path):
    read = task(tmp_path, b"abc" * 50, "byte", seq_len=4)
    assert read.prompt("é\r\n\udcff").tolist() == [0xC3, 0xA9, 13, 10, 0xFF]


def test_a_prompt_of_words(tmp_path):
    read = task(tmp_path, RHYME * 20, "word", seq_len=4)
    assert read.sample(read.prompt("The dog sat.\r\nThe")) == "The dog sat.\nThe"
    assert read.sample(read.prompt("cat ran")) == " cat ran"  # known by the blank before it alone
    assert read.sample(read.prompt()) == "\n\n"


def test_a_prompt_of_words_that_are_unknown(tmp_path, caplog):
    read = task(tmp_path, RHYME * 20, "word", seq_len=4)
    caplog.clear()
    assert read.prompt("The zebra ran").tolist()[1] == 0
    assert read.sample(read.prompt("mouse")) == " <unk>"
    known = f"{read.input_size - 1:,} that the run knows of {read.source}"
    assert caplog.messages == [
        f"1 of 3 words of the prompt is none of the {known}, such as 'zebra'; read as <unk>",
        f"1 of 1 word of the prompt is none of the {known}, such as 'mouse'; read as <unk>",
    ]


def test_a_blank_behind_a_prompt_of_words_is_that_of_the_next_word(tmp_path, caplog):
    read = task(tmp_path, RHYME * 20, "word", seq_len=4)
    caplog.clear()
    assert read.prompt("The dog ").tolist() == read.prompt("The dog").tolist()
    assert read.prompt(" ").tolist() == read.prompt().tolist()
    assert caplog.messages == []
    further = task(tmp_path, (RHYME + "a  cat\n") * 20, "word", seq_len=4)
    assert further.sample(further.prompt("The dog  ")) == "The dog "


UNIT = {"char": "character", "byte": "byte", "word": "word"}


@pytest.mark.parametrize("tokens", UNIT)
def test_each_keeps_every_promise_and_is_judged_in_its_own_bits(tmp_path, tokens):
    draw = random.Random(0)
    path = tmp_path / "text.txt"
    path.write_text("".join(draw.choices(cut(RHYME), k=900)))
    options = {"text": str(path), "tokens": tokens, "seq_len": 8}
    assert rnnkit.testing.check_task(Chars, **options).ok
    read = Chars(**options)
    assert read.metric_name == Chars.metric_named(**options) == f"bits per {UNIT[tokens]}"
    assert Chars.metric_name == Chars.metric_named() == "bits per character"
    targets = torch.zeros(5, 2, dtype=torch.long)
    uniform = torch.zeros(5, 2, read.output_size)
    assert float(read.metric(uniform, targets)) == pytest.approx(math.log2(read.output_size), rel=1e-6)


def test_the_n_grams_of_words_have_contexts_of_words(tmp_path):
    """Of two words in turn the one before says all; of pairs in turn, two words do."""
    turns = task(tmp_path, "a b " * 400, "word", seq_len=4).baselines()
    assert list(turns) == ["order-1 n-gram", "order-2 n-gram"]
    assert turns["order-1 n-gram"] < 0.05
    pairs = task(tmp_path, "a a b b " * 400, "word", seq_len=4).baselines()
    assert pairs["order-1 n-gram"] == pytest.approx(1, abs=0.02)
    assert pairs["order-2 n-gram"] < 0.05
    assert list(task(tmp_path, "a b " * 400, "byte", seq_len=4).baselines()) == ["order-3 n-gram", "order-4 n-gram"]


def test_further_figures_of_words(tmp_path):
    text = "dog\n" * 450 + "dog\nemu\n" * 25
    read = task(tmp_path, text, "word", seq_len=4)
    torch.manual_seed(0)
    model = rnnkit.Model(read, "gru", 4, embedding_size=4, unroller="loop").eval()
    figures = read.further_figures(model)
    assert figures["perplexity per word, validation"] == pytest.approx(2 ** rnnkit.evaluate(model, read).metric)
    assert figures["share of <unk>, validation"] == 0.24
    assert task(tmp_path, text, "byte", seq_len=4).further_figures(model) == {}


@pytest.mark.parametrize("tokens", ["byte", "word"])
def test_a_large_text_is_the_same_to_the_bit(tmp_path, monkeypatch, tokens):
    content = (RHYME + STRANGE) * 15
    held = task(tmp_path, content, tokens, seq_len=5, **({"vocabulary": 9} if tokens == "word" else {}))
    monkeypatch.setattr("rnnkit_tasks.text.symbols.LARGE", 0)
    for piece in (7, 2**20):
        monkeypatch.setattr("rnnkit_tasks.text.text_file.PIECE", piece)
        mapped = Chars(
            text=str(tmp_path / "text.txt"), tokens=tokens, seq_len=5, vocabulary=9 if tokens == "word" else 10_000
        )
        assert mapped.train.dtype == (torch.uint8 if tokens == "byte" else torch.int32)
        assert mapped.data_state() == held.data_state()
        for part in ("train", "held_out", "test_part"):
            assert torch.equal(getattr(mapped, part).long(), getattr(held, part))
        assert mapped.baselines() == held.baselines()
        again = Chars.from_data_state(mapped.data_state(), text=str(tmp_path / "text.txt"), tokens=tokens)
        assert torch.equal(again.train.long(), held.train)


@pytest.mark.parametrize("tokens", UNIT)
def test_a_run_s_text_is_read_in_the_run_s_symbols(tmp_path, tokens):
    read = task(tmp_path, RHYME * 20, tokens, seq_len=4)
    state = json.loads(json.dumps(read.data_state()))
    path = tmp_path / "text.txt"
    path.write_text(RHYME * 20 + "The dog ran." * 9)
    again = Chars.from_data_state(state, text=str(path), tokens=tokens, seq_len=4)
    assert again.data_state() == state
    assert (again.data_summary(), again.metric_name) == (read.data_summary(), read.metric_name)
    assert torch.equal(again.train, read.train)
    path.write_text(RHYME)
    shorter = Chars.from_data_state(state, text=str(path), tokens=tokens, seq_len=4)
    with pytest.raises(DataError, match=rf"has \d+ {UNIT[tokens]}s, \d+ when the run was made; give back that text"):
        _ = shorter.train
    path.unlink()
    assert Chars.from_data_state(state, text=str(path), tokens=tokens, seq_len=4).sample(again.prompt("The dog"))


def test_a_run_of_before_is_one_of_characters(tmp_path):
    read = task(tmp_path, RHYME * 20, "char")
    assert list(read.data_state()) == ["alphabet", "length", "beginning"]
    again = Chars.from_data_state(read.data_state(), text=str(tmp_path / "text.txt"))
    assert (again.tokens.name, again.alphabet, again.fingerprint()) == ("char", read.alphabet, read.fingerprint())


STATES = {
    "of others": ({"tokens": "byte", "line_ends": True}, "its symbols are no words"),
    "no words": ({"vocabulary": "abc"}, "vocabulary is not a list of words"),
    "no first": ({"vocabulary": ["a"]}, "vocabulary is not one of different words after <unk>"),
    "twice": ({"vocabulary": ["<unk>", "a", "a"]}, "vocabulary is not one of different words after <unk>"),
    "share": ({"replaced": 2.0}, "different and replaced are not a whole number and a share"),
    "beginning": ({"beginning": 10**6}, "length and beginning are not whole numbers within bounds"),
}


@pytest.mark.parametrize(("change", "sentence"), STATES.values(), ids=STATES)
def test_a_state_that_is_none_is_refused(tmp_path, change, sentence):
    state = task(tmp_path, RHYME * 20, "word", seq_len=4).data_state()
    with pytest.raises(ValueError, match=sentence):
        Chars.from_data_state({**state, **change}, tokens="word")


def test_line_ends_are_true_or_false(tmp_path):
    state = task(tmp_path, RHYME * 20, "byte", seq_len=4).data_state()
    with pytest.raises(ValueError, match="line_ends is not true or false"):
        Chars.from_data_state({**state, "line_ends": 1}, tokens="byte")


BAD = {
    "foo": ({"tokens": "foo"}, "tokens is 'foo'; it must be one of char, byte, word$"),
    "a slip": ({"tokens": "words"}, r"it must be one of char, byte, word \(did you mean 'word'\?\)"),
    "a number": ({"tokens": 3}, "tokens is 3; it must be one of"),
    "no vocabulary": ({"tokens": "word", "vocabulary": 0}, "vocabulary is 0; it must be a whole number >= 1"),
    "vocabulary of bytes": (
        {"tokens": "byte", "vocabulary": 9},
        "vocabulary is for words; leave it out, or give tokens",
    ),
}


@pytest.mark.parametrize(("options", "sentence"), BAD.values(), ids=BAD)
def test_bad_options(options, sentence):
    with pytest.raises(UsageError, match=f"^task 'chars': {sentence}|^task 'chars': .*{sentence}"):
        Chars(**options)


@pytest.mark.parametrize(
    ("content", "tokens", "sentence"),
    [
        (b"hello", "word", "has 1 word, too few: 90 % of them"),
        (b"hello", "byte", "has 5 bytes, too few: 90 % of them"),
        (b"", "byte", "is empty; give a file$"),
        (b"", "word", "is empty; give a UTF-8 text file$"),
        (b"abc\xff" * 50, "word", r"is not UTF-8 text \(byte 3\)"),
        (b"a b\0" * 50, "word", "is a binary file"),
    ],
)
def test_a_text_that_is_unfit(tmp_path, content, tokens, sentence):
    with pytest.raises(DataError, match=sentence):
        task(tmp_path, content, tokens)


def test_a_file_that_is_missing(tmp_path):
    for tokens, wanted in (("byte", "a file"), ("word", "a UTF-8 text file")):
        with pytest.raises(DataError, match=rf"nowhere does not exist; give {wanted}$"):
            Chars(text=str(tmp_path / "nowhere"), tokens=tokens)
