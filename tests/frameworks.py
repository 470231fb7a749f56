"""Other frameworks, which only the slow tests use."""

import pytest


def need(name):
    """Import a framework, or skip the test for its absence."""
    return pytest.importorskip(name, reason=f"{name} is in the extra 'oracles'", exc_type=ImportError)
