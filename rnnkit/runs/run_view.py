"""The view of a run in a notebook: its settings, how far it came, and its curve."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from rnnkit.support import html_page
from rnnkit.support.figures import COLOURS, black_on_nothing, new_axes, svg_of

if TYPE_CHECKING:
    from rnnkit.runs.history import RunHistory


def run_html(history: "RunHistory") -> str:
    """Return a run as HTML: its settings, the last figures, and the metric over the updates."""
    settings = history.settings
    metric = settings.task_class.metric_named(**settings.task_options)
    steps = int(history.step[-1]) if len(history.step) else 0
    facts = {
        "run": history.name,
        "cell": f"{settings.cell}, hidden size {settings.hidden}, layers {settings.layers}",
        "task": settings.task,
        "updates": f"{steps:,} of {settings.steps:,}",
    }
    if len(history.metric):
        facts[f"{metric}, training"] = f"{history.metric[-1]:.4f}"
    if len(history.validation.metric):
        facts[f"{metric}, validation"] = f"{history.validation.metric[-1]:.4f}"
    drawn = _picture(history, metric) if steps > 1 and find_spec("matplotlib") else ""
    return html_page.fragment([html_page.facts(facts), drawn, html_page.details("Every setting", settings.to_toml())])


def _picture(history: "RunHistory", metric: str) -> str:
    with black_on_nothing():
        axes = new_axes("the picture of a run", 2.8)
        axes.plot(history.step, history.metric, color=COLOURS[0], linewidth=1, alpha=0.8, label="training")
        if np.isfinite(history.validation.metric).any():
            axes.plot(history.validation.step, history.validation.metric, "o", color=COLOURS[1], label="validation")
        axes.set_xlabel("updates")
        axes.set_ylabel(metric)
        axes.grid(alpha=0.3)
        axes.legend()
        svg = svg_of(axes.figure, f"{metric} of {history.name} over {int(history.step[-1])} updates")
    return html_page.picture(svg, "")
