"""The stack: which cell, and how wide, in each layer."""

import warnings
from typing import Any, NamedTuple

from rnnkit.errors import UsageError, check_whole
from rnnkit.plugin.cell_spec import CellChoice, CellLike, choose


class Stack(NamedTuple):
    """A cell and a hidden size for each layer."""

    choices: list[CellChoice]
    widths: list[int]
    by_layer: bool
    """Whether cells or widths were given layer by layer."""

    label: str
    """The cells as they were given."""

    @classmethod
    def read(cls, cell: Any, hidden_size: Any, num_layers: int) -> "Stack":
        """Read what a layer is given; a single cell or width goes for all layers.

        Raises:
            UsageError: lists of different lengths, or another number of layers than they have.
        """
        given: list[CellLike] = list(cell) if isinstance(cell, list | tuple) else [cell]
        sizes: list[Any] = list(hidden_size) if isinstance(hidden_size, list | tuple) else [hidden_size]
        lists = {
            label: len(cast)
            for label, value, cast in (("cell", cell, given), ("hidden_size", hidden_size, sizes))
            if isinstance(value, list | tuple)
        }
        count = max(lists.values(), default=1) if num_layers == 1 else num_layers
        for label, length in lists.items():
            if length != count or not length:
                raise UsageError(f"{label} is a list of {length} for {count} layers; give one for each layer")
        for size in sizes:
            check_whole("hidden_size", size)
        choices = [choose(one) for one in given]
        names = [
            repr(one) if isinstance(one, str) else repr(str(choice)) for one, choice in zip(given, choices, strict=True)
        ]
        return cls(
            choices if len(choices) == count else choices * count,
            sizes if len(sizes) == count else sizes * count,
            bool(lists),
            f"[{', '.join(names)}]" if "cell" in lists else names[0],
        )


def warn_of_one_layer(*, dropout: float, residual: bool) -> None:
    """Say what has no effect in a single layer; of dropout in torch's words, for filters that know them."""
    sentences = {
        "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers "
        f"greater than 1, but got dropout={dropout} and num_layers=1": dropout,
        "residual=True acts between layers, and there is only one; set num_layers > 1": residual,
    }
    for sentence in filter(sentences.get, sentences):
        warnings.warn(sentence, UserWarning, stacklevel=3)
