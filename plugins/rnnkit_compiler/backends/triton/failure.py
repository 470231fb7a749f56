"""Failures: what the interpreter or the compiler of Triton raises, in the one line that says what is wrong."""

import ast
import re

from rnnkit.errors import first_line

REPEATED = re.compile(r"(\w+)\((.*?),?\)", re.DOTALL)
"""An exception as `repr` prints it, which is all that an error of the compiler tells of it."""


def root_of(error: BaseException) -> BaseException:
    """Return the error that others were raised for: Triton raises one more for each function that calls another."""
    return _chain(error)[-1]


def in_one_line(error: BaseException) -> str:
    """Return `Kind: what is wrong`, and of an error of the compiler the line of the kernel that it is in."""
    chain = _chain(error)
    told = getattr(chain[-1], "error_message", None)
    what = _unquoted(str(told)) if told else first_line(chain[-1])
    lines = [line for each in chain for line in _line_of(each)]
    return f"{what}, in: {lines[-1]}" if lines else what


def _chain(error: BaseException) -> list[BaseException]:
    """List an error and what it was raised for, down to the first one."""
    chain = [error]
    while chain[-1].__cause__ is not None:
        chain.append(chain[-1].__cause__)
    return chain


def _line_of(error: BaseException) -> list[str]:
    """Return the line of the source that an error of the compiler is in, without its comment; none of other errors."""
    lines = (getattr(error, "src", None) or "").splitlines()
    number = getattr(getattr(error, "node", None), "lineno", 0)
    return [lines[number - 1].split("  # ")[0].strip()] if 0 < number <= len(lines) else []


def _unquoted(told: str) -> str:
    """Return `Kind: message` of what may be the `repr` of an exception."""
    found = REPEATED.fullmatch(told.strip())
    if found is not None:
        try:
            kind, message = found[1], str(ast.literal_eval(found[2]))
        except (ValueError, SyntaxError):
            return told.strip().splitlines()[0]
        told = f"{kind}: {message}"
    return told.strip().splitlines()[0]
