"""The pytest plugin: `pytest --rnnkit-cells` makes a test of each promise of each cell of a package."""

import pytest

OPTION = "--rnnkit-cells"
INI = "rnnkit_cells"
EVERY = ""
"""What the option holds where no cell is named: all that the package registers."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option, and the line of a configuration file that stands for it."""
    parser.getgroup("rnnkit").addoption(
        OPTION,
        nargs="?",
        const=EVERY,
        metavar="NAME,...",
        help="Test each promise of the cells that this package registers, or of those named, by NAME or MODULE:CLASS.",
    )
    parser.addini(INI, f"as {OPTION}: test each promise of the cells that this package registers", "bool", False)


def pytest_configure(config: pytest.Config) -> None:
    """Set up the tests of cells, if they are asked for; else nothing more is imported, torch least of all."""
    named = config.getoption(OPTION)
    if named is not None or config.getini(INI):
        from rnnkit.pytest_plugin.session import CellSession

        config.pluginmanager.register(CellSession(config, named or EVERY), "rnnkit-cells")
