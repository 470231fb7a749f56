"""Expressions for plugins with options, such as `zoneout(lstm, rate=0.1)`: one string that a command line can carry."""

import ast
import re
from typing import Any, NamedTuple

from rnnkit.errors import UsageError

OPENING, CLOSING = "([{", ")]}"


class Expression(NamedTuple):
    """A name and what stands in the brackets after it."""

    name: str
    arguments: list[str]
    """Without a keyword; texts, since an argument is an expression again."""

    options: dict[str, Any]


def parse(text: str) -> Expression:
    """Read `name` or `name(argument, ..., option=value, ...)`.

    Values are read as by `value_of`.

    Raises:
        UsageError: brackets that do not match, an option given twice, an argument after an option.
    """
    name, bracket, inside = text.strip().partition("(")
    if not bracket:
        return Expression(name, [], {})
    if not name or not inside.endswith(")"):
        raise _malformed(text)
    arguments: list[str] = []
    options: dict[str, Any] = {}
    for piece in split(inside[:-1], text):
        option = re.match(r"(\w+)\s*=", piece)
        if option is None:
            if options or not piece:
                raise _malformed(text)
            arguments.append(piece)
        elif option[1] in options:
            raise UsageError(f"{text!r} gives {option[1]!r} twice")
        else:
            options[option[1]] = value_of(piece[option.end() :].strip())
    return Expression(name.strip(), arguments, options)


def value_of(text: str) -> Any:
    """Read a value: a number, `true` or `false`, a Python literal of text, list or table, or else the text itself."""
    if text in ("true", "false"):
        return text == "true"
    for read in (ast.literal_eval, float):
        try:
            value = read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, int | float | str | list | dict):
            return value
    return text


def split(inside: str, text: str = "") -> list[str]:
    """Split at the commas that stand in no bracket and no quotes.

    Args:
        inside: what is split.
        text: what it is a part of, for the message.

    Raises:
        UsageError: brackets or quotes that do not match.
    """
    text = text or inside
    pieces, depth, quote, escaped = [""], 0, "", False
    for character in inside:
        if quote:
            quote = "" if character == quote and not escaped else quote
            escaped = character == "\\" and not escaped
        elif character in "'\"":
            quote = character
        elif character in OPENING:
            depth += 1
        elif character in CLOSING:
            depth -= 1
        if depth < 0:
            raise _malformed(text)
        if character == "," and depth == 0 and not quote:
            pieces.append("")
        else:
            pieces[-1] += character
    if depth or quote:
        raise _malformed(text)
    return [piece.strip() for piece in pieces] if inside.strip() else []


def _malformed(text: str) -> UsageError:
    return UsageError(f"{text!r} is neither a name nor of the form name(inner, option=value)")
