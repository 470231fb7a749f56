"""The options of `rnnkit run` that are settings, made from the table of settings."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from rnnkit.cli.options import MaybePositive, PositiveFloat, Truncation, complete_names
from rnnkit.runs.setting_fields import FIELDS, SHORTCUTS, Rule, default_of, rule_of, shown_default


def setting_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Make an option of each setting that has a help, and of the task's options that have a short name."""
    for decorate in reversed(list(_options())):
        command = decorate(command)
    return command


def _options() -> Iterator[Callable[..., Any]]:
    for name in FIELDS:
        rule = rule_of(name)
        if rule.help:
            shown = f"{rule.help} [default: {shown_default(name)}]"
            yield _option(name, type(default_of(name)), rule, shown)
        for short, shortcut in SHORTCUTS.items():
            if shortcut.after == name:
                yield _option(short, shortcut.kind, shortcut.rule, shortcut.rule.help)


def _option(name: str, kind: type, rule: Rule, shown: str) -> Callable[..., Any]:
    complete = complete_names(rule.noun) if rule.noun else None
    option = f"--{name.replace('_', '-')}"
    return click.option(option, type=_type(kind, rule), metavar=rule.metavar, help=shown, shell_complete=complete)


def _type(kind: type, rule: Rule) -> click.ParamType[Any]:
    """Return what reads the text of an option, as strictly as the rule is."""
    if rule.choices:
        return click.Choice(rule.choices)
    if kind is int:
        return click.IntRange(rule.least, None if rule.most == math.inf else int(rule.most))
    if kind is float and rule.most < math.inf:
        return click.FloatRange(rule.least, rule.most, max_open=rule.below)
    if kind is float:
        return PositiveFloat() if rule.positive else MaybePositive()
    if kind is list:
        return Truncation()
    return click.Path() if kind is Path else click.STRING
