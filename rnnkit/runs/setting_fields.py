"""The settings of a run, each said once: its name, type, default, bounds and help. No torch.

From here come the options of `rnnkit run`, the keys and types of config.toml, the checks of every value, and the table
of settings in the documentation.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from rnnkit.errors import UsageError, nearest
from rnnkit.training.choices import CLIPPED_BY, SCHEDULES

DTYPES = ("float32", "float64", "bfloat16", "float16")

TABLES = ("cell", "task", "unroller", "optimizer")
"""Whose own options there are tables for: `cell_options` and so on, in `--set` "cell." and so on."""

TYPES = {int: "a whole number", float: "a number", str: "text", list: "two whole numbers", dict: "a table"}
"""What a value must be, as errors say it."""

CELL_HELP = (
    "What is stepped: a name that `rnnkit cells` lists, or a class such as my_package.cells:MyCell. Wrappers take "
    "another: 'zoneout(gru, rate=0.1)'"
)

T = TypeVar("T")


@dataclass(frozen=True)
class Rule:
    """What is known of a setting beside its name, type and default."""

    help: str = ""
    """Of its option on the command line; empty: it has none, as the tables."""

    shown: str = ""
    """The default, as the help shows it; empty: as it is."""

    metavar: str | None = None
    """What stands for the value in the help; None: what click says of the type."""

    noun: str = ""
    """What registered names it takes, to complete them: "cell", "task" or "unroller"."""

    least: int = 0
    """The least number."""

    most: float = math.inf
    """The largest number."""

    below: bool = False
    """Whether `most` itself is too large."""

    positive: bool = False
    """Whether zero is refused where a text is read, in an option or the environment; elsewhere the training does so."""

    limit: str = ""
    """How an error says `most`."""

    choices: tuple[str, ...] = ()
    """The only words; empty: any text."""

    changeable: bool = False
    """Whether a resumed run may have it otherwise: it says how long and how safely, not what is computed."""


def setting(default: T, help: str, **known: Any) -> T:
    """Return the dataclass field of a setting; `known` as in `Rule`."""
    return field(default=default, metadata={"rule": Rule(help, **known)})


@dataclass
class Fields:
    """Every setting of a run; 0 stands for never, or none. Tables hold options of the plugins' own.

    The order is that of `rnnkit run --help` and of config.toml.
    """

    cell: str = setting("lstm", f"{CELL_HELP}.", metavar="NAME|MODULE:CLASS", noun="cell")
    task: str = setting("chars", "What is learned; `rnnkit tasks` lists them.", metavar="NAME", noun="task")
    unroller: str = setting(
        "auto",
        "How the steps are differentiated; `rnnkit unrollers` lists them.",
        metavar="NAME",
        noun="unroller",
    )
    hidden: int = setting(128, "Hidden size.", shown="the task's", least=1)
    layers: int = setting(1, "Layers.", least=1)
    dropout: float = setting(0.0, "Rate between layers.", most=1)
    steps: int = setting(1000, "Updates of the weights.", shown="the task's", least=1, changeable=True)
    batch: int = setting(32, "Rows of a batch.", shown="the task's", least=1)
    tbptt: list[int] = field(
        default_factory=list,
        metadata={"rule": Rule("Truncate: an update every K1 steps, back over K2.", shown="never")},
    )
    accumulate: int = setting(1, "Batches, or windows, that an update learns from.", least=1)
    optimizer: str = setting("adam", "adam, adamw, rmsprop or sgd.", metavar="NAME")
    lr: float = setting(1e-3, "Learning rate.", shown="the task's", positive=True)
    weight_decay: float = setting(0.0, "Decay of the weights.")
    clip: float = setting(1.0, "What gradients are cut to; 0: never.")
    clip_by: str = setting("norm", "Cut the norm, or each value.", choices=CLIPPED_BY)
    schedule: str = setting("constant", "Of the learning rate.", choices=SCHEDULES)
    warmup: int = setting(0, "Updates over which the learning rate rises.")
    average: float = setting(
        0.0,
        "Decay of a mean of the weights, which is judged and sampled then.",
        shown="0, none",
        most=1,
        below=True,
        limit="a decay below 1, such as 0.999",
    )
    validate_every: int = setting(0, "Updates between validations.", shown="0, only at the end")
    patience: int = setting(0, "Validations without a better one, then end.", shown="0, never")
    inspect_every: int = setting(
        0,
        "Updates between records of gradient flow and gates, for `rnnkit inspect`.",
        shown="0, never",
        changeable=True,
    )
    save_every: int = setting(100, "Updates between checkpoints.", changeable=True)
    keep: int = setting(2, "How many of the last checkpoints stay, beside the best.", least=1, changeable=True)
    keep_data: int = setting(
        64,
        "MiB that the run's copies of the task's files take, at most, packed if need be; 0: none.",
        metavar="MIB",
        changeable=True,
    )
    seed: int = setting(0, "The same seed, the same bits.", most=2**63 - 1, limit="at most 2**63 - 1")
    device: str = setting("cpu", "cpu, cuda, cuda:1, ...")
    dtype: str = setting(
        "float32",
        "Precision; bfloat16 and float16 compute in it where that is safe, the weights stay float32.",
        choices=DTYPES,
    )
    cell_options: dict[str, Any] = field(default_factory=dict, metadata={"rule": Rule()})
    unroller_options: dict[str, Any] = field(default_factory=dict, metadata={"rule": Rule()})
    task_options: dict[str, Any] = field(default_factory=dict, metadata={"rule": Rule()})
    optimizer_options: dict[str, Any] = field(default_factory=dict, metadata={"rule": Rule()})


FIELDS: dict[str, "Field[Any]"] = {known.name: known for known in fields(Fields)}


@dataclass(frozen=True)
class Shortcut:
    """An option of the command line that is short for `--set task.NAME`."""

    after: str
    """The setting that it follows in the help."""

    kind: type
    rule: Rule


SHORTCUTS = {
    "text": Shortcut("task", Path, Rule("Text to learn, for the task chars; default: Python's documentation.")),
    "tokens": Shortcut(
        "task", str, Rule("What the text is cut into: char, byte or word. [default: char]", metavar="KIND")
    ),
    "seq_len": Shortcut("batch", int, Rule("Time steps of a sequence. [default: the task's]", least=1)),
}

CHANGEABLE_ON_RESUME = tuple(name for name, known in FIELDS.items() if known.metadata["rule"].changeable)
"""What a resumed run may have otherwise."""


def rule_of(name: str) -> Rule:
    """Return what is known of a setting."""
    rule: Rule = FIELDS[name].metadata["rule"]
    return rule


def default_of(name: str) -> Any:
    """Return the default of a setting, before the task's own."""
    known = FIELDS[name]
    return known.default if known.default_factory is MISSING else known.default_factory()


