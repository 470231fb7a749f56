"""The tables of many cores are what the model says now."""

import many_cores
import pytest


@pytest.mark.parametrize("name", ["many-cores.md", "many-cores-grids.md"])
def test_the_tables_are_what_the_model_says(name):
    """Write them anew: python tools/many_cores.py."""
    assert (many_cores.ASSETS / name).read_text(encoding="utf-8") == many_cores.tables()[name]
