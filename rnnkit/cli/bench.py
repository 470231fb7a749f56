"""`rnnkit bench`: a cell and unroller beside torch's own and others, as ratios with their intervals."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.options import cell_option, parse_assignments, set_option, unroller_option
from rnnkit.cli.output import json_option, print_json, print_table

if TYPE_CHECKING:
    from rnnkit.benchmark.contest import Outcome

MIB = 2**20


@click.command()
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
@click.option(
    "--train/--forward", "training", default=True, show_default=True, help="With all gradients, or without any."
)
@click.option("--pairs", type=click.IntRange(min=2), default=30, show_default=True, help="Rounds that are timed.")
@click.option("--threads", type=click.IntRange(min=1), help="Of torch. [default: torch's]")
@click.option(
    "--allocator",
    type=click.Choice(["default", "keep"]),
    default="default",
    show_default=True,
    help="keep: freed memory stays with the process, so that large tensors cost no page faults (glibc).",
)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the ratios into this PNG or SVG file.")
@set_option("unroller")
@json_option
def bench(
    cell: str,
    unroller: str,
    sizes: str | None,
    against: str,
    training: bool,
    pairs: int,
    threads: int | None,
    allocator: str,
    plot: Path | None,
    assignments: tuple[str, ...],
    as_json: bool,
) -> None:
    """Measure speed and memory against torch's own layers and others.

    All take turns in one process, on the same input, in float32. Each figure says how many times as long the other one
    takes: the median over the rounds, with the middle 95 % of its bootstrap. Above 1, rnnkit is the faster.
    """
    import torch

    from rnnkit.benchmark.contest import contest, means
    from rnnkit.benchmark.machine import keep_memory, machine
    from rnnkit.benchmark.plot import check_plot, draw
    from rnnkit.benchmark.sizes import DEFAULT, parse_sizes
    from rnnkit.settings import Settings

    options = parse_assignments(assignments, ("unroller",))["unroller"]
    through = Settings(unroller=unroller, unroller_options=options).make_unroller()
    measured = DEFAULT if sizes is None else parse_sizes(sizes)
    if plot is not None:
        check_plot(plot)
    if allocator == "keep":
        keep_memory()
    if threads is not None:
        torch.set_num_threads(threads)
    facts = {**machine(), "allocator": allocator}
    outcomes: list[Outcome] = []
    rounds = contest(
        cell, through, measured, [name.strip() for name in against.split(",")], training=training, pairs=pairs
    )
    with click.progressbar(rounds, length=len(measured), label="measuring", file=sys.stderr, hidden=as_json) as shown:
        for outcome in shown:
            outcomes.append(outcome)
            if as_json:
                print_json({"event": "size", **outcome.as_plain(), **facts})
    if as_json:
        print_json({"event": "means", **means(outcomes)})
    else:
        _report(outcomes, means(outcomes), facts)
    if plot is not None:
        draw(outcomes, plot)


def _report(outcomes: "list[Outcome]", averages: dict[str, float], facts: dict[str, Any]) -> None:
    first = outcomes[0]
    done = "forward and backward" if first.training else "forward"
    setting = ", ".join([first.cell, f"unroller {first.unroller}", done, f"{first.pairs} rounds"])
    click.echo(f"{setting}; {', '.join(f'{key} {value}' for key, value in facts.items())}\n")
    headings = ["BxTxIxH", "ms", "of the peak", "MiB"]
    for label in averages:
        headings += [f"{label} takes", "MiB "]
    rows = []
    for outcome in outcomes:
        row = [str(outcome.size), f"{outcome.seconds * 1e3:.2f}", f"{outcome.share:.1%}", _mib(outcome.bytes)]
        for label, found in outcome.rivals.items():
            row += [str(found), _mib(outcome.rival_bytes[label])]
        rows.append(row)
    print_table(headings, rows, right=headings[1:])
    for label, mean in averages.items():
        click.echo(f"geometric mean: {label} takes {mean:.2f} times as long")


def _mib(amount: int | None) -> str:
    return "" if amount is None else f"{amount / MIB:.1f}"
