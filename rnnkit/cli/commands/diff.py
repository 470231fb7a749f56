"""`rnnkit diff`: two cells side by side."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rnnkit.cli.output import echo_wrapped, json_option, print_json, print_table
from rnnkit.cli.streams import echo

if TYPE_CHECKING:
    from rnnkit.benchmark.timing import Ratio
    from rnnkit.inspection.cell_facts import CellFacts
    from rnnkit.inspection.comparison import CellComparison


class Options(NamedTuple):
    """What `rnnkit diff` takes."""

    first: str
    second: str
    input_size: int
    hidden: int
    steps: int
    batch: int
    seed: int
    speed: bool
    explain: bool
    plot: Path | None
    as_json: bool


class Speed(NamedTuple):
    """How long a forward and backward pass takes."""

    runs: tuple[str, str]
    """What runs each cell: unroller, and the first lines of its explanation."""
    seconds: tuple[float, float]
    ratio: "Ratio"
    """The second cell's time as a multiple of the first one's."""


@click.command(short_help="Show two cells side by side.")
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@click.option(
    "--input",
    "input_size",
    envvar="RNNKIT_DIFF_INPUT",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Input size.",
)
@click.option("--hidden", type=click.IntRange(min=1), default=64, show_default=True, help="Hidden size.")
@click.option("--steps", type=click.IntRange(min=2), default=64, show_default=True, help="Time steps.")
@click.option("--batch", type=click.IntRange(min=1), default=8, show_default=True, help="Rows.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, show_default=True, help="Of weights and inputs.")
@click.option("--speed/--no-speed", default=True, show_default=True, help="Measure both, in turns.")
@click.option(
    "--explain", is_flag=True, help="Print how each is run too: what its unroller says of it, stage by stage."
)
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw both gradient flows: .png or .svg.")
@json_option
def diff(**words: Any) -> None:
    """Show cells A and B side by side: equations, parameters, work, states, Jacobians, gradient flow and speed.

    A and B are names, expressions such as "zoneout(gru, rate=0.1)", or classes such as my_package.cells:MyCell.
    """
    from rnnkit.inspection import compare_cells
    from rnnkit.support.figures import check_plot, save

    options = Options(**words)
    if options.plot is not None:
        check_plot(options.plot)
    comparison = compare_cells(
        options.first,
        options.second,
        steps=options.steps,
        batch_size=options.batch,
        seed=options.seed,
        input_size=options.input_size,
        hidden_size=options.hidden,
    )
    speed = _speed(options) if options.speed else None
    if options.plot is not None:
        save(comparison.plot().figure, options.plot)
    if options.as_json:
        explanations = _explanations(options) if options.explain else None
        more = {"speed": None if speed is None else speed._asdict(), "explanations": explanations}
        print_json({**comparison.to_json(), **more})
        return
    _print(comparison, speed, options)
    for cell, text in _explanations(options).items() if options.explain else ():
        echo_wrapped(f"\n{cell}\n{text}")


def _explanations(options: Options) -> dict[str, str]:
    """Return what the unroller that `auto` takes says of each cell."""
    from rnnkit.layers.rnn import RNN

    layers = {cell: RNN(cell, options.input_size, options.hidden) for cell in (options.first, options.second)}
    return {
        cell: f"unroller {layer.unroller}\n{layer.unroller.explain(layer.equipped(0))}"
        for cell, layer in layers.items()
    }


def _speed(options: Options) -> Speed:
    """Time a forward and backward pass of both cells in turns."""
    from statistics import median

    import torch

    from rnnkit.benchmark.candidates import ours
    from rnnkit.benchmark.sizes import Size
    from rnnkit.benchmark.timing import interleaved, ratio
    from rnnkit.benchmark.workload import Workload, one_pass
    from rnnkit.layers.rnn import RNN
    from rnnkit.layers.unroller_report import running

    workload = Workload(Size(options.batch, options.steps, options.input_size, options.hidden))
    torch.manual_seed(options.seed)
    xs = workload.input()
    layers = [ours(cell, "auto")(workload.size) for cell in (options.first, options.second)]
    first, second = interleaved([one_pass(layer, xs, training=True) for layer in layers], ROUNDS)
    report = running([layer for layer in layers if isinstance(layer, RNN)], "auto")
    runs = [f"{unroller}: {how}" for unroller, how in zip(report["unroller"], report["runs"], strict=True)]
    return Speed((runs[0], runs[1]), (median(first), median(second)), ratio(second, first))


ROUNDS = 15
"""In which both cells are timed."""


def _print(comparison: "CellComparison", speed: Speed | None, options: Options) -> None:
    for facts in (comparison.first, comparison.second):
        echo_wrapped(f"{facts.name}\n\n{facts.equations or '    (its docstring has no equation)'}\n")
    headings = ["", comparison.first.name, comparison.second.name]
    if headings[1] == headings[2]:
        headings[2] += " (B)"
    print_table(headings, _rows(comparison, speed))
    echo("")
    echo_wrapped(comparison.reading)
    for note in comparison.notes:
        echo_wrapped(note)
    if speed is not None:
        size = f"{options.batch} rows, {options.steps} steps, float32"
        echo_wrapped(
            f"{headings[2]} takes {speed.ratio} times as long as {headings[1]} ({size}, forward and backward): the "
            f"median of the ratios of {ROUNDS} rounds, in each of which both are timed, with its 95 % interval. It "
            "need not be the ratio of the two medians above, which slow rounds of the machine shift."
        )


def _rows(comparison: "CellComparison", speed: Speed | None) -> list[tuple[str, ...]]:

    both = (comparison.first, comparison.second)
    names = list(dict.fromkeys(pair for facts in both for pair in facts.blocks))
    rows: list[tuple[str, ...]] = [
        ("parameters", *(f"{facts.parameter_count:,}" for facts in both)),
        ("operations a step", *(f"{facts.flops:,}" for facts in both)),
        (
            "states",
            *(", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in f.states.items()) for f in both),
        ),
        ("in its state a step is", *map(_kind, both)),
        ("not zero in the Jacobian", *(facts.filled for facts in both)),
        *((f"Jacobian, {pair}", *(facts.blocks.get(pair, "-") for facts in both)) for pair in names),
        ("far back gradients", *(flow.pace for flow in comparison.flows)),
    ]
    if speed is not None:
        rows.append(("median pass, ms", *(f"{1000 * seconds:.2f}" for seconds in speed.seconds)))
        rows.append(("run by", *map(_in_short, speed.runs)))
    return rows


def _in_short(runs: str) -> str:
    """Return what runs a cell, "compiled, backend cpp"; --explain prints the rest."""
    unroller, _, how = runs.partition(": ")
    return f"{unroller}, {how.partition('; ')[0].replace(': ', ' ')}"


def _kind(facts: "CellFacts") -> str:
    return "fixed" if facts.fixed else "linear" if facts.linear else "not linear"
