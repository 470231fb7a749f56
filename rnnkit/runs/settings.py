"""The settings of a run: one value for each, as the command line, a run's folder and the model see them."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from rnnkit.checkpoints.own_folder import check_of_run
from rnnkit.core.cell import building
from rnnkit.core.task import Task
from rnnkit.core.unroller import Unroller
from rnnkit.errors import CheckpointError, ResourceError, UsageError
from rnnkit.layers.model import Model
from rnnkit.plugin.cell_spec import choose
from rnnkit.plugin.registry import tasks, unrollers
from rnnkit.plugin.resolve import check_options, construct, resolve
from rnnkit.runs.setting_fields import Fields, checked
from rnnkit.support.paths import AnyPath, as_path
from rnnkit.support.toml import read_toml, write_toml
from rnnkit.training.process_group import Processes
from rnnkit.training.training import Training

CONFIG = "config.toml"
"""The file of the settings in a run's folder."""

REMEDY = "give the folder of a run, such as runs/chars-lstm-..., or put a copy of the file back"
"""What is to be done where that file is missing."""

AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}
"""By name, the dtypes to compute in, by autocast, with weights in float32."""

WEIGHT_DTYPES = {"float32": torch.float32, "float64": torch.float64, **dict.fromkeys(AUTOCAST, torch.float32)}
"""By name of a dtype, that of the weights."""


@dataclass
class Settings(Fields):
    """What a run is made of, as in `rnnkit.Model` and `rnnkit.Training`; 0 stands for never, or none.

    Tables hold options of the plugins' own, and of the optimizer. Each setting stands in `Fields`.
    """

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
        with building(device, WEIGHT_DTYPES[self.dtype]):
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
        """Build the training of a model that `make_model` returned."""
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
            autocast=AUTOCAST.get(self.dtype),
            seed=self.seed,
            validate_every=self.validate_every or None,
            processes=processes,
        )

    def to_toml(self) -> str:
        """Write as TOML: plain values first, then a table for each plugin's options."""
        return write_toml(asdict(self))

    @classmethod
    def of_run(cls, path: AnyPath) -> "Settings":
        """Read the settings of the run in a folder.

        Raises:
            CheckpointError: the folder is not a run's.
        """
        path = as_path(path)
        if not path.is_dir():
            raise CheckpointError(f"{path} is not a folder; give the folder of a run, such as runs/chars-lstm-...")
        if not (path / CONFIG).exists():
            check_of_run(path)
        return cls.read(path / CONFIG)

    @classmethod
    def read(cls, path: AnyPath) -> "Settings":
        """Read what `to_toml` wrote.

        Raises:
            CheckpointError: the file is missing or not such a file.
        """
        path = as_path(path)
        try:
            return cls(**checked(read_toml(path, REMEDY), str(path)))
        except UsageError as error:
            raise CheckpointError(str(error)) from None


def usable_device(name: str) -> torch.device:
    """Return the device of that name, if this machine has it.

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
