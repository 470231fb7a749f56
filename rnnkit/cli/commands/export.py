"""`rnnkit export`: a trained model as one file, for where rnnkit is not."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.options import trained
from rnnkit.cli.output import echo_wrapped, json_option, print_json, print_table
from rnnkit.cli.streams import echo

if TYPE_CHECKING:
    from rnnkit.export import Exported
    from rnnkit.runs.loading import TrainedRun


SHOWN = 12
"""Names of columns in a line."""


@click.command(short_help="Write a run's model as one file that needs no rnnkit.")
@trained
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["pt2", "onnx"]),
    help="pt2 for torch.export.load, or onnx. [default: as FILE ends, else pt2]",
)
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path), help="File. [default: RUN/model.pt2 or RUN/model.onnx]"
)
@click.option("--step", is_flag=True, help="One step a call: input and state in, output and state out.")
@click.option("--state", is_flag=True, help="For sequences in pieces: the state goes in too.")
@click.option("--raw", is_flag=True, help="The network alone, as it was trained: normalised numbers.")
@json_option
def export(
    folder: Path,
    best: bool,
    device: str | None,
    format_name: str | None,
    out: Path | None,
    step: bool,
    state: bool,
    raw: bool,
    as_json: bool,
) -> None:
    """Write the model of the run in folder RUN as one file that needs no rnnkit.

    Any number of steps and rows may go in. A model of a table takes the table's own numbers and gives numbers in its
    units, or shares of labels; the scales are in the file. Before the file is there, it is read back and held to the
    model.
    """
    from rnnkit.export.file import read_format
    from rnnkit.runs.loading import load
    from rnnkit.support.own_files import check_not_own

    path = out or folder / f"model.{format_name or 'pt2'}"
    if out is not None:  # refused before anything is loaded
        check_not_own(out, "--out")
    read_format(format_name, path)
    run = load(folder, best, device=device)
    exported = run.export(path, format=format_name, step=step, state=state, raw=raw)
    if as_json:
        print_json(_as_plain(exported))
        return
    rows = [
        (direction, info.name, info.dtype, " x ".join(map(str, info.shape)))
        for direction, tensors in (("in", exported.inputs), ("out", exported.outputs))
        for info in tensors
    ]
    print_table(["", "tensor", "dtype", "shape"], rows)
    echo("")
    for line in _in_words(run, exported, raw):
        echo_wrapped(line)


def _listed(names: Sequence[str]) -> str:
    """Return names in one line; of many the first ones and the last, for the file has them all."""
    if len(names) <= SHOWN:
        return "; ".join(names)
    return f"{'; '.join(names[: SHOWN - 1])}; ... {len(names) - SHOWN} more ...; {names[-1]}"


def _in_words(run: "TrainedRun", exported: "Exported", raw: bool) -> list[str]:
    """Say what the numbers are, how near they are to the model's, and where the file is."""
    lines = []
    units = run.task.units()
    if exported.units and units is not None:
        lines.append(f"input, in the data's own units: {_listed(units.columns)}")
        lines.append(f"output, in the data's own units: {_listed(units.targets)}")
    elif raw and units is not None:
        lines.append("input and output are normalised, as the network has them; without --raw they are in units")
    elif raw:
        lines.append(f"task {run.task.name!r} has no units, so --raw changes nothing")
    lines.append(f"largest difference from the model: {exported.difference:.1e}")
    lines.append(f"saved in {exported.path}, {exported.bytes:,} bytes")
    return lines


def _as_plain(exported: "Exported") -> dict[str, Any]:
    infos = {key: [info._asdict() for info in getattr(exported, key)] for key in ("inputs", "outputs")}
    return {**exported._asdict(), "path": str(exported.path), **infos}
