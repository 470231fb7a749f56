"""Adoption: a layer owns the tensors of its cells, under names of its own, and lends them for the time of a call."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn

from rnnkit.cell import Cell
from rnnkit.errors import UsageError, nearest
from rnnkit.wrapper import Wrapper


class Loan(NamedTuple):
    """A tensor of a cell, or of a cell inside of it, and what the owner calls it."""

    module: nn.Module
    name: str
    alias: str

    @property
    def store(self) -> dict[str, Any]:
        """Where the module keeps the tensor."""
        return self.module._parameters if self.name in self.module._parameters else self.module._buffers


class Owner(nn.Module):
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
        return tuple(self._cells)

    def adopt(self, cell: Cell, suffix: str) -> None:
        """Take over a cell's tensors and submodules; those of cells that it wraps keep their names."""
        loans: list[Loan] = []
        prefix = ""
        for shell in shells(cell):
            for name, parameter in shell._parameters.items():
                if parameter is not None:
                    loans.append(Loan(shell, name, self._free(name + suffix, prefix)))
                    self.register_parameter(loans[-1].alias, parameter)
            for name, buffer in shell._buffers.items():
                if buffer is not None:
                    loans.append(Loan(shell, name, self._free(name + suffix, prefix)))
                    persistent = name not in shell._non_persistent_buffers_set
                    self.register_buffer(loans[-1].alias, buffer, persistent=persistent)
            for name, module in children(shell):
                self.add_module(self._free(name + suffix, prefix), module)
            prefix += "inner_"
        self._cells.append(cell)
        self._suffixes.append(suffix)
        self._loans.append(loans)

    def _free(self, alias: str, prefix: str) -> str:
        """Give the alias, or where a wrapper around has taken it, one that tells the two apart."""
        return prefix + alias if hasattr(self, alias) else alias

    @contextmanager
    def equipped(self, position: int) -> Iterator[Cell]:
        """Give a cell that uses what stands under its names in the owner now, whoever put it there."""
        cell = self._cells[position]
        for shell in shells(cell):
            shell.training = self.training
        borrowed = []
        for loan in self._loans[position]:
            store, tensor = loan.store, getattr(self, loan.alias)
            held = store[loan.name]
            if tensor is held:
                continue
            # A parameter or buffer was replaced for good: moved, loaded or assigned. All else is computed.
            if not isinstance(tensor, nn.Parameter) and store is not loan.module._buffers:
                borrowed.append((store, loan.name, held))
            store[loan.name] = tensor
        try:
            yield cell
        finally:
            for store, name, held in borrowed:
                store[name] = held

    def parameters_of(self, position: int) -> dict[str, Tensor]:
        """Give the parameters that a cell uses now, computed ones too, under the names without suffix."""
        suffix = self._suffixes[position]
        found: dict[str, Tensor] = {}
        for loan in self._loans[position]:
            if loan.name in loan.module._parameters:
                found[loan.alias.removesuffix(suffix)] = getattr(self, loan.alias)
        for shell in shells(self._cells[position]):
            for name, module in children(shell):
                found |= {f"{name}.{path}": tensor for path, tensor in module.named_parameters()}
        return found

    def parameter_names(self, name: str) -> list[str]:
        """Give the names of one weight in every cell that has it: "weight_hh" -> ["weight_hh_l0", "weight_hh_l1", ...].

        Raises:
            UsageError: no cell has such a weight.
        """
        found: list[str] = []
        known: dict[str, str] = {}
        for suffix, loans in zip(self._suffixes, self._loans, strict=True):
            aliases = {loan.alias.removesuffix(suffix): loan.alias for loan in loans}
            known |= aliases
            found += [aliases[name]] if name in aliases else []
        if not found:
            raise UsageError(f"no cell has a weight {name!r}{nearest(name, known)}; there are {', '.join(known)}")
        return found


def shells(cell: Cell) -> Iterator[Cell]:
    """Give a cell and, if it is a wrapper, those inside of it, from the outside in."""
    yield cell
    while isinstance(cell, Wrapper):
        cell = cell.inner
        yield cell


def children(shell: Cell) -> Iterator[tuple[str, nn.Module]]:
    """Give the submodules of a cell by name, but for the cell that it wraps."""
    inner = shell.inner if isinstance(shell, Wrapper) else None
    return ((name, module) for name, module in shell.named_children() if module is not inner)
