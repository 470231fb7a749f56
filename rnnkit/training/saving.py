"""A training written down and taken up again: what of it is kept, and what must fit."""

from typing import TYPE_CHECKING

from rnnkit.checkpoints.checkpoint import Checkpoint, restore
from rnnkit.checkpoints.own_folder import OwnFolder
from rnnkit.errors import CheckpointError, DataError, one_line
from rnnkit.support.paths import AnyPath
from rnnkit.training.state_checks import check_like

if TYPE_CHECKING:
    from rnnkit.training.training import Training

NOT_OF_THIS_RUN = (LookupError, ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError)
KIND = "training"
NO_STEP = -1


def write_training(folder: OwnFolder, training: "Training") -> None:
    """Write a checkpoint of the step that a training is at; processes that train together must all call it."""
    state = training.state()
    if not training.processes.is_main:
        return
    folder.write(
        training.step,
        training.model.state_dict(),
        state,
        {
            "kind": KIND,
            "data": training.task.fingerprint(),
            "task": training.task.data_summary(),
            "built": training.settings,
        },
        averaged=None if training.averaged is None else training.eval_model.state_dict(),
        best=None if training.best is None else training.best[0],
    )


def read_training(folder: OwnFolder, training: "Training") -> int:
    """Load the newest intact checkpoint into a training that is built alike; return its step, 0 if there is none."""
    if not training.processes.is_main:
        (step,) = training.processes.broadcast(NO_STEP)
        if step != NO_STEP:
            take_up(training, folder.load(int(step)))
        return training.step
    checkpoint = folder.newest(KIND)
    training.processes.broadcast(NO_STEP if checkpoint is None else checkpoint.manifest["step"])
    if checkpoint is not None:
        _check_built(training, checkpoint)
        take_up(training, checkpoint)
    return training.step


def _check_built(training: "Training", checkpoint: Checkpoint) -> None:
    """Raise CheckpointError for the first argument that the training had and this one has not."""
    built = checkpoint.manifest.get("built")
    for name, argument in training.settings.items():
        value = list(argument) if isinstance(argument, tuple) else argument
        if isinstance(built, dict) and name in built and built[name] != value:
            raise CheckpointError(
                f"{checkpoint.path} was saved with {name}={built[name]!r}, this training has {value!r}; build it alike"
            )


def take_up(training: "Training", checkpoint: Checkpoint) -> None:
    """Load a checkpoint into a training of the same settings.

    Raises:
        CheckpointError: it is another training's, or none's.
        DataError: the data are others.
    """
    if checkpoint.manifest.get("data") != training.task.fingerprint():
        raise DataError(
            f"the data of task {training.task.name!r} have changed since {checkpoint.path}; give back the old ones"
        )
    restore(training.model, checkpoint.weights, checkpoint.path)
    if (checkpoint.averaged is None) != (training.averaged is None):
        raise CheckpointError(f"{checkpoint.path} was saved with another setting of average")
    if checkpoint.averaged is not None:
        restore(training.eval_model, checkpoint.averaged, checkpoint.path)
    try:
        check_like(checkpoint.training["step"], 0, "the step")
        if checkpoint.training["step"] != checkpoint.manifest["step"]:
            raise ValueError(f"it holds the training of step {checkpoint.training['step']}")
        training.load_state(checkpoint.training)
    except NOT_OF_THIS_RUN as error:
        reason = one_line(error).removeprefix("ValueError: ")
        raise CheckpointError(
            f"{checkpoint.path} does not fit this run: {reason}; put a copy back, or train anew"
        ) from None


def folder_of(known: dict[str, OwnFolder], path: AnyPath) -> OwnFolder:
    """Return what writes to a folder, the same for each call, so that it knows what it has written."""
    folder = OwnFolder(path)
    return known.setdefault(str(folder.path.absolute()), folder)
