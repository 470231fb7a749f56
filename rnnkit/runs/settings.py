"""The settings of a run: one value for each, as the command line, a run's folder and the model see them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import torch

from rnnkit.core.cell import building
from rnnkit.core.task import Task
from rnnkit.core.unroller import Unroller
from rnnkit.errors import CheckpointError, ResourceError, UsageError, nearest
from rnnkit.layers.model import Model
from rnnkit.plugin.cell_spec import choose
from rnnkit.plugin.registry import tasks, unrollers
from rnnkit.plugin.resolve import check_options, construct, resolve
from rnnkit.support.paths import AnyPath, as_path
from rnnkit.support.toml import read_toml, write_toml
from rnnkit.training.process_group import Processes
from rnnkit.training.training import Training

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}
"""By name, the dtype of the weights; "bfloat16" is one to compute in, by autocast."""

TABLES = ("cell", "task", "unroller", "optimizer")
"""Whose own options there are tables for."""

AT_LEAST_ONE = ("hidden", "layers", "steps", "batch", "accumulate", "keep")

NOT_OF_THE_NUMBERS = ("steps", "save_every", "keep")
"""What a resumed run may have otherwise: it says how long and how safely, not what is computed."""


@dataclass
class Settings:
    """What a run is made of, as in `rnnkit.Model` and `rnnkit.Training`; 0 stands for never, or none.

    Tables hold options of the plugins' own, and of the optimizer.
    """

    cell: str = "lstm"
    task: str = "chars"
    unroller: str = "auto"
    hidden: int = 128
    layers: int = 1
    dropout: float = 0.0
    steps: int = 1000
    batch: int = 32
    tbptt: list[int] = field(default_factory=list)
    accumulate: int = 1
    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    clip: float = 1.0
    clip_by: str = "norm"
    schedule: str = "constant"
    warmup: int = 0
    average: float = 0.0
    patience: int = 0
    validate_every: int = 0
    save_every: int = 100
    keep: int = 2
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    cell_options: dict[str, Any] = field(default_factory=dict)
    unroller_options: dict[str, Any] = field(default_factory=dict)
    task_options: dict[str, Any] = field(default_factory=dict)
    optimizer_options: dict[str, Any] = field(default_factory=dict)

    @property
    def truncate(self) -> tuple[int, int] | None:
        """(k1, k2) of truncated BPTT, as `rnnkit.Training` takes it."""
        return (self.tbptt[0], self.tbptt[1]) if self.tbptt else None

    @property
    def task_class(self) -> type[Task]:
        """The class of the task, by its name or MODULE:CLASS."""
        return resolve(self.task, Task, tasks, "task")

    def make_task(self, state: Mapping[str, Any] | None = None) -> Task:
        """Build the task, with its options; of a finished run, from the `Task.data_state` that it kept."""
        kind = self.task_class
        check_options("task", kind, self.task_options)
        if state is None:
            return construct("task", kind, **self.task_options)
        return kind.from_data_state(state, **self.task_options)

    def make_unroller(self) -> str | Unroller:
        """Build the unroller, with its options; "auto" stays to be chosen by the layer."""
        if self.unroller == "auto":
            if self.unroller_options:
                raise UsageError("options of an unroller go with its name; give --unroller too")
            return "auto"
        kind = resolve(self.unroller, Unroller, unrollers, "unroller")
        check_options("unroller", kind, self.unroller_options)
        return construct("unroller", kind, **self.unroller_options)

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
                dropout=self.dropout,
                unroller=self.make_unroller(),
                **self.cell_options,
            )

    def make_training(self, model: Model, task: Task, processes: Processes | None = None) -> Training:
        """Build the training of a model that `make_model` gave."""
        return Training(
            model,
            task,
            steps=self.steps,
            batch_size=self.batch,
            truncate=self.truncate,
            optimizer=self.optimizer,
            optimizer_options=self.optimizer_options,
            lr=self.lr,
            weight_decay=self.weight_decay,
            clip=self.clip or None,
            clip_by=self.clip_by,
            accumulate=self.accumulate,
            schedule=self.schedule,
            warmup=self.warmup,
            average=self.average or None,
            patience=self.patience or None,
            autocast=torch.bfloat16 if self.dtype == "bfloat16" else None,
            seed=self.seed,
            validate_every=self.validate_every or None,
            processes=processes,
        )

    def to_toml(self) -> str:
        """Write as TOML: plain values first, then a table for each plugin's options."""
        return write_toml(asdict(self))

    @classmethod
    def read(cls, path: AnyPath) -> "Settings":
        """Read what `to_toml` wrote.

        Raises:
            CheckpointError: the file is missing or not such a file.
        """
        path = as_path(path)
        try:
            return cls(**checked(read_toml(path), str(path)))
        except UsageError as error:
            raise CheckpointError(str(error)) from None


def checked(values: Mapping[str, Any], source: str) -> dict[str, Any]:
    """Give values of settings, each of the type that it must have.

    Args:
        values: by name.
        source: where they come from, for the message.

    Raises:
        UsageError: an unknown name, with the nearest one; a value of another type, or one that makes no sense.
    """
    defaults = Settings()
    known = {f.name: type(getattr(defaults, f.name)) for f in fields(Settings)}
    found = {}
    for name, value in values.items():
        if name not in known:
            raise UsageError(f"{source} has an unknown setting {name!r}{nearest(name, known)}")
        found[name] = _converted(name, value, known[name])
        must = _demand(name, found[name], known[name])
        if must:
            raise UsageError(f"{source}: {name} is {value!r}; it must be {must}")
        for key, option in found[name].items() if known[name] is dict else ():
            if not isinstance(option, bool | int | float | str | list | dict):
                raise UsageError(f"{source}: {name}.{key} is {option!r}; it must be a number, text, a list or a table")
    return found


TYPES = {int: "a whole number", float: "a number", str: "text", list: "two whole numbers", dict: "a table"}


def _converted(name: str, value: Any, kind: type) -> Any:
    """Make a whole number a real one, and "K1,K2" a list, where that is what the setting is."""
    if kind is float and type(value) is int:
        return float(value)
    if name == "tbptt" and isinstance(value, str):
        parts = value.split(",")
        return [int(part) for part in parts] if all(part.strip().isdecimal() for part in parts) else value
    return list(value) if name == "tbptt" and isinstance(value, tuple) else value


def _demand(name: str, value: Any, kind: Any) -> str:
    """Say what a setting must be, if the value is not that."""
    if type(value) is not kind:
        return TYPES[kind]
    if kind is list and (len(value) not in (0, 2) or any(type(part) is not int for part in value)):
        return TYPES[list]
    if kind in (int, float):
        least = 1 if name in AT_LEAST_ONE else 0
        if not least <= value < math.inf:
            return f"{least} or more"
    if name == "average" and value >= 1:
        return "a decay below 1, such as 0.999"
    if name == "seed" and value >= 2**63:
        return "at most 2**63 - 1"
    if name == "dtype" and value not in DTYPES:
        return f"one of {', '.join(DTYPES)}"
    return ""


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
