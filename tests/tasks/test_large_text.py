"""A text too large to hold is what a small one is: the same symbols, batches and figures, without the memory."""

import os
import random
import resource
import subprocess
import sys
import tempfile
from itertools import islice

import pytest
import torch

import rnnkit
from rnnkit.errors import DataError, ResourceError

Chars = rnnkit.tasks["chars"]
PANGRAM = "Zwölf Boxkämpfer jagen Viktor quer über den Sylter Deich.\r\n"
TEXTS = {
    "ASCII": b"The quick brown fox\njumps over the lazy dog. " * 40,
    "line ends": b"one\r\ntwo\rthree\nfour\r\r\n\n\r" * 60 + b"\r",
    "byte-order mark": b"\xef\xbb\xbf" + PANGRAM.encode() * 20,
    "two marks": b"\xef\xbb\xbf" * 2 + PANGRAM.encode() * 20,
    "beyond the basic plane": ("🙂é漢a\u2028\x85" * 200).encode(),
    "256 symbols": "".join(map(chr, range(300, 556))).encode() * 2,
    "257 symbols": "".join(map(chr, range(300, 557))).encode() * 2,
    "many symbols": "".join(map(chr, [*range(300, 1000)] * 2)).encode(),
    "very many symbols": "".join(map(chr, [*range(0x1000, 0x9FFF)])).encode(),
}
WIDTHS = {"257 symbols": torch.int16, "many symbols": torch.int16, "very many symbols": torch.int32}


@pytest.fixture
def both(tmp_path, monkeypatch):
    """Build the task twice from one text: held, and mapped after being read in pieces of some bytes."""

    def build(content, piece=2**20, **options):
        path = tmp_path / "text.txt"
        path.write_bytes(content)
        held = Chars(text=str(path), **options)
        with monkeypatch.context() as patch:
            patch.setattr("rnnkit_tasks.text.symbols.LARGE", 0)
            patch.setattr("rnnkit_tasks.text.text_file.PIECE", piece)
            return held, Chars(text=str(path), **options)

    return build


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def same(first, second):
    assert first.continues == second.continues
    assert first.xs.dtype == second.xs.dtype == first.targets.dtype == second.targets.dtype == torch.int64
    assert torch.equal(first.xs, second.xs)
    assert torch.equal(first.targets, second.targets)


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 2**20])
@pytest.mark.parametrize("kind", TEXTS)
def test_all_is_equal_to_the_bit(both, kind, piece):
    held, mapped = both(TEXTS[kind], piece=max(piece, 512) if kind == "very many symbols" else piece, seq_len=5)
    assert mapped.text is None
    assert mapped.train.dtype == WIDTHS.get(kind, torch.uint8)
    assert mapped.alphabet == held.alphabet
    assert (mapped.length, mapped.input_size, mapped.output_size) == (held.length, held.input_size, held.output_size)
    for part in ("train", "held_out"):
        assert torch.equal(getattr(mapped, part).long(), getattr(held, part))
    for first, second in zip(held.validation(), mapped.validation(), strict=True):
        same(first, second)
    for first, second in islice(zip(held.batches(3, generator()), mapped.batches(3, generator()), strict=True), 150):
        same(first, second)
    same(held.batch(9, generator(1)), mapped.batch(9, generator(1)))
    assert torch.equal(held.prompt(), mapped.prompt())
    assert torch.equal(held.prompt(held.alphabet), mapped.prompt(held.alphabet))
    assert mapped.sample(mapped.prompt(held.alphabet)) == held.alphabet
    assert mapped.baselines() == held.baselines()


@pytest.mark.parametrize("piece", [1, 2, 5, 2**20])
@pytest.mark.parametrize(
    "content",
    [
        b"abc\xff" * 50,
        b"abc" * 50 + b"\xe6\xbc",  # the end of a character is missing
        "漢".encode() * 30 + b"\xe6\xbcx",
        b"\xef\xbb\xbfabc" + "é".encode("latin-1") * 50,
        "abc".encode("utf-16") * 50,
        b"abc\0def" * 50,
        b"\xef\xbb\xbf\0" + b"abc" * 50,
        "é\r\n".encode() * 10 + b"\0",
        b"",
        b"short",
        b"abcde\r\n" * 10,
    ],
    ids=lambda content: repr(content[:5] + content[-4:]),
)
def test_an_unfit_text_is_refused_in_the_same_words(tmp_path, monkeypatch, content, piece):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as held:
        Chars(text=str(path))
    monkeypatch.setattr("rnnkit_tasks.text.symbols.LARGE", -1)
    monkeypatch.setattr("rnnkit_tasks.text.text_file.PIECE", piece)
    with pytest.raises(DataError) as mapped:
        Chars(text=str(path))
    assert str(mapped.value) == str(held.value)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
def test_the_byte_at_fault_is_counted_from_the_beginning_of_the_file(tmp_path, mark):
    path = tmp_path / "text.txt"
    path.write_bytes(mark + b"abc\xff")
    with pytest.raises(DataError, match=rf"is not UTF-8 text \(byte {len(mark) + 3}\)"):
        Chars(text=str(path))


