"""The options of a plugin's class, each with its type, its default and what it is: for who sets them."""

import inspect
import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import UnionType
from typing import Any, NamedTuple, Union, get_args, get_origin

from rnnkit.plugin.resolve import option_names

KINDS: dict[Any, str] = {
    bool: "true/false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "a table",
}
"""What can be given by `--set`, in its words."""

ARGUMENTS = re.compile(r"^Args:\n((?:[ \t]+\S.*\n?|\n(?=[ \t]))+)", re.MULTILINE)
"""The section of a docstring that says what each argument is."""


class ConstructorOption(NamedTuple):
    """An option of a class."""

    name: str
    kind: str
    """What values it takes, in words; empty: its author does not say."""
    default: str
    """As `--set` takes it; "none" for None, "required" where there is no default."""
    help: str
    """What the docstring says of it, in one line; empty: nothing."""

    def __str__(self) -> str:
        given = self.name if self.default in ("none", "required") else f"{self.name}={self.default}"
        notes = ", ".join(filter(None, [self.kind, "required" if self.default == "required" else ""]))
        return given + (f" ({notes})" if notes else "") + (f": {self.help}" if self.help else "")


def constructor_options(kind: type) -> list[ConstructorOption]:
    """Return the keyword options of a class, in the order of its constructor; what they are is read from `Args:`."""
    parameters = _signature(kind).parameters
    told = documented_arguments(kind)
    return [
        ConstructorOption(name, _kind(parameters[name]), _default(parameters[name]), told.get(name, ""))
        for name in option_names(kind)[0]
    ]


def given_options(kind: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of each keyword option of a class: what is given, or else its default."""
    parameters = _signature(kind).parameters
    defaults = {name: parameters[name].default for name in option_names(kind)[0]}
    return {**{name: value for name, value in defaults.items() if value is not inspect.Parameter.empty}, **options}


def documented_arguments(kind: type) -> dict[str, str]:
    """Return what the docstrings of a class, and of those that it is derived from, say of each argument."""
    told: dict[str, str] = {}
    for base in kind.__mro__:
        section = ARGUMENTS.search(inspect.cleandoc(base.__doc__ or ""))
        for entry in re.split(r"\n(?=\S)", textwrap.dedent(section[1]) if section else ""):
            name, colon, text = entry.partition(":")
            if colon:
                told.setdefault(name.partition(" ")[0], " ".join(text.split()))
    return told


def without_arguments(text: str) -> str:
    """Return a docstring without its section on arguments."""
    return re.sub(r"\n{3,}", "\n\n", ARGUMENTS.sub("", text)).strip()


def _signature(kind: type) -> inspect.Signature:
    """Return the signature with the annotations that are texts made into types, where they can be."""
    with suppress(Exception):
        return inspect.signature(kind, eval_str=True)
    return inspect.signature(kind)


def _kind(parameter: inspect.Parameter) -> str:
    """Say what can be given; of types that no text stands for, such as a class, nothing, where others are left."""
    annotation = parameter.annotation
    if annotation is inspect.Parameter.empty:
        annotation = type(parameter.default)
    members = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    words = (_word(member) for member in members if member not in (None, type(None)))
    return " or ".join(dict.fromkeys(filter(None, words)))


def _word(annotation: Any) -> str:
    origin = get_origin(annotation) or annotation
    if origin is Sequence:
        origin = list
    with suppress(TypeError):  # it has no hash
        return KINDS.get(origin, "")
    return ""


def _default(parameter: inspect.Parameter) -> str:
    default = parameter.default
    if default is inspect.Parameter.empty:
        return "required"
    if default is None or (isinstance(default, str) and default):
        return default or "none"
    try:
        return json.dumps(default)
    except (TypeError, ValueError):
        return repr(default)
