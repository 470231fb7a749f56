"""`rnnkit export`: a trained model as one file, for where rnnkit is not."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rnnkit.cli.options import trained
from rnnkit.cli.output import json_option, print_json, print_table
from rnnkit.cli.streams import echo

if TYPE_CHECKING:
    from rnnkit.core.task import Task
    from rnnkit.export import Exported


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
@json_option
def export(
    folder: Path,
    best: bool,
    device: str | None,
    format_name: str | None,
    out: Path | None,
    step: bool,
    state: bool,
    as_json: bool,
) -> None:
    """Write the model of the run in folder RUN as one file that needs no rnnkit.

    Any number of steps and rows may go in. Before the file is there, it is read back and held to the model.
    """
    from rnnkit.export import export_model
    from rnnkit.export.file import read_format
    from rnnkit.runs.folder import open_run

    path = out or folder / f"model.{format_name or 'pt2'}"
    read_format(format_name, path)  # refused before anything is loaded
    settings, task, model = open_run(folder, best=best, device=device)
    about = {"cell": settings.cell, "task": settings.task, **_symbols(task), **_data(task)}
    exported = export_model(model, path, format=format_name, step=step, state=state, about=about)
    if as_json:
        print_json(_as_plain(exported))
        return
    rows = [
        (direction, info.name, info.dtype, " x ".join(map(str, info.shape)))
        for direction, tensors in (("in", exported.inputs), ("out", exported.outputs))
        for info in tensors
    ]
    print_table(["", "tensor", "dtype", "shape"], rows)
    echo(f"\nlargest difference from the model: {exported.difference:.1e}\nsaved in {path}, {exported.bytes:,} bytes")


def _symbols(task: "Task") -> dict[str, Any]:
    """Return the text of each symbol, where there is some: without it nobody can feed the model."""
    import torch

    if not task.symbols or task.prompt() is None:
        return {}
    return {"symbols": [task.sample(torch.tensor([symbol])) for symbol in range(task.input_size)]}


def _data(task: "Task") -> dict[str, Any]:
    """Return what the task took from its data, such as columns and scale, to bring others into the model's form.

    The alphabet of a text is told by its symbols.
    """
    state = task.data_state()
    return {"data": state} if state and not (task.symbols and task.prompt() is not None) else {}


def _as_plain(exported: "Exported") -> dict[str, Any]:
    infos = {key: [info._asdict() for info in getattr(exported, key)] for key in ("inputs", "outputs")}
    return {**exported._asdict(), "path": str(exported.path), **infos}
