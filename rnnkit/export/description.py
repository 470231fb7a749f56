"""What a file says of itself, as JSON: all that whoever runs it must know."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

import rnnkit
from rnnkit.core.units import Units
from rnnkit.errors import KindError, UsageError
from rnnkit.export.interface import Table, TensorInfo


def described(
    start: Table,
    inputs: Sequence[TensorInfo],
    outputs: Sequence[TensorInfo],
    units: Units | None,
    about: Mapping[str, Any],
) -> str:
    """Write it down.

    Args:
        start: the state that a sequence begins with, of one row.
        inputs: what goes in.
        outputs: what comes out.
        units: what they are in; None: as the model has them.
        about: what else is to be kept.

    Raises:
        KindError: `about` is not JSON.
        UsageError: it has a name that the file has itself.
    """
    rows = {name: tensor[0] for name, tensor in start.items()}
    known = {
        "rnnkit": rnnkit.__version__,
        "torch": torch.__version__,
        "inputs": [info._asdict() for info in inputs],
        "outputs": [info._asdict() for info in outputs],
        "initial_state": {name: row.tolist() if row.any() else 0 for name, row in rows.items()},
        "units": None if units is None else {"input": list(units.columns), "output": list(units.targets)},
    }
    for name in known.keys() & about.keys():
        raise UsageError(f"about has {name!r}, which the file says itself; give it another name")
    try:
        return json.dumps({**known, **about})
    except (TypeError, ValueError) as error:
        raise KindError(f"about cannot be written as JSON: {error}") from None
