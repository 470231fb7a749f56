"""The settings of a race: who takes part, in what they are equal, and what all trainings share."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from rnnkit.core.cell import Cell
from rnnkit.errors import CheckpointError, KindError, UsageError, check_positive, check_whole, nearest
from rnnkit.plugin.cell_spec import choose
from rnnkit.plugin.class_import import is_path
from rnnkit.plugin.registry import cells as registered
from rnnkit.racing import defaults
from rnnkit.runs.config import resolved
from rnnkit.runs.setting_fields import checked
from rnnkit.runs.settings import Settings
from rnnkit.support.paths import AnyPath, as_path
from rnnkit.support.toml import read_toml, write_toml

CONFIG = "race.toml"
"""The file of the settings in a race's folder."""

REMEDY = "give the folder of a race, such as runs/race-..., or put a copy of the file back"
"""What is to be done where that file is missing."""

CHANGEABLE_ON_RESUME = ("target",)
"""What a race that is resumed may have otherwise: it changes no training."""


@dataclass(frozen=True)
class RaceSettings:
    """What a race is made of."""

    cells: tuple[str, ...]
    """As in `rnnkit.RNN`; the first one is what the others are made equal to."""

    rates: tuple[float, ...]
    """The learning rates that each cell tries."""

    run: Settings
    """Of every training; cell, hidden, lr and seed are those of the first one."""

    equal: str = defaults.EQUAL[0]
    """In what the cells are equal: "parameters", "flops" or "hidden"."""

    seeds: int = defaults.SEEDS
    """How many the cells are ranked by, from `run.seed` on."""

    tuning_seeds: int = defaults.TUNING_SEEDS
    """How many others the learning rate is chosen by."""

    target: float | None = None
    """A metric, and how soon each cell reaches it."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense; UsageError."""
        if len(self.cells) < 2:
            one = f"cells is {', '.join(self.cells) or 'empty'}"
            raise UsageError(f"{one}; a race needs two or more (`rnnkit run --cell` trains one)")
        _check_distinct(self.cells)
        if self.equal not in defaults.EQUAL:
            known = " or ".join(defaults.EQUAL)
            raise UsageError(f"equal is {self.equal!r}; it must be {known}{nearest(str(self.equal), defaults.EQUAL)}")
        for name in ("seeds", "tuning_seeds"):
            check_whole(name, getattr(self, name))
            if getattr(self, name) > defaults.FIRST_TUNING_SEED:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be at most {defaults.FIRST_TUNING_SEED}")
        if not self.rates:
            raise UsageError("lr is empty; give one learning rate or more, such as 1e-3,1e-2")
        for rate in self.rates:
            check_positive("lr", rate)
        if len(set(self.rates)) < len(self.rates):
            raise UsageError(f"lr is {','.join(f'{rate:g}' for rate in self.rates)}; name each learning rate once")
        if self.target is not None and not isinstance(self.target, int | float):
            raise KindError(f"target is {self.target!r}; it must be a number")

    @property
    def labels(self) -> tuple[str, ...]:
        """What the cells are called in tables and pictures."""
        names = [str(choose(cell)) if is_path(cell) else cell for cell in self.cells]
        return tuple(n if names.count(n) == 1 else cell for n, cell in zip(names, self.cells, strict=True))

    @property
    def tunes(self) -> bool:
        """Whether there is a learning rate to choose."""
        return len(self.rates) > 1

    @property
    def trainings(self) -> int:
        """How many there are in all."""
        return len(self.cells) * (self.seeds + len(self.rates) * self.tuning_seeds * self.tunes)

    @property
    def ranking_seeds(self) -> range:
        """The seeds that the cells are ranked by."""
        return range(self.run.seed, self.run.seed + self.seeds)

    @property
    def choosing_seeds(self) -> range:
        """The seeds that a learning rate is chosen by; empty where there is one rate alone."""
        first = self.run.seed + defaults.FIRST_TUNING_SEED
        return range(first, first + self.tuning_seeds * self.tunes)

    def training(self, number: int, hidden: int, rate: float, seed: int) -> Settings:
        """Return the settings of one training of the cell at place `number`."""
        return replace(self.run, cell=self.cells[number], hidden=hidden, lr=rate, seed=seed)

    def to_toml(self) -> str:
        """Write as TOML that `read` takes."""
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return write_toml(values)

    @classmethod
    def read(cls, path: AnyPath) -> "RaceSettings":
        """Read the settings of the race in a folder.

        Raises:
            CheckpointError: the folder is not a race's, or the file is damaged.
        """
        path = as_path(path)
        if not path.is_dir():
            raise CheckpointError(f"{path} is not a folder; give the folder of a race, such as runs/race-...")
        file = path / CONFIG
        try:
            values = read_toml(file, REMEDY)
            unknown = values.keys() - {field.name for field in fields(cls)}
            if unknown or not isinstance(values.get("run"), dict):
                raise UsageError(f"{file} is not what a race writes; put a copy back")
            lists = {name: tuple(values[name]) for name in ("cells", "rates")}
            return cls(**{**values, **lists, "run": Settings(**checked(values["run"], str(file)))})
        except (UsageError, KeyError, TypeError) as error:
            reason = str(error) if isinstance(error, UsageError) else f"{file} is not what a race writes"
            raise CheckpointError(reason) from None


