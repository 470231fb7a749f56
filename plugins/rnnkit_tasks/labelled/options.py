"""The options of tasks over labels, as a shell's user or a program gives them."""

import math
from collections.abc import Sequence

from rnnkit.errors import KindError, UsageError

SHARES = (0.70, 0.15, 0.15)
"""That train, validate and are kept for a test."""

WITH_A_TEST = (0.85, 0.15, 0.0)
"""The same, where the test is a file of its own."""


def shares_of(task: str, given: object, *, test: bool) -> tuple[float, ...]:
    """Read shares such as 70,15,15, of what trains, validates and is kept for a test; the last may lack.

    Args:
        task: its name.
        given: a text, or two or three numbers; None: the usual shares.
        test: whether the test is a file of its own.

    Returns: three shares that sum up to 1.

    Raises:
        UsageError: it is something else.
    """
    if given is None:
        return WITH_A_TEST if test else SHARES
    wrong = f"task {task!r}: split is {given!r}; it must be shares that train, validate and are kept, such as 70,15,15"
    parts = given.split(",") if isinstance(given, str) else given
    if not isinstance(parts, list | tuple) or any(isinstance(part, bool) for part in parts):
        raise KindError(wrong)
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        raise UsageError(wrong) from None
    if len(numbers) not in (2, 3) or not all(math.isfinite(n) and n >= 0 for n in numbers) or min(numbers[:2]) <= 0:
        raise UsageError(wrong)
    numbers = [*numbers, 0.0][:3]
    if test and numbers[2]:
        raise UsageError(f"task {task!r}: split is {given!r}, and test is a file of its own; give two shares, as 85,15")
    return tuple(number / sum(numbers) for number in numbers)


def choice_of(task: str, option: str, given: object, choices: Sequence[str]) -> str:
    """Return one of the choices.

    Raises:
        UsageError: it is none.
    """
    if given not in choices:
        raise UsageError(f"task {task!r}: {option} is {given!r}; it must be {', '.join(choices[:-1])} or {choices[-1]}")
    return str(given)


def name_of(task: str, option: str, given: object) -> str | None:
    """Read the name of a column or key; None: it is to be found. A number is the place of a column without a name.

    Raises:
        KindError: it is something else. UsageError: it is empty.
    """
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise KindError(f"task {task!r}: {option} is {given!r}; it must be the name of a column or key")
    if not str(given).strip():
        raise UsageError(f"task {task!r}: {option} is empty; name a column or key")
    return str(given).strip()
