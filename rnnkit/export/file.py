"""The exported file: written, verified, and only then put in its place."""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

import torch

from rnnkit.core.units import Units
from rnnkit.errors import CheckError, KindError, ResourceError, RnnkitError, UsageError, check_flag, nearest
from rnnkit.export.description import described
from rnnkit.export.format import Format
from rnnkit.export.interface import Interface, TensorInfo
from rnnkit.export.onnx import Onnx
from rnnkit.export.program import trace
from rnnkit.export.pt2 import Pt2
from rnnkit.export.reason import reason
from rnnkit.export.scan import Once, Scan
from rnnkit.export.verification import verify
from rnnkit.layers.model import Model
from rnnkit.layers.rnn import RNN
from rnnkit.support.atomic_files import tried_file
from rnnkit.support.own_files import check_not_own
from rnnkit.support.paths import AnyPath, as_path
from rnnkit.support.random_states import drawn_apart
from rnnkit.training.evaluation import evaluating

FORMATS: dict[str, Format] = {"pt2": Pt2(), "onnx": Onnx()}


class Exported(NamedTuple):
    """What was written."""

    path: Path
    format: str
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    bytes: int
    difference: float
    """The largest one found between the file's numbers and the model's."""
    units: bool = False
    """Whether what goes in and comes out is in the data's own units."""


def export_model(
    model: Model | RNN,
    path: AnyPath,
    *,
    format: str | None = None,
    step: bool = False,
    state: bool = False,
    units: Units | None = None,
    about: Mapping[str, Any] | None = None,
) -> Exported:
    """Write a model, in evaluation mode and for the CPU, as one file that needs no rnnkit.

    Any number of steps and of rows may go in; all rows have the same number of steps. The file is read back and held
    to the model, on random sequences of two lengths, before it is there.

    Args:
        model: stays as it is.
        path: of the file; an existing one is never written over.
        format: "pt2", for `torch.export.load`, or "onnx"; None: as the path ends; pt2 where it has no
            ending.
        step: a file that takes one step: input and state in, output and state out.
        state: a file for sequences that come in pieces: it takes the state before the first step too.
        units: a file that takes and gives numbers in the data's own units, as the model's task has them by
            `Task.units`; None: as the model has them.
        about: kept in the file as JSON, beside names and shapes and the initial state; `read_exported` reads it.

    Returns:
        What goes in and comes out, and how near the file is to the model.

    Raises:
        UsageError: the path exists, its ending or the format is none that there is, torch cannot export a cell, or the
            units do not fit the model.
        ResourceError: a package is not installed, or the disk takes no more.
        CheckError: the file does not compute what the model does; nothing is left of it.
    """
    path = as_path(path)
    kind = read_format(format, path)
    for label, flag in (("step", step), ("state", state)):
        check_flag(label, flag)
    check_free(path)
    kind.check_packages()
    state = state or step
    units = _units_on_cpu(units)
    eager = Interface(_on_cpu(model), units=units)
    with evaluating(eager), _quietly(), drawn_apart():
        torch.manual_seed(0)
        called = Interface(eager.model, step=step, units=units)
        inputs, outputs = _interface_of(called, state, units)
        traced = Interface(eager.model, Once() if step else Scan(), step=step, units=units)
        text = described(eager.initial_state(1), inputs, outputs, units, about or {})
        data = _encoded(kind, traced, inputs, outputs, text, state)
        with tried_file(path, data) as partial:
            difference = _verified(kind, partial, eager, step, state)
            check_free(path)
    return Exported(path, kind.name, inputs, outputs, len(data), difference, units is not None)