def shown_default(name: str) -> str:
    """Return the default of a setting as the help shows it."""
    rule, default = rule_of(name), default_of(name)
    return rule.shown or (f"{default:g}" if isinstance(default, float) else str(default))


def bounds_of(name: str) -> str:
    """Return what values a setting may have, in words: "1 or more", "one of norm, value"; empty: its type says it."""
    rule = rule_of(name)
    kind: Any = type(default_of(name))
    if rule.choices:
        return f"one of {', '.join(rule.choices)}"
    if kind not in (int, float):
        return ""
    if rule.most < math.inf:
        return f"from {rule.least} to {rule.most:g}" if kind is float and not rule.below else rule.limit
    return "above 0" if rule.positive else f"{rule.least} or more"


def checked(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Return values of settings, each of the type that it must have.

    Args:
        values: by name.
        source: where they come from, for the message.

    Raises:
        UsageError: an unknown name, with the nearest one; a value of another type, or one that makes no sense.
    """
    settings = {}
    for name, given in values.items():
        if name not in FIELDS:
            raise UsageError(f"{source} has an unknown setting {name!r}{nearest(name, FIELDS)}")
        kind = type(default_of(name))
        settings[name] = value = _converted(kind, given)
        if must := _demand(rule_of(name), kind, value):
            raise UsageError(f"{source}: {name} is {given!r}; it must be {must}")
        for key, option in value.items() if kind is dict else ():
            if not isinstance(option, bool | int | float | str | list | dict):
                raise UsageError(f"{source}: {name}.{key} is {option!r}; it must be a number, text, a list or a table")
    return settings


def _converted(kind: type, value: Any) -> Any:
    """Make a whole number a real one, and "K1,K2" a list, where that is what the setting is."""
    if kind is float and type(value) is int:
        return float(value)
    if kind is list and isinstance(value, str):
        parts = value.split(",")
        return [int(part) for part in parts] if all(part.strip().isdecimal() for part in parts) else value
    return list(value) if kind is list and isinstance(value, tuple) else value


def _demand(rule: Rule, kind: Any, value: Any) -> str:
    """Say what a setting must be, if the value is not that."""
    if type(value) is not kind:
        return TYPES[kind]
    if kind is list and (len(value) not in (0, 2) or any(type(part) is not int for part in value)):
        return TYPES[list]
    if kind in (int, float):
        if not rule.least <= value < math.inf:
            return f"{rule.least} or more"
        if value > rule.most or (rule.below and value == rule.most):
            return rule.limit or f"at most {rule.most}"
    if rule.choices and value not in rule.choices:
        return f"one of {', '.join(rule.choices)}{nearest(value, rule.choices)}"
    return ""
