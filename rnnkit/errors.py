"""Errors: each is one sentence that names the culprit, what is wrong and what to do."""

import math
import re
from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches
from typing import ClassVar


class RnnkitError(Exception):
    """Base of every foreseeable error; `exit_code` is what the command line answers with."""

    exit_code: ClassVar[int] = 1

    def __str__(self) -> str:
        # KeyError's own __str__ would quote the sentence, so the kinds that also are KeyErrors need this.
        return str(self.args[0]) if self.args else type(self).__name__


class Ending(BaseException):
    """The process is to end from outside: nobody who answers for a fault of others may hold it up."""


class UsageError(RnnkitError, ValueError):
    """An argument or option that cannot be honoured (exit 2)."""

    exit_code = 2


class UnknownNameError(UsageError, KeyError):
    """A name that nothing is registered under; the message offers the nearest one (exit 2)."""


class TakenNameError(UsageError, KeyError):
    """A name that nothing can be given, since a class has it already (exit 2); torch says KeyError to some."""


class KindError(UsageError, TypeError, RuntimeError):
    """An argument of the wrong type, or one that there is not (exit 2); torch says RuntimeError to some."""


class ShapeError(UsageError, RuntimeError):
    """A tensor of the wrong shape, dtype or device, or the wrong number of tensors (exit 2).

    Also a RuntimeError: that is what torch's own layers raise, and code around them may wait for it.
    """


class CheckError(RnnkitError, AssertionError):
    """A check found failures: gradcheck or the conformance kit (exit 3).

    `failures` holds one sentence for each.
    """

    exit_code = 3

    def __init__(self, message: str, failures: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.failures = list(failures)


class PluginError(RnnkitError):
    """A plugin that is broken, or a name that two of them claim (exit 4)."""

    exit_code = 4


class AmbiguousNameError(PluginError, KeyError):
    """A name that two distributions register; the message names both (exit 4)."""


class BrokenPluginError(PluginError, KeyError):
    """A name whose plugin did not load; the message says why (exit 4)."""


class CheckpointError(RnnkitError):
    """A saved run that is missing, damaged or of another kind (exit 5)."""

    exit_code = 5


class DataError(RnnkitError):
    """Data that is missing, unreadable or unfit for the task (exit 6)."""

    exit_code = 6


class DivergedError(RnnkitError):
    """A loss or gradient that is not finite (exit 7)."""

    exit_code = 7


class ResourceError(RnnkitError):
    """Not enough memory, disk or device for what was asked (exit 8)."""

    exit_code = 8


class LostError(ResourceError):
    """Another one of the processes that train together has ended (exit 8)."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Say which of `choices` was probably meant: " (did you mean 'lstm'?)", or an empty string.

    Words that two names share say nothing: seq_len is no slip of the pen for test_len, seq_lne is one for seq_len.
    """
    near = [choice for choice in get_close_matches(name, list(choices), n=10, cutoff=LIKE) if _alike(name, choice)]
    # Of those that are as near, letters that changed places before others: gur is gru sooner than sgu.
    ratios = {choice: SequenceMatcher(None, choice, name).ratio() for choice in near}
    match = max(near, key=lambda choice: (ratios[choice], sorted(choice) == sorted(name)), default=None)
    return "" if match is None else f" (did you mean {match!r}?)"


LIKE = 0.5
"""How much of two words is the same, at least, where one may be meant by the other."""


def _alike(name: str, choice: str) -> bool:
    """Tell whether the words in which two names differ are like each other; one may lack some."""
    given, meant = (re.split(r"[_-]", text) for text in (name, choice))
    ours = "_".join(word for word in given if word not in meant)
    theirs = "_".join(word for word in meant if word not in given)
    return not ours or not theirs or bool(get_close_matches(ours, [theirs], cutoff=LIKE))


LONGEST = 1000
"""Characters of somebody else's message that one line has room for."""


def one_line(error: BaseException) -> str:
    """Return an exception of somebody else's as `Kind: message`, all lines of the message in one; see `said`."""
    message = said(error)
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def said(error: BaseException) -> str:
    """Return the message of an exception of somebody else's, its lines joined by spaces; the end of a long one goes."""
    message = " ".join(str(error).split())
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 4].rstrip()} ..."


def first_line(error: BaseException) -> str:
    """Return an exception of torch's, whose messages may go on for pages, as `Kind: first line of its message`."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def check_whole(label: str, value: object, least: int = 1) -> None:
    """Raise UsageError unless `value` is a whole number of at least `least`."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value < least:  # type: ignore[operator]
        kind = UsageError if whole else KindError
        raise kind(f"{label} is {value!r}; it must be a whole number >= {least}")


def check_flag(label: str, value: object) -> None:
    """Raise KindError unless `value` is True or False."""
    if not isinstance(value, bool):
        raise KindError(f"{label} is {value!r}; it must be True or False")


def check_rate(label: str, value: object) -> None:
    """Raise UsageError unless `value` is a number from 0 to 1."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise KindError(f"{label} is {value!r}; it must be a rate from 0 to 1")
    if not 0 <= value <= 1:
        raise UsageError(f"{label} is {value!r}; it must be a rate from 0 to 1")


def check_positive(label: str, value: float) -> None:
    """Raise UsageError unless `value` is a finite number above zero."""
    if not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise UsageError(f"{label} is {value!r}; it must be a finite number > 0")


def check_seed(seed: int) -> None:
    """Raise UsageError unless torch takes `seed`."""
    if type(seed) is not int or not 0 <= seed < 2**63:
        raise UsageError(f"seed is {seed!r}; it must be a whole number from 0 to 2**63 - 1")
