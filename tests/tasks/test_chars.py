"""The character language model: what is read, in which order, and what is held out."""

import math
import sys
from itertools import islice

import pytest
import torch

import rnnkit
from rnnkit.errors import DataError, UsageError

Chars = rnnkit.tasks["chars"]


@pytest.fixture(scope="module")
def default():
    return Chars()


def write(folder, text):
    path = folder / "text.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_default_text_is_split_ninety_five_five(default):
    size = len(default.text)
    if sys.version_info[:2] == (3, 11):
        assert (size, default.input_size) == (464_970, 103)
    assert len(default.train) == size * 90 // 100
    assert len(default.held_out) == size * 95 // 100 - size * 90 // 100
    assert default.sample(torch.cat([default.train, default.held_out, default.test_part])) == default.text


def test_every_character_has_a_symbol(default):
    assert default.input_size == default.output_size == len(set(default.text))
    assert default.alphabet == "".join(sorted(set(default.text)))
    symbols = default.prompt(default.alphabet)
    assert symbols.tolist() == list(range(default.input_size))
    assert default.sample(symbols) == default.alphabet


def test_a_prompt_with_an_unknown_character_names_it(default):
    with pytest.raises(UsageError, match=r"the text has '漢', which Python's documentation lacks"):
        default.prompt("a漢b")


def test_a_text_comes_in_pieces_as_well(tmp_path):
    task = Chars(text=write(tmp_path, "🙂é漢\na" * 100))
    pieces = [task.sample(symbol.view(1)) for symbol in task.held_out]
    assert "".join(pieces) == task.sample(task.held_out)
    assert all(len(piece) == 1 for piece in pieces)


def test_the_shortest_text_has_a_test(tmp_path):
    task = Chars(text=write(tmp_path, "ab" * 15 + "a"), seq_len=1)
    assert [sum(batch.targets.numel() for batch in split) for split in (task.validation(), task.test())] == [1, 1]


@pytest.mark.parametrize("rows", [1, 7, 32])
def test_batches_read_the_training_text_without_repeats_or_gaps(default, rows):
    batches = default.batches(rows, generator())
    first = next(batches)
    read, targets = [first.xs], [first.targets]
    assert not first.continues
    for batch in batches:
        if not batch.continues:
            break
        read.append(batch.xs)
        targets.append(batch.targets)
    assert all(len(xs) == default.seq_len for xs in read[:-1])
    streams, following = torch.cat(read).t(), torch.cat(targets).t()
    assert torch.equal(following[:, :-1], streams[:, 1:])
    text = torch.cat([streams.flatten(), following[-1, -1:]])  # row after row, one piece of the text
    start = default.sample(default.train).index(default.sample(text[:3000]))
    assert torch.equal(text, default.train[start : start + len(text)])
    assert start <= default.seq_len
    assert len(default.train) - len(text) < default.seq_len + rows


def test_the_start_is_drawn_from_the_seed_and_anew_for_each_reading(tmp_path):
    task = Chars(text=write(tmp_path, "".join(map(chr, range(300, 1300)))), seq_len=20)

    def starts(seed):
        return [int(batch.xs[0, 0]) for batch in islice(task.batches(4, generator(seed)), 200) if not batch.continues]

    assert starts(0) == starts(0) != starts(1)
    assert len(set(starts(0))) > 3


@pytest.mark.parametrize(("split", "part"), [("validation", "held_out"), ("test", "test_part")])
def test_held_out_text_is_read_once(default, split, part):
    batches, symbols = list(getattr(default, split)()), getattr(default, part)
    assert [batch.continues for batch in batches] == [False] + [True] * (len(batches) - 1)
    streams, following = (torch.cat([batch[k] for batch in batches]).t() for k in (0, 1))
    text = torch.cat([streams.flatten(), following[-1, -1:]])
    assert torch.equal(text, symbols[: len(text)])
    assert len(symbols) - len(text) < 32
    assert torch.equal(following[:, :-1], streams[:, 1:])


def test_windows_are_pieces_of_the_training_text(default):
    batch = default.batch(50, generator())
    text = default.sample(default.train)
    for row in range(50):
        window = torch.cat([batch.xs[:, row], batch.targets[-1:, row]])
        assert default.sample(window) in text
        assert torch.equal(batch.targets[:-1, row], batch.xs[1:, row])


def test_the_metric_is_in_bits(default):
    symbols = default.output_size
    targets = torch.randint(symbols, (5, 2), generator=generator())
    uniform = torch.zeros(5, 2, symbols)
    assert float(default.loss(uniform, targets)) == pytest.approx(math.log(symbols), rel=1e-6)
    assert float(default.metric(uniform, targets)) == pytest.approx(math.log2(symbols), rel=1e-6)


def test_the_baselines_of_the_default_text(default):
    baselines = default.baselines()
    assert list(baselines) == ["order-3 n-gram", "order-4 n-gram"]
    assert all(1 < bits < math.log2(default.input_size) for bits in baselines.values())
    if sys.version_info[:2] == (3, 11):
        assert list(baselines.values()) == pytest.approx([2.1427, 2.0554], abs=1e-4)


def test_a_byte_order_mark_and_line_ends_are_no_characters(tmp_path):
    plain = Chars(text=write(tmp_path, "one line\nanother\n" * 50)).text
    assert Chars(text=write(tmp_path, b"\xef\xbb\xbf" + b"one line\r\nanother\r" * 50)).text == plain


def test_characters_beyond_the_basic_plane(tmp_path):
    text = "🙂é漢a" * 100
    task = Chars(text=write(tmp_path, text))
    assert task.alphabet == "aé漢🙂"
    assert task.sample(task.train) == text[:360]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "is empty; give a UTF-8 text file"),
        (b"short", "has 5 characters, too few"),
        (b"a" * 71, "has 71 characters, too few: 90 % of them must be more than seq_len = 64"),
        (b"abc\0def" * 50, r"is a binary file \(a NUL at character 3\)"),
        (b"abc\xff" * 50, r"is not UTF-8 text \(byte 3\)"),
    ],
)
def test_a_text_that_is_unfit(tmp_path, content, sentence):
    with pytest.raises(DataError, match=sentence):
        Chars(text=write(tmp_path, content))


def test_a_text_that_is_missing_or_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"nowhere\.txt does not exist"):
        Chars(text=str(tmp_path / "nowhere.txt"))
    with pytest.raises(DataError, match="is not a regular file"):
        Chars(text=str(tmp_path))


def test_a_text_too_short_for_the_batch_says_so(tmp_path):
    task = Chars(text=write(tmp_path, "abcdefghij" * 40), seq_len=16)
    with pytest.raises(DataError, match=r"has 400 characters, too few for 32 streams of 16 steps"):
        next(task.batches(32, generator()))
    assert next(task.batches(22, generator())).xs.shape == (16, 22)
