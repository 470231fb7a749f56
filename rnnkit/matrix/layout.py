"""The layouts: in which form a layer gets a batch, and how what it returns is read back."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from rnnkit.layers.rnn import RNN


@dataclass(frozen=True)
class Layout:
    """A form of a batch, with the lengths and resets that go with it; inside, it is (T, B, D) throughout."""

    name: str
    steps: int
    rows: int
    lengths: Tensor | None
    """(B,) steps of each row; None: all."""

    reset: Tensor | None
    """(T, B) booleans: the row starts again before that step; None: nowhere."""

    @classmethod
    def drawn(cls, name: str, steps: int, rows: int) -> "Layout":
        """Draw lengths, of which the longest is `steps`, or resets, of which there is at least one."""
        rows = 1 if name == "unbatched" else rows
        lengths = reset = None
        if name in ("lengths", "packed"):
            lengths = torch.randint(1, steps, (rows,))
            lengths[int(torch.randint(rows, ()))] = steps
        if name == "reset":
            reset = torch.rand(steps, rows) < 0.3
            reset[int(torch.randint(1, steps, ())), int(torch.randint(rows, ()))] = True
        return cls(name, steps, rows, lengths, reset)

    @property
    def order(self) -> list[int]:
        """The rows in the order in which a layer sees them: packed ones by length."""
        if self.name != "packed" or self.lengths is None:
            return list(range(self.rows))
        packed = pack_padded_sequence(torch.zeros(self.steps, self.rows), self.lengths, enforce_sorted=False)
        return [] if packed.sorted_indices is None else packed.sorted_indices.tolist()

    def run(self, layer: RNN, xs: Tensor, states: list[Tensor] | None) -> dict[str, Tensor]:
        """Run a layer over xs (T, B, D) from `states`, each (directions, B, ...); return output and last states.

        The output is (T, B, directions * O), the states as they were given.
        """
        alone = self.name == "unbatched"
        if alone:
            xs, states = xs.squeeze(1), None if states is None else [state.squeeze(1) for state in states]
        given: Any = xs
        if self.name == "batch-first":
            given = xs.transpose(0, 1)
        elif self.name == "packed":
            given = pack_padded_sequence(xs, self.lengths, enforce_sorted=False)  # type: ignore[arg-type]
        layer.batch_first = self.name == "batch-first"
        lengths = self.lengths if self.name == "lengths" else None
        hx = None if states is None else layer.layout.unflat(states)
        output, last = layer(given, hx, lengths=lengths, reset=self.reset)
        tensors = [self._time_first(output), *layer.layout.flat(last)]
        if alone:
            tensors = [tensor.unsqueeze(1) for tensor in tensors]
        return dict(zip(("output", *layer.state_names), tensors, strict=True))

    def _time_first(self, output: Any) -> Tensor:
        if self.name == "packed":
            output, _ = pad_packed_sequence(output, total_length=self.steps)
        tensor: Tensor = output.transpose(0, 1) if self.name == "batch-first" else output
        return tensor
