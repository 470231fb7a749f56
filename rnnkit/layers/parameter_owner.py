"""Adoption: a layer owns the tensors of its cells, under names of its own, and lends them for the time of a call."""

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple, Self

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from rnnkit.core.cell import Cell
from rnnkit.core.reserved_names import Guarded
from rnnkit.errors import UsageError, nearest
from rnnkit.layers.shallow_copy import children, parameter_paths, plain, shallow_copy
from rnnkit.layers.wrapper import nested_cells


class Loan(NamedTuple):
    """A tensor or submodule of a cell, or of a cell inside of it, and what the owner calls it."""

    depth: int
    """How many wrappers are around the cell that has it."""

    table: str
    """Where that cell keeps it: "_parameters", "_buffers" or "_modules"."""

    name: str
    alias: str

    def store(self, cell: Cell) -> dict[str, Any]:
        """Return the table of the cell, or of the one inside of it, that holds it."""
        tables: dict[str, Any] = getattr(next(islice(nested_cells(cell), self.depth, None)), self.table)
        return tables


class Owner(Guarded):
    """A module whose own the parameters, buffers and submodules of its cells are, each under a suffixed name.

    So `state_dict`, `named_parameters`, optimisers, `parametrize` and `functional_call` see torch's names, and whatever
    stands under them at the time of a call, computed or replaced, is what the cells use.
    """

    def __init__(self) -> None:
        super().__init__()
        # Plain lists: the cells are no submodules, for their tensors belong to the owner.
        self._cells: list[Cell] = []
        self._suffixes: list[str] = []
        self._loans: list[list[Loan]] = []

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells, in the order of the states: layer by layer, forward before reverse."""
        self._hand_on()
        return tuple(self._cells)

    def adopt(self, cell: Cell, suffix: str) -> None:
        """Take over a cell's tensors and submodules; those of cells that it wraps keep their names."""
        loans: list[Loan] = []
        prefix = ""
        for depth, shell in enumerate(nested_cells(cell)):
            for name, parameter in shell._parameters.items():
                if parameter is not None:
                    loans.append(Loan(depth, "_parameters", name, self._free(name + suffix, prefix)))
                    self.register_parameter(loans[-1].alias, parameter)
            for name, buffer in shell._buffers.items():
                if buffer is not None:
                    loans.append(Loan(depth, "_buffers", name, self._free(name + suffix, prefix)))
                    persistent = name not in shell._non_persistent_buffers_set
                    self.register_buffer(loans[-1].alias, buffer, persistent=persistent)
            for name, module in children(shell):
                loans.append(Loan(depth, "_modules", name, self._free(name + suffix, prefix)))
                self.add_module(loans[-1].alias, module)
            prefix += "inner_"
        self._cells.append(cell)
        self._suffixes.append(suffix)
        self._loans.append(loans)

    def _free(self, alias: str, prefix: str) -> str:
        """Return the alias, or where a wrapper around has taken it, one that tells the two apart."""
        return prefix + alias if hasattr(self, alias) else alias

    def equipped(self, position: int) -> Cell:
        """Return a cell that uses what stands under its names in the owner now, whoever put it there.

        Where that is computed, by a parametrization or under `functional_call`, it is a copy of the cell, so that no
        tensor of one call is left for the next one, or seen by another thread. What steps write there, `Writes` keeps.
        """
        cell = self._cells[position]
        self._set_mode(cell)
        computed = self._bring_up_to_date(position)
        # With submodules too: they may be replaced before the backward pass.
        if computed or any(loan.table == "_modules" for loan in self._loans[position]):
            cell = shallow_copy(cell)
            for loan, tensor_or_module in computed:
                loan.store(cell)[loan.name] = tensor_or_module
        return cell

    def standing(self, position: int) -> Cell | None:
        """Return a cell that uses the owner's own tensors and submodules, as they are; None if one is computed."""
        if self.computes_weights():  # which may draw random numbers, and so is not tried
            return None
        cell = self._cells[position]
        self._set_mode(cell)
        return None if self._bring_up_to_date(position) else cell

    def _set_mode(self, cell: Cell) -> None:
        """Put a cell, and those that it wraps, into training or evaluation as the owner is."""
        for shell in nested_cells(cell):
            if shell.training is not self.training:
                shell.training = self.training

    def _bring_up_to_date(self, position: int) -> list[tuple[Loan, Any]]:
        """Hand a cell what was loaded or assigned since; return what is computed instead, which it is not to keep."""
        cell = self._cells[position]
        computed = []
        done: dict[nn.Module, nn.Module] = {}
        for loan in self._loans[position]:
            store, owned = loan.store(cell), getattr(self, loan.alias)
            used = plain(owned, done) if loan.table == "_modules" and owned is not None else owned
            if used is store[loan.name]:
                continue
            if isinstance(owned, nn.Parameter) or (used is owned and loan.table == "_modules"):
                store[loan.name] = owned
            else:
                computed.append((loan, used))
        return computed

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert; what is replaced by that, as buffers are, the cells get at once."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._hand_on()
        return self

    def _hand_on(self) -> None:
        """Hand the cells what has been loaded, assigned or moved; computed weights have no place among the owner's."""
        for cell, loans in zip(self._cells, self._loans, strict=True):
            for loan in loans:
                owned = getattr(self, loan.table).get(loan.alias)
                if isinstance(owned, nn.Parameter | nn.Module) or (loan.table == "_buffers" and owned is not None):
                    loan.store(cell)[loan.name] = owned

    def computes_weights(self) -> bool:
        """Tell whether some weight is computed from others, by a parametrization, pruning or the like."""
        loans = [loan for loans in self._loans for loan in loans if loan.table == "_parameters"]
        return any(loan.alias not in self._parameters for loan in loans) or any(map(is_parametrized, self.modules()))

    def parameters_of(self, position: int) -> dict[str, Tensor]:
        """Return the parameters that a cell uses now, computed ones too, under the names without suffix."""
        suffix = self._suffixes[position]
        parameters: dict[str, Tensor] = {}
        for loan in self._loans[position]:
            name = loan.alias.removesuffix(suffix)
            if loan.table == "_parameters":
                parameters[name] = getattr(self, loan.alias)
            elif loan.table == "_modules":
                module = plain(getattr(self, loan.alias))
                parameters |= {f"{name}.{path}": tensor for path, tensor in module.named_parameters()}
        return parameters

    def parameter_names(self, name: str) -> list[str]:
        """Return the names of a weight in every cell that has it: "weight_hh" -> ["weight_hh_l0", "weight_hh_l1", ...].

        That of a submodule is a path: "read.weight" -> ["read_l0.weight", ...].

        Raises:
            UsageError: no cell has such a weight.
        """
        names: list[str] = []
        known: dict[str, str] = {}
        for suffix, loans in zip(self._suffixes, self._loans, strict=True):
            aliases: dict[str, str] = {}
            for loan in loans:
                own = loan.alias.removesuffix(suffix)
                if loan.table == "_parameters":
                    aliases[own] = loan.alias
                elif loan.table == "_modules":
                    paths = parameter_paths(getattr(self, loan.alias))
                    aliases |= {f"{own}.{path}": f"{loan.alias}.{path}" for path in paths}
            known |= aliases
            names += [aliases[name]] if name in aliases else []
        if not names:
            raise UsageError(f"no cell has a weight {name!r}{nearest(name, known)}; there are {', '.join(known)}")
        return names
