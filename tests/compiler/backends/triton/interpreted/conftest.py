"""The suite of interpreted kernels: in a process of its own, where Triton interprets what it else compiles."""

import pytest

from rnnkit_compiler.backends.triton import availability


def pytest_collection_modifyitems(items):
    """Skip all of this folder where kernels cannot be interpreted, and say why."""
    reason = "Triton is not installed" if availability.triton_version() is None else ""
    if not reason and not availability.is_interpreted():
        reason = f"{availability.INTERPRET}=1 is not in the environment: make test has a run with it"
    for item in items if reason else ():
        if item.path.parent.name == "interpreted":
            item.add_marker(pytest.mark.skip(reason=reason))
