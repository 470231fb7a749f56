"""State trajectory: the path of the states in the plane in which they move most."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from rnnkit.errors import DivergedError, check_whole
from rnnkit.inspection.coordinates import differentiable, flatten
from rnnkit.inspection.passage import Passage, check_states, traverse
from rnnkit.inspection.result import Inspection, Numbers
from rnnkit.inspection.study import Drawn, states_left_out, studying
from rnnkit.inspection.wording import count, percent
from rnnkit.support.figures import COLOURS, legend_below

PATHS = 3
"""Rows that are drawn."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StateTrajectory(Inspection):
    """Principal components of the states; see `state_trajectory`."""

    title = "Paths of the state"

    components: Numbers
    """Directions in the space of all states (k, N), each of length 1, the first one with the largest variance."""
    center: Numbers
    """The mean state (N,)."""
    explained: Numbers
    """The share of the variance along each of them (k,)."""
    projections: Numbers
    """Where the states are along them, (T, B, k), after each step."""
    coordinates: tuple[str, ...]
    """What each of the N numbers is: "h[0]", "h[1]", ...; a complex number is two of them."""

    @property
    def dimension(self) -> float:
        """How many directions the states use: (Σ variance)² / Σ variance², the participation ratio of those kept."""
        total = float(np.square(self.explained).sum())
        return float(self.explained.sum()) ** 2 / total if total else 0.0

    @property
    def reading(self) -> str:
        """What the numbers say, in one sentence."""
        kept = len(self.explained)
        if not self.explained.any():
            return f"The states, {count(self.components.shape[1], 'number')} each, do not move at all."
        return (
            f"{count(kept, 'direction')} of {self.components.shape[1]} hold {percent(float(self.explained.sum()))} of "
            f"how the states vary, the first one {percent(float(self.explained[0]))}."
        )

    @property
    def normal(self) -> str:
        """What is normal, in one sentence."""
        return (
            "Under noise a new cell spreads over many directions; one that was trained to remember a few things moves "
            "in few."
        )

    @property
    def advice(self) -> str:
        """What to do when it is not normal, in one sentence."""
        return (
            "If a trained cell uses a few directions alone, fewer units may do; if all paths end in one point, it may "
            "be stuck there."
        )

    def rows(self) -> list[tuple[str, str]]:
        """Return the main numbers, each with what it is."""
        return [(f"variance along component {k + 1}", percent(float(v))) for k, v in enumerate(self.explained)]

    def _draw(self, axes: Any) -> None:
        from matplotlib.collections import LineCollection
        from matplotlib.colors import LinearSegmentedColormap

        steps = len(self.projections)
        colours = LinearSegmentedColormap.from_list("time", [COLOURS[0], COLOURS[3], COLOURS[1]])
        flat = self.projections if self.projections.shape[2] > 1 else np.repeat(self.projections, 2, 2)
        for row in range(min(PATHS, flat.shape[1])):
            points = flat[:, row, :2]
            path = LineCollection(list(np.stack([points[:-1], points[1:]], 1)), cmap=colours, linewidth=1.3, alpha=0.85)
            path.set_array(np.arange(1, steps))
            path.set_clim(0, max(1, steps - 1))
            axes.add_collection(path)
            axes.plot(*points[0], "o", color=COLOURS[0], markersize=6, label="" if row else "first step")
            axes.plot(*points[-1], "s", color=COLOURS[1], markersize=6, label="" if row else "last step")
        axes.autoscale_view()
        labels = [f"component {k + 1} ({percent(float(v))})" for k, v in enumerate(self.explained[:2])]
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[-1])
        axes.grid(alpha=0.3)
        legend_below(axes)
        if steps > 1:
            axes.figure.colorbar(path, ax=axes, label="step")


def state_trajectory(
    subject: Any,
    inputs: Any = None,
    *,
    components: int = 2,
    steps: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    **options: Any,
) -> StateTrajectory:
    """Return the principal components of all states of all cells together, and the paths along them.

    Args:
        subject: a cell's name, expression or class, a Cell, an `rnnkit.RNN` or an `rnnkit.Model`.
        inputs: as the subject takes them, (T, B, D), or symbols (T, B); None: from a standard normal distribution.
        components: k, how many are kept.
        steps: T, where inputs are drawn.
        batch_size: B, where inputs are drawn.
        seed: of everything that is drawn.
        **options: `input_size` (8), `hidden_size` (32) and the cell's own, for a cell by name or class.

    Raises:
        UsageError: an argument that cannot be honoured. ShapeError: inputs that do not fit.
        DivergedError: a state is not finite.

    Source: Pearson, "On Lines and Planes of Closest Fit to Systems of Points in Space", Philosophical Magazine 2(11),
    1901.
    """
    check_whole("components", components)
    with studying(subject, inputs, Drawn(steps, batch_size, seed, options)) as study, torch.no_grad():
        check_states(study.subject)
        passage = traverse(study.subject, study.xs)
        parts = [torch.stack(run.in_time([flatten(state) for state in run.returned])).double() for run in passage.runs]
        together = torch.cat(parts, 2).cpu().numpy()  # (T, B, N)
        finite = np.isfinite(together).all((1, 2))
        if not finite.all():
            raise DivergedError(
                f"{study.subject.label}: the states are not finite from step {int(np.argmin(finite))} on, so they have "
                "no principal components; look at them with rnnkit.inspection.record"
            )
        center = together.mean((0, 1))
        points = (together - center).reshape(-1, together.shape[2])
        _, lengths, directions = np.linalg.svd(points, full_matrices=False)
        kept = min(components, len(lengths))
        # A direction and its opposite are the same; here the largest part is positive.
        signs = np.sign(directions[np.arange(len(directions)), abs(directions).argmax(1)])[:, None]
        directions = (signs * directions)[:kept]
        variance = np.square(lengths)
        total = variance.sum()
        return StateTrajectory(
            subject=study.subject.label,
            notes=(*study.notes, *states_left_out(study.subject)),
            components=directions,
            center=center,
            explained=variance[:kept] / total if total else np.zeros(kept),
            projections=(points @ directions.T).reshape(*together.shape[:2], kept),
            coordinates=tuple(_coordinates(passage)),
        )


def _coordinates(passage: Passage) -> list[str]:
    names = []
    for run in passage.runs:
        for name, tensor in zip(run.part.state_labels(), run.states[0], strict=True):
            width = tensor[:1].numel() * (2 if tensor.is_complex() else 1)
            names += [f"{name}[{k}]" for k in range(width)] if differentiable(tensor) else []
    return names
