"""Shallow copies of cells and modules, into which the tensors of one call are put, so that none of them is left."""

from collections.abc import Iterator, Mapping
from types import MethodType
from typing import TypeVar

from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized, type_before_parametrizations

from rnnkit.core.cell import Cell
from rnnkit.layers.wrapper import Wrapper

Module = TypeVar("Module", bound=nn.Module)


def shallow_copy(cell: Cell) -> Cell:
    """Copy a cell, and those that it wraps, so that tensors and submodules can be put in; all else is shared."""
    copied = shallow(cell)
    if isinstance(cell, Wrapper):
        copied._modules["inner"] = shallow_copy(cell.inner)
    return copied


def plain(module: nn.Module, done: dict[nn.Module, nn.Module] | None = None) -> nn.Module:
    """Return a module whose parametrized weights stand there as tensors, computed once; itself if there are none."""
    if not any(map(is_parametrized, module.modules())):
        return module
    done = {} if done is None else done
    if module in done:  # tied: computed once for all places
        return done[module]
    done[module] = copied = shallow(module, type_before_parametrizations(module))
    if is_parametrized(module):
        for name in copied._modules.pop("parametrizations"):  # type: ignore[union-attr]
            copied._parameters[name] = getattr(module, name)
    for name, child in copied._modules.items():
        copied._modules[name] = None if child is None else plain(child, done)
    return copied


def shallow(module: Module, kind: type | None = None) -> Module:
    """Copy a module with tables of its own, which hold the same tensors and submodules."""
    # Not by `copy`, which parametrized modules refuse.
    copied: Module = object.__new__(kind or type(module))
    copied.__dict__.update(module.__dict__)
    for name, value in module.__dict__.items():
        if isinstance(value, MethodType) and value.__self__ is module:  # else it would read the module's own tensors
            copied.__dict__[name] = MethodType(value.__func__, copied)
    for table in ("_parameters", "_buffers", "_modules"):
        copied.__dict__[table] = dict(module.__dict__[table])
    return copied


def copy_with_tensors(module: Module, tensors: Mapping[str, Tensor], prefix: str = "") -> Module:
    """Return a copy of a module that uses `tensors` in place of its own parameters and buffers; the module stays.

    Args:
        module: what is copied, submodules too; all but the tables of tensors and submodules is shared.
        tensors: by their paths, as `named_parameters` has them.
        prefix: of the paths, for a module that is inside of another.
    """
    return _with_tensors(module, tensors, prefix, {})


def _with_tensors(module: Module, tensors: Mapping[str, Tensor], prefix: str, done: dict[int, nn.Module]) -> Module:
    if id(module) in done:  # in several places
        return done[id(module)]  # type: ignore[return-value]
    copied = done[id(module)] = shallow(module)
    for table in (copied._parameters, copied._buffers):
        table |= {name: tensors[prefix + name] for name in table if prefix + name in tensors}
    for name, child in copied._modules.items():
        copied._modules[name] = None if child is None else _with_tensors(child, tensors, f"{prefix}{name}.", done)
    _leave_compiled(copied)
    return copied


def _leave_compiled(copied: nn.Module) -> None:
    """Have a copy of a module of `torch.compile` run as it was written: what is compiled reads the module's tensors."""
    if copied.__dict__.get("_compiled_call_impl") is not None:
        copied.__dict__["_compiled_call_impl"] = None
    inner = copied._modules.get("_orig_mod")
    if inner is not None and type(copied).__name__ == "OptimizedModule":  # by name, for to import it takes a second
        copied.__dict__["forward"] = inner.__call__


def parameter_paths(module: nn.Module) -> Iterator[str]:
    """Name the weights of a module and its submodules, parametrized ones too, without computing any."""
    yield from (name for name, parameter in module._parameters.items() if parameter is not None)
    if is_parametrized(module):
        yield from module.parametrizations  # type: ignore[misc]
    for name, child in module.named_children():
        if name != "parametrizations":
            yield from (f"{name}.{path}" for path in parameter_paths(child))


def children(shell: Cell) -> Iterator[tuple[str, nn.Module]]:
    """Return the submodules of a cell by name, but for the cell that it wraps."""
    inner = shell.inner if isinstance(shell, Wrapper) else None
    return ((name, module) for name, module in shell._modules.items() if module is not None and module is not inner)
