"""The settings of a run: one value for each, as the command line, a run's folder and the model see them."""

import tomllib
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from rnnkit.cell import building
from rnnkit.choice import choose
from rnnkit.errors import CheckpointError, ResourceError, UsageError, nearest
from rnnkit.model import Model
from rnnkit.registry import tasks, unrollers
from rnnkit.resolve import check_options, resolve
from rnnkit.task import Task
from rnnkit.unroll import Unroller

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass
class Settings:
    """What a run is made of. Sizes as in `rnnkit.Model` and `rnnkit.train`; tables hold options of the plugins' own."""

    cell: str = "lstm"
    task: str = "chars"
    unroller: str = "auto"
    hidden: int = 128
    layers: int = 1
    steps: int = 1000
    batch: int = 32
    tbptt: list[int] = field(default_factory=list)
    optimizer: str = "adam"
    lr: float = 1e-3
    clip: float = 1.0
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    cell_options: dict[str, Any] = field(default_factory=dict)
    unroller_options: dict[str, Any] = field(default_factory=dict)
    task_options: dict[str, Any] = field(default_factory=dict)

    def make_task(self) -> Task:
        """Build the task, with its options."""
        kind = tasks[self.task]
        check_options("task", kind, self.task_options)
        return kind(**self.task_options)

    def make_unroller(self) -> str | Unroller:
        """Build the unroller, with its options; "auto" stays to be chosen by the layer."""
        if self.unroller == "auto":
            if self.unroller_options:
                raise UsageError("options of an unroller go with its name; give --unroller too")
            return "auto"
        kind = resolve(self.unroller, Unroller, unrollers, "unroller")
        check_options("unroller", kind, self.unroller_options)
        return kind(**self.unroller_options)

    def make_model(self, task: Task) -> Model:
        """Build the model, its weights drawn from `seed`, on `device` and in `dtype`."""
        choose(self.cell).accepted(self.cell_options)
        device = usable_device(self.device)
        torch.manual_seed(self.seed)
        with building(device, DTYPES[self.dtype]):
            return Model(
                task,
                self.cell,
                self.hidden,
                num_layers=self.layers,
                unroller=self.make_unroller(),
                **self.cell_options,
            )

    def to_toml(self) -> str:
        """Write as TOML: plain values first, then a table for each plugin's options."""
        values = asdict(self)
        tables = {key: values.pop(key) for key in list(values) if isinstance(values[key], dict)}
        lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
        for key, table in tables.items():
            lines += ["", f"[{key}]", *(f"{name} = {_toml(value)}" for name, value in table.items())]
        return "\n".join(lines) + "\n"

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """Read what `to_toml` wrote.

        Raises:
            CheckpointError: the file is missing or not such a file.
        """
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise CheckpointError(f"{path} is not the configuration of a run: {error}") from None
        known = {f.name: type(getattr(cls(), f.name)) for f in fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise CheckpointError(f"{path} has an unknown setting {name!r}{nearest(name, known)}")
            if known[name] is float and type(value) is int:
                values[name] = float(value)
            elif type(value) is not known[name]:
                raise CheckpointError(f"{path}: {name} is {value!r}; it must be of type {known[name].__name__}")
        if values.get("dtype", "float32") not in DTYPES:
            raise CheckpointError(f"{path}: dtype is {values['dtype']!r}; it must be one of {', '.join(DTYPES)}")
        return cls(**values)


def usable_device(name: str) -> torch.device:
    """Give the device of that name, if this machine has it.

    Raises:
        UsageError: no such kind of device. ResourceError: not on this machine.
    """
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"device {name!r} is not a device of torch; try cpu or cuda") from None
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise ResourceError(f"device {name!r} is not usable here: {str(error).splitlines()[0][:120]}") from None
    return device


def _toml(value: object) -> str:
    """Write one value; strings with the escapes that TOML shares with Python's backslash forms."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(_escape(character) for character in value) + '"'
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(str(key))} = {_toml(item)}" for key, item in value.items()) + " }"
    return repr(value)


def _escape(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    return character if character.isprintable() else f"\\U{ord(character):08X}"
