"""A session with tests of cells: which they are, and what is said of them at its end."""

from typing import Any

import pytest

from rnnkit.errors import RnnkitError
from rnnkit.plugin.cell_spec import CellChoice
from rnnkit.pytest_plugin.package import cells_named, cells_of_package
from rnnkit.pytest_plugin.promise_item import CERTIFICATE, CellNode


class CellSession:
    """The tests of cells of one session, in each of its processes.

    Args:
        config: pytest's.
        named: names of cells with commas between; "": all of the package under test.
    """

    def __init__(self, config: pytest.Config, named: str) -> None:
        self._root = config.rootpath
        self._named = named
        config.addinivalue_line("markers", "rnnkit_cell: a promise of a cell, which `--rnnkit-cells` tests")

    @pytest.hookimpl(tryfirst=True)  # before -k and -m choose among them
    def pytest_collection_modifyitems(self, session: pytest.Session, items: list[pytest.Item]) -> None:
        """Add a test for each promise of each cell."""
        for name, choice in self._cells().items():
            node = CellNode.from_parent(session, name=name, nodeid=name, choice=choice)
            items.extend(node.collect())

    def _cells(self) -> dict[str, CellChoice]:
        try:
            return cells_named(self._named) if self._named else cells_of_package(self._root)
        except RnnkitError as error:
            raise pytest.UsageError(f"rnnkit: {error}") from None

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the certificate: a row for each cell whose gradients were checked."""
        found: dict[str, dict[int, dict[str, Any]]] = {}
        for outcome in ("passed", "failed"):
            for report in terminalreporter.getreports(outcome):
                for label, told in report.user_properties:
                    if label == CERTIFICATE:
                        found.setdefault(told["cell"], {})[told["order"]] = told
        if not found:
            return
        terminalreporter.section("gradients against central differences, in float64")
        width = max(map(len, ["cell", *found]))
        terminalreporter.write_line(f"{'cell':{width}}  {'first order':>11}  {'second order':>12}  {'cases':>6}")
        for name, orders in sorted(found.items()):
            worst = [f"{orders[order]['worst']:.1e}" if order in orders else "-" for order in (1, 2)]
            cases = sum(told["cases"] for told in orders.values())
            terminalreporter.write_line(f"{name:{width}}  {worst[0]:>11}  {worst[1]:>12}  {cases:>6}")