def test_training_is_equal_to_the_bit(both):
    losses = []
    for task in both(TEXTS["beyond the basic plane"], seq_len=8):
        torch.manual_seed(0)
        model = rnnkit.Model(task, "gru", 4, embedding_size=4, unroller="loop")
        records = list(rnnkit.train(model, task, steps=5, batch_size=4))
        losses.append([record.loss for record in records] + [records[-1].validation])
    assert losses[0] == losses[1]


def test_of_a_large_text_the_n_grams_know_the_end(both, monkeypatch):
    """As if the training text were its last characters alone."""
    draw = random.Random(0)
    content = "".join(draw.choice("abcd ") for _ in range(2000)).encode()
    monkeypatch.setattr("rnnkit_tasks.chars.NGRAM_SYMBOLS", 700)
    held, mapped = both(content)
    assert list(held.baselines()) == ["order-3 n-gram", "order-4 n-gram"]
    told = mapped.baselines()
    assert list(told) == [f"order-{order} n-gram of the last 700 characters" for order in (3, 4)]
    held.train = held.train[-700:]
    del held._ngrams
    assert list(told.values()) == list(held.baselines().values())


def change(content):
    """Make `pieces` find another text the second time."""
    from rnnkit_tasks.text.text_file import TextFile

    read, contents = TextFile.pieces, iter([None, content])

    def pieces(file):
        other = next(contents)
        if other is not None:
            file.path.write_bytes(other)
        return read(file)

    return pieces


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"abd" * 500, "changed while it was read; try again"),
        (b"abc" * 501, "changed while it was read; try again"),
        (b"abc" * 499, "was cut off while it was read; try again"),
        ("äb".encode() * 500, "changed while it was read; try again"),
    ],
    ids=["another character", "longer", "shorter", "fewer characters"],
)
def test_a_text_that_changes_between_the_readings(tmp_path, monkeypatch, content, sentence):
    path = tmp_path / "text.txt"
    path.write_bytes(b"abc" * 500)
    monkeypatch.setattr("rnnkit_tasks.text.symbols.LARGE", 0)
    monkeypatch.setattr("rnnkit_tasks.text.text_file.TextFile.pieces", change(content))
    with pytest.raises(DataError, match=sentence):
        Chars(text=str(path))


@pytest.fixture
def file_limit():
    """Let no file grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_for_the_symbols(tmp_path, monkeypatch, file_limit):
    path = tmp_path / "text.txt"
    path.write_bytes("äb".encode() * 50_000)
    monkeypatch.setattr("rnnkit_tasks.text.symbols.LARGE", 0)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    file_limit(1000)
    with pytest.raises(ResourceError) as error:
        Chars(text=str(path))
    assert str(error.value) == (
        f"{path} takes 100,000 bytes in {tmp_path}, which cannot be had: File too large; set TMPDIR to a folder with "
        "more room"
    )
    assert os.listdir(tmp_path) == ["text.txt"]


def test_nothing_is_left_in_the_folder(both, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    made = []
    monkeypatch.setattr(
        "tempfile.TemporaryFile", lambda dir, make=tempfile.TemporaryFile: made.append(dir) or make(dir=dir)
    )
    _, mapped = both(TEXTS["ASCII"])
    assert made == [str(folder)]
    assert os.listdir(folder) == []
    assert mapped.sample(mapped.train) == TEXTS["ASCII"].decode()[: len(mapped.train)]


READ = """
import resource
import sys

import torch

import rnnkit

torch.set_num_threads(1)


def kilobytes(field):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


task = rnnkit.tasks["chars"]()  # so that all is loaded
next(task.batches(32, torch.Generator().manual_seed(0)))
before = peak()
text = rnnkit.tasks["chars"](text=sys.argv[1], seq_len=256)
batches = text.batches(64, torch.Generator().manual_seed(0))
for _ in range(100):
    next(batches)
text.batch(64, torch.Generator().manual_seed(0))
next(text.validation())
print(peak() - before)

# All of it, with no room for it: pages of the file do not count, all else does.
resource.setrlimit(resource.RLIMIT_DATA, ((kilobytes("VmData:") + 20_000) * 1024, resource.RLIM_INFINITY))
read = 0
for batch in text.batches(64, torch.Generator().manual_seed(0)):
    if read and not batch.continues:
        break
    read += batch.xs.numel()
print(read)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
def test_memory_does_not_grow_with_the_text(tmp_path):
    """300 MB, of which no more than 50 MB are ever held; then all of it under a limit of 20 MB above what is used."""
    path, size = tmp_path / "text.txt", 300_000_000
    block = (PANGRAM * 20_000).encode()
    with path.open("wb") as file:
        for _ in range(size // len(block) + 1):
            file.write(block)
    told = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    held, read = map(int, told.stdout.split())
    assert held < 50_000, f"{held} kB"
    characters = (size // len(block) + 1) * 20_000 * (len(PANGRAM) - 1)
    assert characters * 90 // 100 - read < 2 * 64 * 256
