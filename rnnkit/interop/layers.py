"""The weights of a whole layer: export and import, cell by cell."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rnnkit.core.cell import Cell
from rnnkit.errors import KindError, ShapeError, UnknownNameError, UsageError, nearest
from rnnkit.interop.flax import from_flax, to_flax
from rnnkit.interop.haiku import from_haiku, to_haiku
from rnnkit.interop.keras import from_keras, to_keras
from rnnkit.interop.nnx import from_nnx, to_nnx
from rnnkit.interop.onnx import from_onnx, to_onnx
from rnnkit.interop.torch_cells import from_torch, to_torch
from rnnkit.interop.weights import Weights
from rnnkit.layers.rnn import RNN
from rnnkit.training.evaluation import evaluating


class Format(NamedTuple):
    """How one cell goes to a format and comes back."""

    write: Callable[..., Any]
    read: Callable[..., dict[str, Tensor]]
    options: tuple[str, ...] = ("reset_after",)
    """Options of a cell that decide how, or whether, it can be converted."""
    stacked: bool = False
    """Whether both directions of a layer share one entry."""


FORMATS = {
    "flax": Format(to_flax, from_flax),
    "haiku": Format(to_haiku, from_haiku, ("reset_after", "nonlinearity")),
    "keras": Format(to_keras, from_keras),
    "nnx": Format(to_nnx, from_nnx),
    "onnx": Format(to_onnx, from_onnx, (), stacked=True),
    "torch": Format(to_torch, from_torch),
}


def export_weights(layer: RNN, format: str) -> list[Any]:
    """Return the weights of a layer in another framework's form, as copies.

    Args:
        layer: any whose cells the format has.
        format: "flax", "haiku", "keras", "nnx", "onnx" or "torch".

    Returns:
        What `to_<format>` gives for each cell, in the order of the states, layer by layer, forward before reverse. ONNX
        stacks the directions, so that there is one entry a layer.

    Raises:
        UsageError: the format has no such cell, or a weight has no place there.
    """
    form = format_of(format)
    _check_layer(layer)
    cells = layer.cells
    with evaluating(layer):  # so that nothing is dropped from a weight
        weights = [layer.parameters_of(n) for n in range(len(cells))]
        step = layer.directions if form.stacked else 1
        return [
            form.write(cells[n].name, *weights[n : n + step], **options_of(cells[n], form))
            for n in range(0, len(cells), step)
        ]


def import_weights(layer: RNN, format: str, weights: Sequence[Any]) -> None:
    """Copy weights of another framework's form into a layer; all is checked before anything is written.

    A cell without biases takes biases that are zero, and one with biases takes their absence for zeros.

    Args:
        layer: written into, in its dtype and on its device.
        format: "flax", "haiku", "keras", "nnx", "onnx" or "torch".
        weights: as `export_weights` gives them.

    Raises:
        UsageError: the weights are not those of such a layer.
        ShapeError: a tensor has another shape than the layer's.
    """
    _check_layer(layer)
    if layer.computes_weights():
        raise UsageError("the layer is parametrized, so its weights cannot be written; remove that first")
    copies = []
    for n, entry in enumerate(cell_weights(layer, format, weights)):
        copies += list(matched(f"cell {n}", layer.parameters_of(n), entry))
    with torch.no_grad():
        for target, source in copies:
            target.copy_(source)


def _check_layer(layer: object) -> None:
    if not isinstance(layer, RNN):
        raise KindError(f"the layer is a {type(layer).__name__}; it must be an rnnkit.RNN")


def cell_weights(layer: RNN, format: str, entries: Sequence[Any]) -> Iterator[dict[str, Tensor]]:
    """Yield the weights of each cell from the entries of a format."""
    form = format_of(format)
    step = layer.directions if form.stacked else 1
    wanted = len(layer.cells) // step
    if not isinstance(entries, Sequence) or len(entries) != wanted:
        given = f"{len(entries)} given" if isinstance(entries, Sequence) else f"a {type(entries).__name__}"
        noun = "layer" if form.stacked else "cell"
        raise UsageError(f"format {format!r}: {given}; it must be a list of {wanted}, one for each {noun}")
    for n, cell in enumerate(layer.cells):
        place = {"direction": n % step, "directions": step} if form.stacked else {}
        try:
            yield form.read(cell.name, entries[n // step], **place, **options_of(cell, form))
        except UsageError as error:
            raise type(error)(f"cell {n}: {error}") from error


def format_of(name: str) -> Format:
    """Return the format of that name, or raise with the nearest one."""
    if name not in FORMATS:
        raise UnknownNameError(f"no format {name!r}{nearest(name, FORMATS)}; there are {', '.join(FORMATS)}")
    return FORMATS[name]


def options_of(cell: Cell, form: Format) -> dict[str, Any]:
    """Return the options of a cell that matter to the format."""
    return {name: getattr(cell, name) for name in form.options if hasattr(cell, name)}


def matched(label: str, targets: Weights, sources: Weights) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield each parameter with the tensor that goes into it; an absent bias is a zero bias on either side."""
    for name in sources:
        if name not in targets and not (name.startswith("bias") and not sources[name].any()):
            raise UsageError(f"{label}: the weights hold {name!r}, which the layer lacks; build it with that")
    for name in targets:
        if name not in sources and not name.startswith("bias"):
            raise UsageError(f"{label}: the weights lack {name!r}, which the layer has; build it without that")
    for name, target in targets.items():
        source = sources.get(name, torch.zeros_like(target))
        if source.shape != target.shape:
            raise ShapeError(
                f"{label}: {name!r} is {tuple(source.shape)} in the weights, {tuple(target.shape)} in the layer"
            )
        yield target, source
