"""A table of a series whose best forecast is known."""

import pytest

from .known_series import series, write


@pytest.fixture
def values():
    """Return 400 values of the series."""
    return series(400)


@pytest.fixture
def file(tmp_path, values):
    """Write a table of them."""
    return write(tmp_path / "table.csv", values)
