"""The layer: any cell where `nn.LSTM` stands."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from rnnkit.core.cell import State, building, parameters_of, starting_state
from rnnkit.core.input_checks import check_input
from rnnkit.core.unroller import Unroller
from rnnkit.errors import UsageError, check_flag, check_rate, check_whole
from rnnkit.layers.bound_cells import BoundCells
from rnnkit.layers.layer_view import layer_html
from rnnkit.layers.sequence import Sequences, flip, flip_starts, read
from rnnkit.layers.shortcuts import Shortcuts
from rnnkit.layers.stack import Stack, warn_of_one_layer
from rnnkit.layers.stacked_call import in_one_call, is_plain_stack
from rnnkit.layers.state_history import Tap, untap
from rnnkit.layers.state_layout import StateLayout, States
from rnnkit.layers.stepper import Stepper
from rnnkit.layers.symbols import taken
from rnnkit.layers.torch_names import TorchNames
from rnnkit.layers.wrapper import resetter
from rnnkit.layers.writes import Writes
from rnnkit.plugin.cell_spec import CellChoice, CellLike
from rnnkit.plugin.registry import cells
from rnnkit.plugin.resolve import resolve_unroller


class RNN(TorchNames):
    """A recurrent layer around any cell, with the signature, shapes and parameter names of torch.nn.LSTM.

    The layer owns the parameters under torch's names (`weight_ih_l0`, `weight_hh_l1_reverse`, ...): `state_dict`,
    `named_parameters`, optimisers, `parametrize` and `functional_call` see those, and each cell uses them for the
    time of a call.

    Args:
        cell: a registered name, a class's import path such as "my_package.cells:MyCell", an expression such as
            "zoneout(gru, rate=0.1)", a Cell class, a `functools.partial` of one, or a list of these, one a layer.
        input_size: D.
        hidden_size: H, or a list of one for each layer.
        num_layers: layers, each fed with the output of the one before; with a list, its length or left out.
        bias: passed to cells that have the option; False is an error for the others.
        batch_first: input and output are (B, T, ...) instead of (T, B, ...); states stay as they are.
        dropout: rate between layers, while training.
        bidirectional: a second cell a layer goes from the last step to the first; outputs are joined.
        proj_size: P < H, passed to cells that have the option, an error for the others; 0: no projection.
        device: where the parameters are; default: torch's.
        dtype: of the parameters; default: torch's.
        unroller: a registered name, an Unroller class or instance; "auto" takes the fastest that applies where the
            parameters are, and again when they have moved or changed their dtype; `layer.unroller` tells which.
        residual: each layer after the first adds its input, before dropout, to its output.
        trainable_state: the initial states are parameters (`initial_h_l0`, ...), by the wrapper that declares
            `learns_initial_state`.
        **cell_options: options of the cells' own.

    Raises:
        UnknownNameError: no cell or unroller of that name.
        UsageError: a size, rate or option that cannot be honoured.
        PluginError: the module of a cell cannot be imported, or a cell's constructor fails.
    """

    def __init__(
        self,
        cell: CellLike | Sequence[CellLike],
        input_size: int,
        hidden_size: int | Sequence[int],
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        unroller: str | type[Unroller] | Unroller = "auto",
        residual: bool = False,
        trainable_state: bool = False,
        **cell_options: Any,
    ) -> None:
        super().__init__()
        flags = {
            "bias": bias,
            "batch_first": batch_first,
            "bidirectional": bidirectional,
            "residual": residual,
            "trainable_state": trainable_state,
        }
        for label, flag in flags.items():
            check_flag(label, flag)
        check_whole("input_size", input_size)
        check_whole("num_layers", num_layers)
        check_whole("proj_size", proj_size, least=0)
        check_rate("dropout", dropout)
        stack = Stack.read(cell, hidden_size, num_layers)
        if unroller != "auto":
            unroller = resolve_unroller(unroller)  # refused before anything is drawn
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = len(stack.choices)
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.residual = residual
        self.trainable_state = trainable_state
        self.cell_options = cell_options
        self.directions = 2 if bidirectional else 1
        self._label, self._stacked = stack.label, stack.by_layer
        with building(device, dtype):
            self.output_size = self._build(
                stack, {**cell_options, "proj_size": proj_size} if proj_size else cell_options
            )
        self.layout = StateLayout(self._cells, self.directions, stack.by_layer)
        self._name_as_torch(stack.label)
        self.unroller = unroller
        self._shortcuts = Shortcuts()
        if self.num_layers == 1:
            warn_of_one_layer(dropout=dropout, residual=residual)

    def _build(self, stack: Stack, options: dict[str, Any]) -> int:
        """Build and adopt the cells; return the width of the output."""
        width = self.input_size
        for layer, (choice, hidden_size) in enumerate(zip(stack.choices, stack.widths, strict=True)):
            if self.trainable_state:
                choice = CellChoice(cells.declaring("learns_initial_state"), {"inner": choice})
            before = width
            for suffix in ("", "_reverse")[: self.directions]:
                self.adopt(choice.build(before, hidden_size, options, self.bias), f"_l{layer}{suffix}")
            width = self.directions * self._cells[-1].output_size
            if self.residual and layer and width != before:
                raise UsageError(
                    f"residual: layer {layer} has an input of {before} and an output of {width}; they must agree, or "
                    "wrap single cells, 'residual(lstm)', which project"
                )
        return width

    @property
    def state_names(self) -> tuple[str, ...]:
        """The names of the state tensors; where layers differ, with the layer's: "h_l0", "h_l1", ..."""
        return tuple(self.layout.names())

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: States | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        reset: Tensor | None = None,
        return_states: bool = False,
        table: Tensor | None = None,
    ) -> Any:
        """Run the layer over a batch of sequences.

        Args:
            input: (T, B, D), (B, T, D) with `batch_first`, (T, D) for one sequence alone, a PackedSequence, or a
                jagged tensor of torch.nested (B, ragged T, D).
            hx: the states before the first step, each (num_layers * directions, B, ...), index layer * directions +
                direction; a bare tensor for a cell with one state, a tuple otherwise; None: the cells' initial
                states. Where layers differ in cell or width: a list, for each layer what it would take alone.
            lengths: (B,) steps of each row, 1 to T. Past its end a row's output is zero and its state stays; the
                reverse direction begins at the end.
            reset: (T, B) booleans, whatever `batch_first`: the row starts again before that step.
            return_states: also give the states after every step; the output then has the widest dtype among them, which
                under autocast is the states'.
            table: (V, D), as an embedding's weight: the input is then integers (T, B), the numbers of its rows.

        Returns:
            The output (T, B, directions * O) in the form of the input, and the last states, laid out as `hx`. With
            `return_states` a third: the states over time, laid out as `hx` with the time beside the batch as in the
            input (T before B if it is packed), (num_layers * directions, T, B, ...), zero past a row's end.

        Raises:
            ShapeError: in one sentence, which tensor does not fit and what would; nothing has been computed.
        """
        input, table = (input, None) if table is None else taken(input, table, return_states)
        others = table is not None or return_states or torch.compiler.is_compiling()
        if lengths is None and reset is None and not others:
            result = self._shortcuts.run(self, input, hx)
            if result is not None:
                return result
        self._choose_again()
        sequences = read(input, self.batch_first)
        sequences.table = table
        check_input(self._cells[0], sequences.numbers, sequences.steps, parameters_of(self))
        if hx is not None:
            self.layout.check(hx, sequences.rows if sequences.batched else None, sequences.numbers)
        sequences.take(lengths, reset)
        if return_states:
            self.layout.check_floating()
        states = self.layout.split(hx, sequences.state_in)
        ys, last, history = self._run(sequences.padded(), states, sequences, return_states)
        output = sequences.like_input(ys)
        joined = self.layout.join([tuple(map(sequences.state_out, state)) for state in last])
        if not return_states:
            return output, joined
        return output, joined, self.layout.join([tuple(map(sequences.history, states)) for states in history])

    def _run(
        self, xs: Tensor, states: list[State] | list[None], sequences: Sequences, tapped: bool
    ) -> tuple[Tensor, list[State], list[State]]:
        """Run all layers; return the output and, of each cell, the last state and, if tapped, the states over time."""
        whole = None if tapped else in_one_call(self, xs, states, sequences)
        if whole is not None:
            return *whole, []
        bound = None if tapped or sequences.table is not None else self._shortcuts.bound(self, xs, states, sequences)
        last: list[State] = []
        history: list[State] = []
        for layer in range(self.num_layers):
            fed = sequences.dropped(xs, self.dropout) if layer and self.dropout and self.training else xs
            outputs = []
            for position in range(layer * self.directions, (layer + 1) * self.directions):
                ys, state, over_time = self._unroll(position, fed, states[position], sequences, tapped, bound)
                outputs.append(ys)
                last.append(state)
                history.append(over_time)
            ys = outputs[0] if self.directions == 1 else torch.cat(outputs, dim=-1)
            xs = ys + xs if layer and self.residual else ys
        return xs, last, history

    @property
    def _is_stack(self) -> bool:
        return is_plain_stack(self)

    def _unroll(
        self, position: int, xs: Tensor, state: State | None, batch: Sequences, tapped: bool, bound: BoundCells | None
    ) -> tuple[Tensor, State, State]:
        """Run one cell, bound or not; return its output, last state and, if tapped, the states over time."""
        lengths, reset, table = batch.lengths, batch.reset, batch.table
        if reverse := position % self.directions == 1:
            xs = flip(xs, lengths)
            reset = None if reset is None else flip_starts(reset, lengths)
        masks = {"lengths": lengths, "reset": reset}
        found = None if bound is None else bound.unroll(self, position, xs, state, masks)
        if found is None:
            cell = self.equipped(position)
            unroller = self.unroller_for(position, cell)
            with Writes(self, position, cell):
                if table is not None and position < self.directions:
                    found = unroller.over_symbols(cell, xs.squeeze(-1), table, state, **masks)
                else:
                    found = unroller(Tap(cell) if tapped else cell, xs, state, **masks)
        ys, last = found
        ys = flip(ys, lengths) if reverse else ys
        ys, over_time = untap(ys, last) if tapped else (ys, ())
        return ys, last, over_time

    def initial_state(self, batch_size: int) -> States:
        """Return the states that `hx=None` stands for: zeros (num_layers * directions, B, H), or the cells' own."""
        cells = map(self.equipped, range(len(self._cells)))
        return self.layout.join([starting_state(cell, batch_size) for cell in cells])

    def stepper(self, batch_size: int = 1) -> Stepper:
        """Return what advances the layer step by step, without gradients, and keeps the state: for a stream of input.

        Args:
            batch_size: rows of each step.

        Raises:
            UsageError: the layer is bidirectional.
        """
        return Stepper(self, batch_size)

    def reset_parameters(self) -> None:
        """Draw the parameters of every cell again, each in its own way.

        Raises:
            UsageError: a cell has no `reset_parameters`, or a parametrization stands before its parameters.
        """
        if self.computes_weights():
            raise UsageError("the layer is parametrized, so its cells cannot draw their parameters; remove that first")
        # All are asked before any is drawn.
        for reset in [resetter(self.equipped(position)) for position in range(len(self._cells))]:
            reset()

    def extra_repr(self) -> str:
        """Show what differs from the defaults, as torch does."""
        shown = [self._label, str(self.input_size), str(self.hidden_size)]
        defaults = {
            "num_layers": self.num_layers if self._stacked else 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0.0,
            "bidirectional": False,
            "proj_size": 0,
            "residual": False,
            "trainable_state": False,
        }
        shown += [f"{key}={getattr(self, key)}" for key, value in defaults.items() if getattr(self, key) != value]
        shown += [f"{key}={value!r}" for key, value in self.cell_options.items()]
        return ", ".join([*shown, f"unroller={self.unroller}"])

    def _repr_html_(self) -> str:
        """Show the cells and parameters in a notebook."""
        return layer_html(self)
