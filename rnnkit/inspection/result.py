"""The result of an inspection: numbers, one sentence that reads them, what is normal, what to do; and a picture."""

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from html import escape
from importlib.util import find_spec
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rnnkit.support.figures import SIZE, black_on_nothing, new_axes, svg_of

Numbers: TypeAlias = NDArray[np.float64]
Values: TypeAlias = NDArray[Any]
"""Of whatever kind a tensor has: real, complex, whole."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Inspection(ABC):
    """What a function of this room returns."""

    subject: str
    """What was inspected: the cell's name, or the layer's or model's."""

    notes: tuple[str, ...] = ()
    """What was left out, replaced or could not be seen, one sentence each."""

    title: ClassVar[str]
    """What was asked, in a few words; stands above the picture."""

    @property
    @abstractmethod
    def reading(self) -> str:
        """What the numbers say, in one sentence."""

    @property
    @abstractmethod
    def normal(self) -> str:
        """What is normal, in one sentence."""

    @property
    @abstractmethod
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""

    @abstractmethod
    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is: for a small table."""

    def _height(self) -> float:
        """Return the height of a new picture, in inches."""
        return SIZE[1]

    @abstractmethod
    def _draw(self, axes: Any) -> None:
        """Draw the numbers into matplotlib's axes."""

    def plot(self, axes: Any = None) -> Any:
        """Draw into matplotlib's axes, by default those of a new figure, and return them (`axes.figure` saves it).

        Raises:
            UsageError: there is no matplotlib.
        """
        if axes is None:
            axes = new_axes(f"{type(self).__name__}.plot()", self._height())
        self._draw(axes)
        axes.set_title(f"{self.title}: {self.subject}", fontsize="medium")
        return axes

    def to_json(self) -> dict[str, Any]:
        """Return everything as `json.dumps` takes it; a number that is not finite becomes None."""
        kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()
        own = {field.name: plain(getattr(self, field.name)) for field in fields(self) if field.repr}
        sentences = {"reading": self.reading, "normal": self.normal, "advice": self.advice}
        return {"kind": kind, **own, **sentences}

    def _repr_html_(self) -> str:
        """Return a table, the sentences and, where there is matplotlib, the picture: for notebooks and pages."""
        rows = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(label)}</th><td>{escape(value)}</td></tr>'
            for label, value in self.rows()
        )
        table = f"<table><caption>{escape(self.title)}: {escape(self.subject)}</caption>{rows}</table>"
        sentences = (self.reading, self.normal, self.advice, *self.notes)
        texts = "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)
        picture = f'<div style="max-width:40rem">{self.svg()}</div>' if find_spec("matplotlib") else ""
        return f"<div>{table}{texts}{picture}</div>"

    def svg(self) -> str:
        """Return the picture as SVG for a page, in the colours of the text around it; its title is the reading.

        Raises:
            UsageError: there is no matplotlib.
        """
        new_axes(f"{type(self).__name__}.svg()")
        with black_on_nothing():
            return svg_of(self.plot().figure, f"{self.title}: {self.subject}. {self.reading}")


def plain(value: Any) -> Any:
    """Return a value in lists, dicts, numbers and texts, as JSON has them; what is not finite as None."""
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, complex | np.complexfloating):
        return [plain(value.real), plain(value.imag)]
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value) if field.repr}
    if isinstance(value, tuple | list):
        return [plain(part) for part in value]
    return value
