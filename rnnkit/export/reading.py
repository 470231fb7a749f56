"""Reading back what an exported file says of itself."""

import json
from typing import Any

from rnnkit.errors import DataError, RnnkitError, one_line
from rnnkit.export.file import read_format
from rnnkit.support.paths import AnyPath, as_path


def read_exported(path: AnyPath) -> dict[str, Any]:
    """Return what a file of `export_model` says of itself: tensors, initial state, versions, and what was added.

    A file that `rnnkit export` made also has "task", "task_options", "cell", "settings", "data" and "fingerprint", and
    "symbols" where the task is of text. `units` names what goes in and comes out, in the data's own units; None: they
    are as the model has them.

    Args:
        path: of a file that ends in .pt2 or .onnx.

    Raises:
        UsageError: the ending is another.
        DataError: it is not there, or is no file that rnnkit has exported.
        ResourceError: a package is not installed.
    """
    path = as_path(path)
    kind = read_format(None, path)
    kind.check_packages()
    if not path.is_file():
        raise DataError(f"{path} is not there; give a file that `rnnkit export` wrote")
    try:
        about: dict[str, Any] = json.loads(kind.read_about(path))
    except RnnkitError:
        raise
    except Exception as error:
        raise DataError(f"{path} is no file that `rnnkit export` wrote ({one_line(error)}); export it again") from None
    return about