def composed(race: Mapping[str, Any], *sources: tuple[str, dict[str, Any]]) -> RaceSettings:
    """Return the settings of a new race.

    Args:
        race: fields of `RaceSettings` that are given, `cells` at least.
        *sources: settings of a run by where they come from, the later ones over the earlier.

    Raises:
        UsageError: a setting that there is not, or that a race decides by itself, or a value that makes no sense.
    """
    check_given(*sources)
    ours = {"steps": defaults.STEPS, "hidden": defaults.HIDDEN, "schedule": defaults.SCHEDULE}
    run = resolved(("the race's defaults", ours), *sources)
    if not run.validate_every:
        run = replace(run, validate_every=max(1, run.steps // defaults.VALIDATIONS))
    given = {"rates": defaults.learning_rates(run.lr), **race}
    rates, cells = tuple(given.pop("rates")), tuple(given.pop("cells"))
    first = replace(run, cell=cells[0] if cells else "", lr=rates[0] if rates else run.lr)
    return RaceSettings(cells=cells, rates=rates, run=first, **given)


def unchanged(settings: RaceSettings, race: Mapping[str, Any], *sources: tuple[str, dict[str, Any]]) -> RaceSettings:
    """Return the settings of a race that is resumed, with what may be given anew.

    Raises:
        UsageError: something else is given otherwise than the race has it.
    """
    check_given(*sources)
    stored: dict[str, Any] = {**asdict(settings.run), **{f.name: getattr(settings, f.name) for f in fields(settings)}}
    given = {name: (tuple(value) if isinstance(value, list) else value, "") for name, value in race.items()}
    given |= {name: (value, f"{source}: ") for source, values in sources for name, value in checked(values, "").items()}
    for name, (value, source) in given.items():
        same = (stored[name] | value if isinstance(value, dict) else value) == stored[name]
        if not same and name not in CHANGEABLE_ON_RESUME:
            raise UsageError(
                f"{source}{name} is {_shown(stored[name])} in the race, not {_shown(value)}; a race that is resumed "
                "keeps its settings (jobs and target may differ)"
            )
    return replace(settings, **{name: race[name] for name in CHANGEABLE_ON_RESUME if name in race})


def check_given(*sources: tuple[str, dict[str, Any]]) -> None:
    """Raise UsageError for a setting of a run that a race decides by itself."""
    own = {"cell": "cells", "lr": "the learning rates of the race, lr"}
    for source, values in sources:
        for name in defaults.OWN:
            if name in values:
                instead = f"give {own[name]}" if name in own else "every training takes all its steps, and keeps none"
                raise UsageError(f"{source}: a race has no setting {name!r}; {instead}")


def cell_names(cells: object) -> tuple[str, ...]:
    """Return cells as text, which a folder can keep and another process can read: a class by its module and name.

    Raises:
        KindError: it is no list of cells. UsageError: a class that no module has by its name.
    """
    if isinstance(cells, str) or not isinstance(cells, Sequence):
        raise KindError(f"cells is {cells!r}; it must be a list of cells, such as ['lstm', 'gru']")
    return tuple(_name(cell) for cell in cells)


def _name(cell: object) -> str:
    if isinstance(cell, str):
        return cell.strip()
    if not (isinstance(cell, type) and issubclass(cell, Cell)):
        raise KindError(f"a cell of the race is {cell!r}; it must be a name, an expression or a class of cells")
    if registered.get(cell.name) is cell:
        return cell.name
    path = f"{cell.__module__}:{cell.__qualname__}"
    if "<locals>" in path:
        raise UsageError(f"cell {cell.name!r} is a class inside of a function; define it at the top of a module")
    return path


def _check_distinct(cells: Sequence[str]) -> None:
    """Raise UsageError where a cell stands twice; with other options it is another one."""
    known: set[tuple[type[Cell], str]] = set()
    for cell in cells:
        choice = choose(cell)
        same = choice.kind, str(choice)  # classes of two modules may share a name
        if same in known:
            raise UsageError(
                f"cell {cell!r} is in the race twice; name each once, or give one other options: "
                "'zoneout(lstm, rate=0.1)'"
            )
        known.add(same)


def _shown(value: object) -> str:
    return ",".join(f"{item}" for item in value) if isinstance(value, tuple | list) else repr(value)
