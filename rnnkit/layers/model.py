"""The model: embedding (for symbols), recurrent layer, linear readout."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit.core.row_masks import sent
from rnnkit.core.task import Task
from rnnkit.core.unroller import Unroller
from rnnkit.layers.layer_view import model_html
from rnnkit.layers.rnn import RNN
from rnnkit.layers.stack import Stack
from rnnkit.layers.state_layout import States
from rnnkit.plugin.cell_spec import CellLike


class Model(nn.Module):
    """A recurrent layer fitted to a task.

    Args:
        task: gives the sizes of input and output, and whether inputs are symbols.
        cell: as in `rnnkit.RNN`.
        hidden_size: H.
        num_layers: layers of the RNN.
        embedding_size: width of the vectors that stand for symbols; not used for real inputs.
        dropout: rate between layers.
        unroller: as in `rnnkit.RNN`.
        **cell_options: options of the cell's own.
    """

    def __init__(
        self,
        task: Task,
        cell: CellLike | Sequence[CellLike] = "lstm",
        hidden_size: int | Sequence[int] = 128,
        *,
        num_layers: int = 1,
        embedding_size: int = 64,
        dropout: float = 0.0,
        unroller: str | type[Unroller] | Unroller = "auto",
        **cell_options: Any,
    ) -> None:
        super().__init__()
        for choice in Stack.read(cell, hidden_size, num_layers).choices:
            choice.accepted(cell_options)  # so that a word of the layer's own is refused here
        self.embedding = nn.Embedding(task.input_size, embedding_size) if task.symbols else None
        self.layer = RNN(
            cell,
            embedding_size if task.symbols else task.input_size,
            hidden_size,
            num_layers,
            dropout=dropout,
            unroller=unroller,
            **cell_options,
        )
        self.readout = nn.Linear(self.layer.output_size, task.output_size)

    def embed(self, xs: Tensor) -> Tensor:
        """Turn a batch's inputs into what the layer takes: (T, B) symbols or (T, B, D) -> (T, B, D')."""
        if self.embedding is None:
            return xs.to(self.readout.weight)
        embedded: Tensor = self.embedding(xs)
        return embedded

    def forward(
        self, xs: Tensor, state: States | None = None, *, lengths: Tensor | None = None
    ) -> tuple[Tensor, States]:
        """Return the readout (T, B, output_size) of every step, and the state after the last."""
        table = self._table()
        if table is None:
            ys, state = self.layer(self.embed(xs), state, lengths=lengths)
        else:
            ys, state = self.layer(xs, state, lengths=lengths, table=table)
        with self.layer.unroller.products(ys.numel() * self.readout.out_features):
            return self.readout(ys), state

    def _table(self) -> Tensor | None:
        """Return the embedding's weight, whose rows the layer may take by itself; None if more is done to them."""
        own = self.embedding
        if own is None or not _is_as_made(own, nn.Embedding):
            return None
        embeds = type(self).embed is Model.embed and "embed" not in vars(self)
        if not embeds or not _is_as_made(self.layer, RNN):
            return None
        plain = own.padding_idx is own.max_norm is None and not own.sparse and not own.scale_grad_by_freq
        return own.weight if plain else None

    def _repr_html_(self) -> str:
        """Show embedding, cells and readout in a notebook."""
        return model_html(self)


def _is_as_made(module: nn.Module, kind: type[nn.Module]) -> bool:
    """Tell whether a module's calls do what its class does, and nothing looks at what they are given or return."""
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    hooked = any(hooks) or torch.nn.modules.module._has_any_global_hook()  # type: ignore[no-untyped-call]
    return type(module) is kind and "forward" not in vars(module) and not hooked


def last_outputs(outputs: Tensor, lengths: Tensor | None) -> Tensor:
    """Take the output of each row's last step: (T, B, O) -> (B, O)."""
    if lengths is None:
        return outputs[-1]
    return outputs[sent(lengths, outputs.device) - 1, torch.arange(outputs.shape[1], device=outputs.device)]
