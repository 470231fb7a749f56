"""What `rnnkit bench` found, as tables."""

from itertools import compress
from typing import TYPE_CHECKING, Any

from rnnkit.cli.output import echo_wrapped, print_table

if TYPE_CHECKING:
    from rnnkit.benchmark.measure import Outcome
    from rnnkit.benchmark.startup import Startup
    from rnnkit.benchmark.timing import Ratio

MIB = 2**20
WORTH_SCALING = 0.01
"""How far the work of two layers must differ before times are also given for each operation."""


def print_outcomes(outcomes: "list[Outcome]", averages: "dict[str, Ratio]", facts: dict[str, Any]) -> None:
    """Print a row for each size, and the mean ratio of each rival."""
    first = outcomes[0]
    setting = [first.cell, f"unroller {first.unroller}", "forward and backward" if first.training else "forward"]
    setting += [first.dtype, *(["ragged rows"] if first.ragged else []), f"{first.pairs} rounds"]
    echo_wrapped(f"{', '.join(setting)}; {_listed(facts)}\n")
    by_events = first.wall is not None
    headings = ["BxTxIxH", "ms", *(["ms by the wall"] if by_events else []), "of the peak", "MiB"]
    for label in averages:
        headings.append(f"{label} takes")
        headings += ["by the wall"] if by_events else []
        headings += [*(["for each flop"] if _scaled(outcomes, label) else []), "MiB "]
    less = ["MiB ", "for each flop", "of the peak", "MiB", "by the wall", "ms by the wall"]
    headings, rows = _filled(headings, [_row(outcome, outcomes) for outcome in outcomes])
    print_table(headings, rows, right=headings[1:], less=less)
    for label, mean in averages.items():
        echo_wrapped(f"geometric mean: {label} takes {mean} times as long")


def print_startups(startups: "list[Startup]", facts: dict[str, Any]) -> None:
    """Print a row for each size."""
    echo_wrapped(f"{startups[0].cell}, unroller {startups[0].unroller}, start in a new process; {_listed(facts)}\n")
    headings = ["BxTxIxH", "empty cache, ms", "filled cache, ms", "a later pass, ms", "loading the plugins, ms"]
    rows = [(str(s.size), _ms(s.cold), _ms(s.warm), _ms(s.later), _ms(s.plugins)) for s in startups]
    print_table(headings, rows, right=headings[1:], less=["loading the plugins, ms", "a later pass, ms"])
    echo_wrapped("caches: what the first pass costs beyond a later one")


def _row(outcome: "Outcome", outcomes: "list[Outcome]") -> list[str]:
    wall = [] if outcome.wall is None else [_ms(outcome.wall)]
    row = [str(outcome.size), _ms(outcome.seconds), *wall, f"{outcome.share:.1%}", _mib(outcome.bytes)]
    for label, ratio in outcome.rivals.items():
        waited = [] if outcome.wall is None else [str(outcome.rival_walls[label])]
        scaled = [str(outcome.scaled(label))] if _scaled(outcomes, label) else []
        row += [str(ratio), *waited, *scaled, _mib(outcome.rival_bytes[label])]
    return row


def _filled(headings: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out the columns of what was not measured."""
    kept = [any(cells) for cells in zip(*rows, strict=True)]
    return [*compress(headings, kept)], [[*compress(row, kept)] for row in rows]


def _scaled(outcomes: "list[Outcome]", label: str) -> bool:
    return any(abs(outcome.rival_flops[label] / outcome.flops - 1) > WORTH_SCALING for outcome in outcomes)


def _listed(facts: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in facts.items())


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"


def _mib(amount: int | None) -> str:
    return "" if amount is None else f"{amount / MIB:.1f}"
