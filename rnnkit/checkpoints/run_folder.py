"""The folder of a loop of one's own: everything that it goes on from, saved as `rnnkit run` saves its own."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnnkit.checkpoints.checkpoint import Checkpoint, restore
from rnnkit.checkpoints.own_folder import OwnFolder
from rnnkit.errors import CheckpointError, UsageError, one_line
from rnnkit.support.nested_tensors import pack
from rnnkit.support.paths import AnyPath
from rnnkit.support.random_states import RandomStates

KIND = "loop"
MODEL = "model"
STEP = "step"
UNFIT = (LookupError, ValueError, TypeError, RuntimeError, AttributeError, ArithmeticError)


class RunFolder:
    """Checkpoints of a training loop of your own: written whole or not at all, verified before use, the last few kept.

        folder = rnnkit.RunFolder("runs/mine")
        at = folder.resume(model=model, optimizer=optimizer) or {"step": 0, "losses": []}
        for step in range(at["step"] + 1, 1001):
            ...
            if step % 100 == 0:
                folder.save(step, model=model, optimizer=optimizer, losses=at["losses"])

    A process may be killed at any moment: what is resumed is the last state that was saved, to the bit. The random
    states of torch, NumPy and Python belong to it, and are saved and put back unasked.

    Args:
        path: the folder; it is made with the first checkpoint.
        keep: how many checkpoints are kept.

    Raises:
        UsageError: `keep` is no whole number above zero.
    """

    def __init__(self, path: AnyPath, *, keep: int = 2) -> None:
        self._folder = OwnFolder(path, keep)

    def __repr__(self) -> str:
        """Return the folder, and the last step that it holds."""
        steps = self.steps
        return f"<RunFolder {self.path}: {f'step {steps[-1]}' if steps else 'nothing saved yet'}>"

    @property
    def path(self) -> Path:
        """The folder."""
        return self._folder.path

    @property
    def steps(self) -> list[int]:
        """The steps that it holds, in order."""
        return self._folder.steps()

    def save(self, step: int, /, **state: Any) -> None:
        """Write a checkpoint.

        Args:
            step: where the loop is; later than the last.
            **state: what the loop goes on from, by name: what has `state_dict` and `load_state_dict`, such as a model,
                an optimizer, a schedule; a `torch.Generator`; or tensors, numbers, text, None, and lists, tuples and
                dicts of them. The weights of `model` are in a file of their own, `model.safetensors`.

        Raises:
            UsageError: something cannot be saved, or the step is before the last.
            CheckpointError: the folder holds a step that this RunFolder has neither saved nor resumed from, or another
                process is writing there.
            ResourceError: the disk or folder takes no more; the checkpoints before are intact.
        """
        if STEP in state:
            raise UsageError("a state cannot be called 'step', which is what the loop's place is called; rename it")
        weights = _weights(state.get(MODEL))
        objects: dict[str, Any] = {}
        values: dict[str, Any] = {}
        for name, value in state.items():
            if name == MODEL and weights is not None:
                continue
            if _is_object(value):
                objects[name] = {"kind": type(value).__name__, "state": _state_of(value)}
            else:
                values[name] = value
        _check_kept({**{name: kept["state"] for name, kept in objects.items()}, **values})
        training = {"objects": objects, "values": values, "random": RandomStates.now().plain()}
        self._folder.write(step, weights or {}, training, {"kind": KIND, "model": weights is not None})

    def resume(self, /, **objects: Any) -> dict[str, Any] | None:
        """Load the newest intact checkpoint; what came after it is removed. None: nothing has been saved yet.

        What is damaged, and what differs from where it was made, is told to the log.

        Args:
            **objects: all that were saved and have a state of their own, under the same names, built alike.

        Returns:
            The step, under "step", and by name all that was saved as plain values. Tensors are on the CPU.

        Raises:
            UsageError: what is given has no state to load.
            CheckpointError: there are other objects in it, or they do not fit; none is intact; something else has
                written it, or another process is writing.
        """
        for name, value in objects.items():
            if not _is_object(value):
                raise UsageError(
                    f"{name!r} is a {type(value).__name__}, which nothing can be loaded into; it is in what resume() "
                    "returns"
                )
        checkpoint = self._folder.newest(KIND)
        if checkpoint is None:
            return None
        kept, values, random = _parts(checkpoint)
        names = {*kept, *([MODEL] if checkpoint.manifest.get("model") else [])}
        for name in sorted(names ^ objects.keys()):
            there = f"holds {name!r}, which is not given" if name in names else f"holds no {name!r}, which is given"
            raise CheckpointError(f"{checkpoint.path} {there}; give resume() what was given to save()")
        for name, value in objects.items():
            if name == MODEL and name not in kept:
                restore(value, checkpoint.weights, checkpoint.path, finite=False)
            else:
                _load(value, kept[name], f"{checkpoint.path}: {name!r}")
        try:
            random.put()
        except UNFIT as error:
            raise _odd(checkpoint, error) from None
        return {STEP: checkpoint.manifest["step"], **values}


def _parts(checkpoint: Checkpoint) -> tuple[dict[str, Any], dict[str, Any], RandomStates]:
    """Return the states of objects, the plain values and the random states of a checkpoint."""
    try:
        saved = checkpoint.training
        kept = {name: {"kind": one["kind"], "state": one["state"]} for name, one in saved["objects"].items()}
        return kept, dict(saved["values"]), RandomStates.of_plain(saved["random"])
    except UNFIT as error:
        raise _odd(checkpoint, error) from None


def _odd(checkpoint: Checkpoint, error: Exception) -> CheckpointError:
    return CheckpointError(f"{checkpoint.path} holds no state of a loop ({one_line(error)}); put a copy back")


def _is_object(value: Any) -> bool:
    """Tell whether something keeps a state, which it gives and takes."""
    if isinstance(value, torch.Generator):
        return True
    return callable(getattr(value, "state_dict", None)) and callable(getattr(value, "load_state_dict", None))


def _state_of(value: Any) -> Any:
    return value.get_state() if isinstance(value, torch.Generator) else value.state_dict()


def _weights(model: Any) -> Mapping[str, Tensor] | None:
    """Return the state of a model if tensors are all that it is made of."""
    state = model.state_dict() if isinstance(model, nn.Module) else None
    return state if state is not None and all(isinstance(tensor, Tensor) for tensor in state.values()) else None


def _check_kept(state: Mapping[str, Any]) -> None:
    """Raise UsageError for what a checkpoint does not hold."""
    for name, value in state.items():
        try:
            pack(value, name)
        except TypeError as error:
            raise UsageError(
                f"{name!r} cannot be saved: {error}; give what has state_dict() and load_state_dict(), or tensors, "
                "numbers, text, lists, tuples and dicts"
            ) from None


def _load(value: Any, kept: Mapping[str, Any], label: str) -> None:
    """Load a state into an object of the same kind.

    Raises:
        CheckpointError: it is another kind's, or does not fit.
    """
    if kept["kind"] != type(value).__name__:
        raise CheckpointError(f"{label} was saved from a {kept['kind']}, this is a {type(value).__name__}")
    try:
        (value.set_state if isinstance(value, torch.Generator) else value.load_state_dict)(kept["state"])
    except UNFIT as error:
        raise CheckpointError(f"{label} does not take what was saved ({one_line(error)}); build it alike") from None
