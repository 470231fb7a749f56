"""What the page of benchmarks measures, section by section, and the bar that each must clear."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from rnnkit.benchmark.sizes import ODD
from rnnkit.benchmark.timing import Ratio, geometric_mean

Rows = list[dict[str, Any]]
"""The lines of one `rnnkit bench --json`."""

PAIRS = 20
"""Rounds where there are many cells; of the LSTM as many as `rnnkit bench` takes by itself."""

ODD_SIZES = ",".join(map(str, ODD))
SHAPES = "8x64x128x128,24x250x128x128"
CELLS = ("lstm", "gru", "peephole", "layernorm", "two_gates:TwoGates")
WIDE = 128


class Bar(NamedTuple):
    """What a figure of one run must be at least, or at most."""

    text: str
    run: str
    figure: Callable[[Rows], float]
    least: float | None = None
    most: float | None = None
    unit: str = ""

    def met(self, rows: Rows) -> bool:
        """Tell whether the run clears the bar."""
        value = self.figure(rows)
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class Section:
    """A part of the page: runs by their labels, each the words after `rnnkit bench`; and its bars."""

    title: str
    runs: dict[str, str]
    bars: tuple[Bar, ...]
    shows: str = "ratios"
    """ratios, startup or memory."""


def mean(rival: str) -> Callable[[Rows], float]:
    """Return the geometric mean over the sizes of how many times as long a rival takes."""
    return lambda rows: geometric_mean([row["rivals"][rival]["median"] for row in rows])


def worst(rival: str) -> Callable[[Rows], float]:
    """Return the least of the same."""
    return lambda rows: min(row["rivals"][rival]["median"] for row in rows)


def worst_scaled(rival: str) -> Callable[[Rows], float]:
    """Return the least of the same for each flop, where there are `WIDE` units or more."""
    return lambda rows: min(
        ratio_of(row, rival, scaled=True).median for row in rows if int(row["size"].split("x")[3]) >= WIDE
    )


def largest(field: str) -> Callable[[Rows], float]:
    """Return the most of a figure."""
    return lambda rows: max(row[field] for row in rows)


def most_memory(rival: str) -> Callable[[Rows], float]:
    """Return the most of rnnkit's memory as a multiple of a rival's."""
    return lambda rows: max(row["bytes"] / row["rival_bytes"][rival] for row in rows)


def ratio_of(row: dict[str, Any], rival: str, scaled: bool = False) -> Ratio:
    """Return a ratio of a line of JSON."""
    return Ratio(**row["scaled" if scaled else "rivals"][rival])


SECTIONS = {
    "lstm": Section(
        "LSTM",
        {
            "default allocator": "--memory none",
            "memory kept": "--allocator keep --memory none",
        },
        (
            Bar("geometric mean of nn.LSTM's time", "default allocator", mean("nn.LSTM"), least=1.25),
            Bar("nn.LSTM's time at every size", "default allocator", worst("nn.LSTM"), least=1.0),
            Bar("geometric mean of nn.LSTM's time, memory kept", "memory kept", mean("nn.LSTM"), least=1.0),
        ),
    ),
    "odd": Section(
        "LSTM at odd sizes",
        {
            "default allocator": f"--sizes {ODD_SIZES} --memory none",
            "memory kept": f"--sizes {ODD_SIZES} --allocator keep --memory none",
        },
        (Bar("nn.LSTM's time at every odd size", "default allocator", worst("nn.LSTM"), least=1.0),),
    ),
    "gru": Section(
        "GRU",
        {"gru": f"--cell gru --pairs {PAIRS} --memory none"},
        (Bar("geometric mean of nn.GRU's time", "gru", mean("nn.GRU"), least=2.5),),
    ),
    "others": Section(
        "Cells that torch lacks",
        {cell: f"--cell {cell} --pairs {PAIRS} --memory none" for cell in ("peephole", "layernorm")},
        tuple(
            Bar(f"{cell}: geometric mean of nn.LSTM's time", cell, mean("nn.LSTM"), least=1.0)
            for cell in ("peephole", "layernorm")
        ),
    ),
    "unseen": Section(
        "A cell never seen before",
        {"two_gates": f"--cell two_gates:TwoGates --against loop,torch --pairs {PAIRS} --memory none"},
        (
            Bar("geometric mean of its own loop's time", "two_gates", mean("loop"), least=4.0),
            Bar(
                f"nn.LSTM's time for each flop, where H is {WIDE} or more",
                "two_gates",
                worst_scaled("nn.LSTM"),
                least=1 / 1.5,
            ),
        ),
    ),
    "inference": Section(
        "Inference",
        {"lstm": "--forward --memory none"},
        (Bar("geometric mean of nn.LSTM's time without gradients", "lstm", mean("nn.LSTM"), least=1.0),),
    ),
    "packed": Section(
        "Packed sequences",
        {"lstm": f"--lengths ragged --pairs {PAIRS} --memory none"},
        (Bar("nn.LSTM's time on the PackedSequence, at every size", "lstm", worst("nn.LSTM"), least=1.0),),
    ),
    "startup": Section(
        "The first pass",
        {cell.split(":")[0]: f"--cell {cell} --startup --sizes {SHAPES}" for cell in CELLS},
        tuple(
            bar
            for name in (cell.split(":")[0] for cell in CELLS)
            for bar in (
                Bar(f"{name}: empty cache", name, largest("cold"), most=3.0, unit="s"),
                Bar(f"{name}: filled cache", name, largest("warm"), most=0.05, unit="s"),
            )
        ),
        shows="startup",
    ),
    "memory": Section(
        "Memory",
        {"lstm": "--pairs 2 --memory process"},
        (Bar("memory as a multiple of nn.LSTM's, at every size", "lstm", most_memory("nn.LSTM"), most=1.0),),
        shows="memory",
    ),
}
