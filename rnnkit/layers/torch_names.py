"""What code around a layer reads of torch.nn's: names beside those of the constructor and the call."""

from typing import Any

from torch import Tensor

from rnnkit.core.input_checks import check_input
from rnnkit.errors import ShapeError
from rnnkit.layers.state_layout import StateLayout
from rnnkit.layers.unroller_choice import Choosing
from rnnkit.layers.wrapper import innermost


class TorchNames(Choosing):
    """The attributes and methods of torch.nn.LSTM, GRU and RNN that are no part of the call, for any cell."""

    layout: StateLayout
    batch_first: bool
    hidden_size: Any

    mode: str
    """What torch.nn calls the cell, "LSTM", "GRU", "RNN_TANH" or "RNN_RELU"; others: their name in capitals."""

    def _name_as_torch(self, label: str) -> None:
        """Set `mode`, and `nonlinearity` where all cells have one and the same, as torch.nn.RNN has."""
        names = {cell.name for cell in self._cells}
        nonlinearities = {getattr(innermost(cell), "nonlinearity", None) for cell in self._cells}
        mode = (names.pop() if len(names) == 1 else label).upper()
        if len(nonlinearities) == 1 and isinstance(nonlinearity := nonlinearities.pop(), str):
            self.nonlinearity = nonlinearity
            mode = f"RNN_{nonlinearity.upper()}" if mode == "RNN" else mode
        self.mode = mode

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each cell, as torch.nn.LSTM has them; parametrized ones are computed to be given."""
        return [list(self.parameters_of(position).values()) for position in range(len(self._cells))]

    @property
    def _all_weights(self) -> list[list[str]]:
        """Their names: code sets biases by these."""
        suffixes = enumerate(self._suffixes)
        return [[_with_suffix(name, suffix) for name in self.parameters_of(k)] for k, suffix in suffixes]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [tensor for tensors in self.all_weights for tensor in tensors]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    def flatten_parameters(self) -> None:
        """Lay out the parameters as the unroller reads them fastest; for code written for torch.nn.LSTM.

        It is done already when the layer is built, and when it moves.
        """
        self._arrange()

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, ...]:
        """Return the shape of the first state for an input, or for the data of a packed one and its batch sizes."""
        return self._expected_size(0, input, batch_sizes)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, ...]:
        """Return the shape of the second state, an LSTM's c."""
        return self._expected_size(1, input, batch_sizes)

    def _expected_size(self, which: int, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, ...]:
        rows = input.shape[0 if self.batch_first else 1] if batch_sizes is None else int(batch_sizes[0])
        return self.layout.shape_of(which, rows)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise ShapeError unless an input (T, B, D), or the data (N, D) of a packed one, fits."""
        expected = 3 if batch_sizes is None else 2
        if input.ndim != expected:
            raise ShapeError(f"the input has {input.ndim} dimensions; it must have {expected}")
        check_input(self._cells[0], input, input.shape[0], iter(self.parameters()))

    def check_hidden_size(self, hx: Tensor, expected_hidden_size: tuple[int, ...], msg: str = "") -> None:
        """Raise ShapeError unless a state has the expected shape."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            sentence = msg or "Expected hidden size {}, got {}"
            raise ShapeError(sentence.format(tuple(expected_hidden_size), list(hx.shape)))

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise ShapeError unless input and states fit the layer and each other."""
        self.check_input(input, batch_sizes)
        rows = input.shape[0 if self.batch_first else 1] if batch_sizes is None else int(batch_sizes[0])
        self.layout.check(hidden, rows, input)

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """Return states with their rows in another order."""
        if permutation is None:
            return hx
        return self.layout.unflat([tensor.index_select(1, permutation) for tensor in self.layout.flat(hx)])


def _with_suffix(name: str, suffix: str) -> str:
    """Return the layer's name of a cell's weight; a submodule's is a path, whose first part has the suffix."""
    first, dot, rest = name.partition(".")
    return first + suffix + dot + rest