def read_format(name: str | None, path: AnyPath) -> Format:
    """Return the format of that name, or the one that the path's ending names; pt2 where there is neither.

    Raises:
        UsageError: there is none, or the ending names another, or no format.
    """
    path = as_path(path)
    if name is not None and name not in FORMATS:
        raise UsageError(f"unknown format {name!r}{nearest(name, FORMATS)}; one of {', '.join(FORMATS)}")
    suffix = path.suffix.lower()
    endings = " or ".join(f".{known}" for known in FORMATS)
    stem, dot, ending = path.name.rpartition(".")
    if dot and not stem.strip(". "):
        known = f".{ending.lower()}" if ending.lower() in FORMATS else f".{name or 'pt2'}"
        raise UsageError(f"{path} is an ending without a name; put a name before it, such as model{known}")
    if dot and not ending:
        raise UsageError(f"{path} ends in a dot; the file of a model ends in {endings}")
    if suffix and suffix[1:] not in FORMATS:
        raise UsageError(f"{path} ends in {path.suffix}; the file of a model ends in {endings}")
    name = name or suffix[1:] or "pt2"
    if suffix and suffix[1:] != name:
        raise UsageError(f"{path} ends as a file of {suffix[1:]}, the format is {name}; change one of them")
    return FORMATS[name]


def check_free(path: AnyPath) -> None:
    """Raise UsageError if something is there, or all is a run's own, ResourceError if nothing can be."""
    path = as_path(path)
    check_not_own(path)
    if os.path.lexists(path):
        raise UsageError(f"{path} exists already; give another file")
    if not path.parent.is_dir():
        raise ResourceError(f"{path} cannot be written: there is no folder {path.parent}")


def _on_cpu(model: Model | RNN) -> Model | RNN:
    if not isinstance(model, Model | RNN):
        raise KindError(f"the model is a {type(model).__name__}; only an rnnkit.Model or rnnkit.RNN can be exported")
    tensors = [*model.parameters(), *model.buffers()]
    return model if all(t.device.type == "cpu" for t in tensors) else deepcopy(model).cpu()


def _units_on_cpu(units: Units | None) -> Units | None:
    if units is None:
        return None
    if not isinstance(units, Units):
        raise KindError(
            f"units is a {type(units).__name__}; it must be a rnnkit.Units, as Task.units gives it, or None"
        )
    modules = {name: deepcopy(getattr(units, name)).cpu() for name in ("inputs", "outputs")}
    return units._replace(span=units.span.cpu(), **modules)


def _interface_of(
    model: Interface, state: bool, units: Units | None
) -> tuple[tuple[TensorInfo, ...], tuple[TensorInfo, ...]]:
    """Say what goes in and comes out; with units, a model that they do not fit is refused."""
    if units is None:
        return model.inputs(state=state), model.outputs()
    try:
        inputs, outputs = model.inputs(state=state), model.outputs()
    except Exception as error:
        raise UsageError(f"the units do not fit {model.label()}: {reason(error)}") from error
    for what, names, info in (("columns", units.columns, inputs[0]), ("targets", units.targets, outputs[0])):
        if len(names) != info.shape[-1]:
            raise UsageError(
                f"the units name {len(names)} {what}, the {info.name} of {model.label()} has {info.shape[-1]}; "
                "name each"
            )
    return inputs, outputs


def _encoded(
    kind: Format, model: Interface, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo], text: str, state: bool
) -> bytes:
    try:
        return kind.encode(trace(model, state=state), inputs, outputs, text)
    except RnnkitError:
        raise
    except Exception as error:
        raise UsageError(f"{model.label()} cannot be exported to {kind.name}: {reason(error)}") from error


def _verified(kind: Format, path: Path, model: Interface, step: bool, state: bool) -> float:
    try:
        return verify(kind.load(path), model, step=step, state=state)
    except RnnkitError:
        raise
    except Exception as error:
        raise CheckError(f"{model.label()}: the file of {kind.name} does not run: {reason(error)}") from error


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep back what torch's exporters say of themselves."""
    loggers = [logging.getLogger(f"torch.{name}") for name in ("onnx", "export", "_export", "_dynamo", "fx")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
