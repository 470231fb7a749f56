"""Configuration: settings from several sources, the later ones over the earlier."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from rnnkit.core.task import Task
from rnnkit.errors import UsageError
from rnnkit.plugin.key_value import read_assignments
from rnnkit.plugin.registry import tasks
from rnnkit.plugin.resolve import resolve
from rnnkit.runs.setting_fields import CHANGEABLE_ON_RESUME, TABLES, checked
from rnnkit.runs.settings import Settings


def assigned(texts: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` and `table.key=value`, as `--set` takes them, into settings.

    Raises:
        UsageError: it is of another form, or names a table that is not there.
    """
    settings: dict[str, Any] = {}
    for table, key, value in read_assignments(texts, TABLES, bare=True):
        _merge(settings, {f"{table}_options": {key: value}} if table else {key: value})
    return settings


def resolved(*sources: tuple[str, dict[str, Any]]) -> Settings:
    """Return the settings from sources with names, the later ones over the earlier, all over the task's own defaults.

    Raises:
        UsageError: an unknown setting, with the nearest name, or a value that makes no sense.
    """
    given = _merged(*sources)
    kind = resolve(given.get("task", Settings.task), Task, tasks, "task")
    if "task_options" in given:
        given["task_options"] = _absolute(given["task_options"], kind)
    defaults = kind.defaults
    return Settings(**{**checked(defaults, "the task's defaults"), **given})


def check_unchanged(settings: Settings, *sources: tuple[str, dict[str, Any]]) -> None:
    """Take into a run's settings what a resumed run may have otherwise, such as where its files lie now.

    Raises:
        UsageError: something else differs.
    """
    stored = asdict(settings)
    origins = {name: source for source, values in sources for name in values}
    for name, value in _merged(*sources).items():
        if name == "task_options":
            value = _moved(settings, _absolute(value, settings.task_class))
        if name in CHANGEABLE_ON_RESUME:
            setattr(settings, name, value)
        elif (stored[name] | value if isinstance(value, dict) else value) != stored[name]:
            raise UsageError(
                f"{origins[name]}: {name} is {stored[name]!r} in the run, not {value!r}; "
                f"a resumed run keeps its settings ({', '.join(CHANGEABLE_ON_RESUME)} may differ)"
            )


def relocated(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """Return settings of a run whose task finds its files elsewhere.

    Args:
        settings: of the run.
        options: of the task, by name; those that are `Task.files`.

    Raises:
        UsageError: an option that is no file.
    """
    kind = settings.task_class
    for name in options:
        if name not in kind.files:
            known = ", ".join(f"task.{file}" for file in kind.files) or f"task {kind.name!r} has none"
            raise UsageError(f"--set task.{name}: of a finished run only the place of its files can be given: {known}")
    return replace(settings, task_options={**settings.task_options, **_absolute(dict(options), kind)})


def _moved(settings: Settings, options: dict[str, Any]) -> dict[str, Any]:
    """Take new places of files into the settings; return the other options."""
    files = {name: options[name] for name in settings.task_class.files if name in options}
    settings.task_options = {**settings.task_options, **files}
    return {name: value for name, value in options.items() if name not in files}


def _absolute(options: dict[str, Any], kind: type[Task]) -> dict[str, Any]:
    """Make the paths among a task's options absolute, as seen from where the user stands."""
    return {
        name: str(Path(value).absolute()) if name in kind.files and isinstance(value, str) else value
        for name, value in options.items()
    }


def _merged(*sources: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for source, values in sources:
        _merge(merged, checked(values, source))
    return merged


def _merge(into: dict[str, Any], values: dict[str, Any]) -> None:
    """Put values over others, tables key by key."""
    for name, value in values.items():
        both = isinstance(value, dict) and isinstance(into.get(name), dict)
        into[name] = {**into[name], **value} if both else value
