"""A promise of a cell, as a test."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from rnnkit.errors import CheckError
from rnnkit.plugin.cell_spec import CellChoice
from rnnkit.testing.cell_promises import NEEDS, CellPromises
from rnnkit.testing.conformance import Conformance, Sizes, keep_promises

CERTIFICATE = "rnnkit_certificate"
"""The property of a test's report that holds what its gradient check found."""

ORDERS = {"gradients": 1, "second gradients": 2}


class CellNode(pytest.Collector):
    """A cell, whose promises are tests."""

    def __init__(self, choice: CellChoice, **words: Any) -> None:
        super().__init__(**words)
        self.choice = choice
        self.add_marker("rnnkit_cell")

    def collect(self) -> Iterator["PromiseItem"]:
        """Yield a test for each promise."""
        for promise in self.cell.promises():
            yield PromiseItem.from_parent(self, name=promise, nodeid=f"{self.nodeid}::{promise}")

    @cached_property
    def cell(self) -> CellPromises:
        """What is checked."""
        return CellPromises(self.choice.kind, dict(self.choice.options), Sizes())

    @cached_property
    def kept(self) -> dict[str, Conformance]:
        """What became of the promises that were looked at already, each in this process."""
        return {}

    def look_at(self, promise: str) -> Conformance:
        """Check one promise, once."""
        if promise not in self.kept:
            self.kept[promise] = keep_promises(
                self.cell.subject, {promise: self.cell.promises()[promise]}, place_of=self.cell.place_of
            )
        return self.kept[promise]


class PromiseItem(pytest.Item):
    """A promise of a cell."""

    parent: CellNode

    def runtest(self) -> None:
        """Check the promise; skip it where one is broken without which it means nothing."""
        for other in NEEDS.get(self.name, ()):
            if not self.parent.look_at(other).ok:
                pytest.skip(f"left out, for a promise that comes first is broken: {other}")
        result = self.parent.look_at(self.name)
        report = self.parent.cell.reports.get(ORDERS.get(self.name, 0))
        if report is not None and report.rows:
            cases = sum(row.count for row in report.rows)
            found = {"cell": self.parent.name, "order": report.order, "worst": report.worst, "cases": cases}
            self.user_properties.append((CERTIFICATE, found))
        if not result.ok:
            raise CheckError(result.failures[0], result.failures)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the sentences, which end with the author's file and line, and no traceback through rnnkit."""
        if isinstance(excinfo.value, CheckError):
            return "\n".join(excinfo.value.failures)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path | str, int | None, str]:
        """Say where the cell is written."""
        place = self.parent.cell.author.definition()
        title = f"{self.parent.name}::{self.name}"
        return (Path(place.path), place.line - 1, title) if place else (self.path, None, title)
