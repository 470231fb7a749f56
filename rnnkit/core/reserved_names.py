"""Names that nothing in a cell or layer may be given: a part of its class has them already."""

from typing import Any

from torch import Tensor, nn

from rnnkit.errors import TakenNameError

PLACES = ("input_size", "hidden_size", "training")
"""Attributes that every cell has and that are read as numbers, so that no tensor or module may stand there."""


WORDS: dict[str, tuple[type, ...]] = {"name": (str,), "state_names": (tuple, list)}
"""Attributes that are read as words, and the types that these may have."""


class Guarded(nn.Module):
    """A module that refuses, when it is set, what its own class would hide or what would hide a part of it.

    Python finds what a class has before `nn.Module` looks among parameters, buffers and submodules, so that
    `self.project = nn.Linear(...)` would be kept and never be found; and a number in place of a method would break
    whoever calls that.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, nn.Module):
            _refuse_hidden(self, name, value)
        elif not name.startswith("_"):
            _refuse_hiding(self, name, value)
        super().__setattr__(name, value)

    def register_parameter(self, name: str, param: nn.Parameter | None) -> None:
        """Add a parameter; raises TakenNameError for a name that the class has already."""
        _refuse_hidden(self, name, param)
        super().register_parameter(name, param)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a buffer; raises TakenNameError for a name that the class has already."""
        _refuse_hidden(self, name, tensor)
        super().register_buffer(name, tensor, persistent)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """Add a submodule; raises TakenNameError for a name that the class has already."""
        _refuse_hidden(self, name, module)
        super().add_module(name, module)


def _refuse_hidden(owner: Guarded, name: str, value: object) -> None:
    """Raise TakenNameError if what stands in a table of the module under that name would never be found."""
    if any(name in vars(kind) for kind in type(owner).__mro__) or name in PLACES:
        raise TakenNameError(_sentence(owner, name, value, "would never be found; override it in the class"))


def _refuse_hiding(owner: Guarded, name: str, value: object) -> None:
    """Raise TakenNameError if a plain value would take the place of a method, or cannot take that of a property.

    A function may take that of a method: it is found first, and called as the method would be.
    """
    if name in WORDS and not isinstance(value, WORDS[name]):
        raise TakenNameError(_sentence(owner, name, value, "would break what reads it; override it in the class"))
    having = [kind for kind in type(owner).__mro__ if name in vars(kind)]
    if not any(kind.__module__.startswith(("rnnkit.", "torch.")) for kind in having):
        return
    attribute = vars(having[0])[name]
    is_property = isinstance(attribute, property)
    if (is_property and attribute.fset is None) or (not is_property and callable(attribute) and not callable(value)):
        raise TakenNameError(_sentence(owner, name, value, "would break what reads it; override it in the class"))


def _sentence(owner: Guarded, name: str, value: object, what: str) -> str:
    label = f"{type(owner).__module__}.{type(owner).__qualname__}"
    return (
        f"{label}: {name!r} is taken by the class; a value of type {type(value).__name__} under that name {what}, "
        f"or call it something else, such as {name + '_'!r}"
    )
