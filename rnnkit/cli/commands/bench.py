"""`rnnkit bench`: a cell and unroller beside torch's own and others, as ratios with their intervals."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from rnnkit.cli.bench_tables import print_outcomes, print_startups
from rnnkit.cli.options import cell_option, device_option, set_option, unroller_option
from rnnkit.cli.output import json_option, print_json
from rnnkit.cli.question_progress import shown
from rnnkit.errors import UsageError
from rnnkit.plugin.key_value import by_table

if TYPE_CHECKING:
    from rnnkit.benchmark.measure import Memory
    from rnnkit.benchmark.process import Conditions
    from rnnkit.benchmark.workload import Workload

Item = TypeVar("Item")
LOW = ("bfloat16", "float16")
MODES = {"train": (True,), "forward": (False,), "both": (True, False)}


class Options(NamedTuple):
    """What `rnnkit bench` takes."""

    cell: str
    unroller: str
    sizes: str | None
    against: str
    mode: str
    lengths: str
    dtype: str
    device: str
    pairs: int
    threads: int | None
    allocator: str
    memory: "Memory"
    startup: bool
    plot: Path | None
    assignments: tuple[str, ...]
    as_json: bool


@click.command(short_help="Measure speed and memory against torch's own layers.")
@cell_option
@unroller_option("auto")
@click.option(
    "--sizes", metavar="BxTxIxH,...", help="Rows, steps, input and hidden size. [default: eight, from small to large]"
)
@click.option(
    "--against",
    default="torch",
    show_default=True,
    metavar="NAME,...",
    help="torch (its own module of the cell, or nn.LSTM), loop, compile (torch.compile of loop), torchrecurrent.",
)
@click.option("--train", "mode", flag_value="train", default="train", help="With all gradients; the default.")
@click.option("--forward", "mode", flag_value="forward", help="Without any gradients.")
@click.option("--both", "mode", flag_value="both", help="One after the other.")
@click.option(
    "--lengths",
    type=click.Choice(["equal", "ragged"]),
    default="equal",
    show_default=True,
    help="ragged: a PackedSequence on every side, its rows T/4 to T steps long.",
)
@click.option(
    "--dtype",
    type=click.Choice(["float32", "float64", *LOW]),
    default="float32",
    show_default=True,
    metavar="NAME",
    help="Of weights and input: float32, float64; on GPUs bfloat16 and float16 too.",
)
@device_option("Where to compute; on a GPU by its own events and by the wall's clock.", "cpu")
@click.option("--pairs", type=click.IntRange(min=2), default=30, show_default=True, help="Rounds that are timed.")
@click.option("--threads", type=click.IntRange(min=1), help="Of torch. [default: torch's]")
@click.option(
    "--allocator",
    type=click.Choice(["default", "keep"]),
    default="default",
    show_default=True,
    help="keep: freed memory stays with the process, so that large tensors cost no page faults (glibc).",
)
@click.option(
    "--memory",
    type=click.Choice(["pass", "process", "none"]),
    default="pass",
    show_default=True,
    help="Measured around a pass in this process, or around the first one in a process for each; or not.",
)
@click.option(
    "--startup",
    is_flag=True,
    help="In place of all that: what the first pass costs beyond a later one, with an empty cache and a filled one.",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the ratios into this PNG or SVG file.")
@set_option("unroller")
@json_option
def bench(**words: Any) -> None:
    """Measure speed and memory against torch's own layers and others.

    All take turns in one process, on the same input. Each figure says how many times as long the other one takes: the
    median over the rounds, with the middle 95 % of its bootstrap. Above 1, rnnkit is the faster.
    """
    from rnnkit.benchmark.machine import machine
    from rnnkit.benchmark.process import Conditions
    from rnnkit.plugin.cell_spec import choose
    from rnnkit.runs.settings import Settings
    from rnnkit.support.figures import check_plot

    options = Options(**words)
    through = by_table(options.assignments, ("unroller",))["unroller"]
    unroller = Settings(unroller=options.unroller, unroller_options=through).make_unroller()
    choose(options.cell).build(8, 8, {})  # refused before anything is measured
    workloads = _courses(options)
    if options.plot is not None:
        if options.startup:
            raise UsageError("--startup has no ratios to draw; leave out --plot")
        check_plot(options.plot)
    conditions = Conditions(options.threads, options.allocator == "keep")
    conditions.settle()
    facts = {**machine(workloads[0].device), "allocator": options.allocator}
    (_start if options.startup else _race)(options, unroller, workloads, conditions, facts)


def _courses(options: Options) -> "list[Workload]":
    """Return what is measured: every size, in training, in the forward pass or in both."""
    import torch

    from rnnkit.benchmark.sizes import DEFAULT, parse_sizes
    from rnnkit.benchmark.workload import Workload
    from rnnkit.runs.settings import usable_device

    sizes = DEFAULT if options.sizes is None else parse_sizes(options.sizes)
    device = usable_device(options.device)
    if device.type == "cpu" and options.dtype in LOW:
        raise UsageError(
            f"--dtype {options.dtype}: torch's own layers have no kernels in it on a CPU; give --device too"
        )
    weights, ragged = getattr(torch, options.dtype), options.lengths == "ragged"
    return [Workload(size, training, weights, ragged, device) for training in MODES[options.mode] for size in sizes]


def _race(
    options: Options, unroller: Any, workloads: "list[Workload]", conditions: "Conditions", facts: dict[str, Any]
) -> None:
    """Measure every workload, and print what comes out: forward passes apart from training."""
    from rnnkit.benchmark.measure import compete, means
    from rnnkit.benchmark.plot import draw

    against = [name.strip() for name in options.against.split(",")]
    measured = compete(options.cell, unroller, workloads, against, options.pairs, options.memory, conditions)
    outcomes = []
    for outcome in _shown(measured, workloads, options.as_json):
        outcomes.append(outcome)
        if options.as_json:
            print_json({"event": "size", **outcome.as_plain(), **facts})
    for training in dict.fromkeys(workload.training for workload in workloads):
        part = [outcome for outcome in outcomes if outcome.training == training]
        if options.as_json:
            averages = {label: mean._asdict() for label, mean in means(part).items()}
            print_json({"event": "means", "training": training, **averages})
        else:
            print_outcomes(part, means(part), facts)
    if options.plot is not None:
        draw(outcomes, options.plot)


def _start(
    options: Options, unroller: Any, workloads: "list[Workload]", conditions: "Conditions", facts: dict[str, Any]
) -> None:
    """Measure what the first pass of every workload costs, and print it."""
    from rnnkit.benchmark.startup import startups

    measured = list(_shown(startups(options.cell, unroller, workloads, conditions), workloads, options.as_json))
    if options.as_json:
        for startup in measured:
            print_json({"event": "startup", **startup.as_plain(), **facts})
    else:
        print_startups(measured, facts)


def _shown(items: Iterable[Item], workloads: "list[Workload]", quiet: bool) -> Iterator[Item]:
    """Pass on what is measured of each workload, showing which one it is."""
    sizes = [str(workload.size) for workload in workloads]
    return (item for _, item in shown(zip(sizes, items, strict=True), sizes, quiet))
