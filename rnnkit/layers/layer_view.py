"""The view of a layer or model in a notebook: what runs in each layer, and the parameters."""

from typing import TYPE_CHECKING

from rnnkit.core.cell_view import parameters_html
from rnnkit.support import html_page

if TYPE_CHECKING:
    from rnnkit.layers.model import Model
    from rnnkit.layers.rnn import RNN


def layer_html(layer: "RNN") -> str:
    """Return a layer as HTML: what it was made with, a table of its cells, and one of its parameters."""
    return html_page.fragment(
        [html_page.paragraph(f"RNN({layer.extra_repr()})"), _cells(layer), parameters_html(layer)]
    )


def model_html(model: "Model") -> str:
    """Return a model as HTML: its embedding, layer and readout."""
    embedding = "" if model.embedding is None else f"Embedding({model.embedding.extra_repr()}), "
    text = f"{embedding}RNN({model.layer.extra_repr()}), Linear({model.readout.extra_repr()})"
    return html_page.fragment([html_page.paragraph(text), _cells(model.layer), parameters_html(model)])


def _cells(layer: "RNN") -> str:
    directions = ("forward", "reverse")
    rows = [
        (
            str(number // layer.directions),
            *([directions[number % layer.directions]] if layer.bidirectional else []),
            cell.name,
            str(cell.input_size),
            str(cell.output_size),
            ", ".join(f"{n} {w}" for n, w in zip(cell.state_names, cell.state_sizes, strict=True)),
        )
        for number, cell in enumerate(layer.cells)
    ]
    direction = ["direction"] if layer.bidirectional else []
    return html_page.table(
        ["layer", *direction, "cell", "input", "output", "states"], rows, numbers=["input", "output"]
    )
