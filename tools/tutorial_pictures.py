"""The pictures of the tutorials, drawn from what the code on their pages computes and from what was measured once.

    python tools/tutorial_pictures.py              ->  docs/assets/tutorials/*.svg
    python tools/tutorial_pictures.py bptt_steps   ->  that one alone

A function here is a picture: `bptt_steps` draws bptt-steps.svg. It takes the variables that a page has when all of its
blocks have run, or the figures that tools/tutorial_measurements.py has written. Run again, it writes the same files.
"""

import json
import sys

import matplotlib
import numpy as np
import torch
from tutorial_canvas import (
    BLUE,
    FOLDER,
    GREEN,
    GREY,
    MANY,
    ORANGE,
    ROOT,
    Figure,
    Picture,
    draw,
    legend_above,
    measured,
    page,
    panels,
)

from rnnkit.support.figures import COLOURS, DASHES


def bptt_steps() -> tuple[Figure, str]:
    """Draw the unrolled graph of five steps: gates, states, and the gradients on their way back."""
    steps = page("bptt.md")["steps"]
    figure, axes = panels(height=5.0)
    axes.axis("off")
    axes.set(xlim=(0.1, len(steps) + 0.6), ylim=(-1.75, 6.1))
    cell_row, hidden_row = 4.3, 0.9
    arrow = {"arrowstyle": "-|>", "linewidth": 1.3, "shrinkA": 0, "shrinkB": 0}

    def point(start: tuple[float, float], end: tuple[float, float], colour: str, label: str = "") -> None:
        axes.annotate("", end, start, arrowprops={**arrow, "color": colour})
        if label:
            axes.text((start[0] + end[0]) / 2, start[1] + 0.12, label, ha="center", fontsize=8)

    for t, step in enumerate(steps, start=1):
        value = {name: tensor.item() for name, tensor in step.items()}
        axes.add_patch(matplotlib.patches.Rectangle((t - 0.3, 1.55), 0.68, 2.1, fill=False, ec=GREY, lw=0.8))
        for k, gate in enumerate("ifgo"):
            y = 3.2 - 0.5 * k
            axes.text(t - 0.25, y, gate, style="italic", fontsize=9)
            axes.barh(y + 0.13, 0.45 * value[gate], left=t - 0.12, height=0.3, color=BLUE, alpha=0.35)
            axes.text(t - 0.1, y, f"{value[gate]:.2f}", fontsize=8)
        for row, name in ((cell_row, "c"), (hidden_row, "h")):
            axes.scatter([t], [row], s=620, facecolors="none", edgecolors=BLUE, linewidths=1.3)
            axes.text(t, row, f"{value[name]:.2f}", ha="center", va="center", fontsize=9)
            back = cell_row + 1.15 if name == "c" else hidden_row - 1.15
            axes.text(t, back, f"{step[name].grad.item():.2f}", ha="center", va="center", fontsize=9, color=ORANGE)
            if t < len(steps):
                forget = f"×{steps[t]['f'].item():.2f}" if name == "c" else ""
                point((t + 0.24, row), (t + 0.76, row), BLUE, forget)
                point((t + 0.74, back), (t + 0.27, back), ORANGE, forget)
        point((t, 3.65), (t, cell_row - 0.33), BLUE)
        point((t, 1.55), (t, hidden_row + 0.33), BLUE)
        word = {1: "write", len(steps): "read"}.get(t, "–")
        axes.text(t, -1.55, f"$t = {t}$\n{word}", ha="center", va="bottom", fontsize=9)
    for y, label, colour in (
        (cell_row + 1.15, r"$\partial L/\partial c_t$", ORANGE),
        (cell_row, "$c_t$", "black"),
        (2.6, "gates", "black"),
        (hidden_row, "$h_t$", "black"),
        (hidden_row - 1.15, r"$\partial L/\partial h_t$", ORANGE),
    ):
        axes.text(0.12, y, label, va="center", fontsize=9, color=colour)
    return figure, (
        "An LSTM of one unit over five steps. The first input opens the input gate and c becomes "
        f"{steps[0]['c'].item():.2f}; the forget gate of 0.90 keeps it; at step five the output gate opens. The "
        f"gradient is {steps[-1]['h'].grad.item():.2f} at h of step 5, {steps[-1]['c'].grad.item():.2f} at c of step "
        f"5, and along c still {steps[0]['c'].grad.item():.2f} at step 1."
    )


def bptt_by_hand() -> tuple[Figure, str]:
    """Draw gradients by autograd against those by hand, and what detaching c does to them."""
    variables = page("bptt.md")
    hand = dict(zip(variables["names"], variables["by_hand"], strict=True))
    figure, axes = panels(height=3.6)
    for k, (name, tensor) in enumerate(hand.items()):
        autograd = variables["by_autograd"][k]
        axes.plot(tensor.flatten(), autograd.flatten(), "o", ms=4, mew=0, label=name, color=MANY[k])
    wrong = torch.cat([tensor.flatten() for tensor in variables["detached"]])
    axes.plot(
        torch.cat([t.flatten() for t in hand.values()]),
        wrong,
        "x",
        ms=3.5,
        mew=0.8,
        color=GREY,
        zorder=1,
        label="c detached",
    )
    axes.set(xlabel="gradient by hand", ylabel="gradient by autograd")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, handletextpad=0.1)
    return figure, (
        "Every element of the seven gradients, by autograd against by hand: all points lie on the diagonal. With c "
        "detached at every step they scatter around it."
    )


def flow_kinds() -> tuple[Figure, str]:
    """Draw a vanishing, a healthy and an exploding gradient."""
    kinds = page("gradient-flow.md")["kinds"]
    figure, axes = panels()
    for k, (name, flow) in enumerate(kinds.items()):
        shares = flow.total / flow.total[0]
        axes.plot(flow.lags, shares, linewidth=1.8, color=(BLUE, GREEN, ORANGE)[k])
        axes.text(101, shares[-1], f"{name}\n({flow.verdict})", va="center", fontsize=9)
    axes.axhspan(1e-4, 1e3, color=GREY, alpha=0.12, linewidth=0)
    axes.set(xlabel="steps back", ylabel="share of the gradient", yscale="log", xlim=(0, 134), xticks=range(0, 101, 20))
    axes.set_ylim(1e-31, 1e15)
    said = "; ".join(f"{name}: {flow.left:.0e} left after 100 steps, {flow.verdict}" for name, flow in kinds.items())
    return figure, f"Gradient flow of three layers. {said}."


def flow_remedies() -> tuple[Figure, str]:
    """Draw what is left of the gradient of an LSTM under five initialisations."""
    shares = page("gradient-flow.md")["shares"]
    figure, axes = panels(height=2.6)
    places = range(len(shares))
    axes.hlines(places, 1e-22, shares.values(), color=BLUE, linewidth=2, alpha=0.5)
    axes.plot(shares.values(), places, "o", color=BLUE)
    axes.set(xscale="log", xlim=(1e-22, 1e2), xlabel="share of the gradient, 100 steps back", yticks=places)
    axes.set_yticklabels(shares)
    axes.set_xticks([1e-20, 1e-15, 1e-10, 1e-5, 1])
    axes.minorticks_off()
    axes.invert_yaxis()
    said = ", ".join(f"{name} {share:.0e}" for name, share in shares.items())
    return figure, f"Share of the gradient that is left 100 steps back: {said}."


def flow_training() -> tuple[Figure, str]:
    """Draw gradient flow, error and gates over a training."""
    run = measured("watched")
    figure, (flow, error, gates) = panels(3, 6.4, sharex=True)
    steps = [snapshot["step"] for snapshot in run["snapshots"]]
    for k, lag in enumerate(run["snapshots"][0]["left"]):
        flow.plot(steps, [s["left"][lag] for s in run["snapshots"]], label=f"{lag} back", color=COLOURS[k])
    flow.set(yscale="log", ylabel="share of the gradient")
    legend_above(flow, 4)
    middles = [run["bin"] * (k + 0.5) for k in range(len(run["errors"]))]
    error.plot(middles, run["errors"], color=BLUE, label="as torch begins")
    error.plot(middles, run["chrono"], "--", color=ORANGE, label="chrono_(layer, 50)")
    error.axhline(1 / 6, color=GREY, linewidth=1)
    error.set(yscale="log", ylabel="error (MSE)")
    legend_above(error)
    for k, gate in enumerate("ifgo"):
        shares = [100 * (s["closed"][gate] + s["open"][gate]) for s in run["snapshots"]]
        gates.plot(steps, shares, color=COLOURS[k], label=gate)
    gates.set(ylabel="at an end, %", xlabel="updates", ylim=(0, None))
    legend_above(gates, 4)
    return figure, (
        "An LSTM learns the adding problem: for 650 updates hardly a billionth of the gradient is left 50 steps back "
        "and the error stays at 0.167; then the share rises to one, and the error falls to 0.001. With chrono "
        "initialisation the error falls 250 updates earlier. Few gates are at an end of their range."
    )


def long_memory() -> tuple[Figure, str]:
    """Draw the memory of an update against the length of the sequence."""
    figures = measured("memory")
    figure, axes = panels()
    for k, (label, sizes) in enumerate(figures["bytes"].items()):
        axes.plot(figures["lengths"], np.array(sizes) / 2**20, DASHES[k], marker=".", color=COLOURS[k], label=label)
    axes.set(xscale="log", yscale="log", xlabel="steps of the sequence, T", ylabel="memory of an update, MiB")
    axes.set_xticks([250, 1000, 4000, 16000, 64000], ["250", "1,000", "4,000", "16,000", "64,000"])
    axes.minorticks_off()
    axes.set_yticks([10, 100, 1000, 10000], ["10", "100", "1,000", "10,000"])
    legend_above(axes)
    last = {label: sizes[-1] / 2**30 for label, sizes in figures["bytes"].items()}
    said = ", ".join(f"{label} {size:.1f} GiB" for label, size in last.items())
    return figure, f"Memory of one update against the length of the sequence. At 64,000 steps: {said}."


def long_truncation() -> tuple[Figure, str]:
    """Draw the cosine of truncated gradients to the whole one."""
    biases = page("long-sequences.md")["biases"]
    figure, axes = panels()
    for k, (label, bias) in enumerate(biases.items()):
        axes.plot(bias.windows, bias.cosine, marker="o", color=COLOURS[k], label=label)
    axes.set(xscale="log", ylim=(0, 1.05), xlabel="steps of a window, of 256", ylabel="cosine to the whole gradient")
    axes.set_xticks(bias.windows, [f"{int(window)}" for window in bias.windows])
    axes.minorticks_off()
    legend_above(axes, 1)
    said = "; ".join(f"{label}: {b.cosine[0]:.2f} at 1 step, {b.cosine[3]:.2f} at 64" for label, b in biases.items())
    return figure, f"Cosine of the truncated gradient to the whole one. {said}."


def cell_flow() -> tuple[Figure, str]:
    """Draw the gradient flow of the MGU beside that of two known cells."""
    flows = page("write-a-cell.md")["flows"]
    figure, axes = panels()
    for k, (name, flow) in enumerate(flows.items()):
        axes.plot(flow.lags, flow.total / flow.total[0], DASHES[k], color=COLOURS[k], label=name)
    axes.set(xlabel="steps back", ylabel="share of the gradient", yscale="log")
    legend_above(axes, 3)
    said = ", ".join(f"{name} every {flow.half_life:.1f} steps" for name, flow in flows.items())
    return figure, f"Gradient flow of new cells; it halves: {said}."


def cell_race() -> tuple[Figure, str]:
    """Draw the validations of the race: medians, and bands from the lowest to the highest."""
    figure, axes = panels()
    said = []
    for k, (label, curves) in enumerate(measured("race").items()):
        errors = np.array(curves["errors"])
        median = np.median(errors, axis=0)
        axes.fill_between(curves["steps"], errors.min(0), errors.max(0), color=COLOURS[k], alpha=0.15, linewidth=0)
        axes.plot(curves["steps"], median, DASHES[k], color=COLOURS[k], label=label)
        said.append(f"{label} {median[-1]:.1e}")
    axes.axhline(1 / 6, color=GREY, linewidth=1)
    axes.set(xlabel="updates", ylabel="validation error (MSE)", yscale="log")
    legend_above(axes, 3)
    return figure, f"Validation error against updates on the adding problem, medians at the end: {', '.join(said)}."


def drop_in_speed() -> tuple[Figure, str]:
    """Draw the time of a pass with nn.LSTM and with rnnkit."""
    benchmarks = json.loads((FOLDER.parent / "benchmarks.json").read_text(encoding="utf-8"))
    runs = benchmarks["lstm"]["runs"]["default allocator"]
    after = np.array([1e3 * run["seconds"] for run in runs])
    before = after * [run["rivals"]["nn.LSTM"]["median"] for run in runs]
    figure, axes = panels(height=3.4)
    places = range(len(runs))
    axes.hlines(places, after, before, color=GREY, linewidth=1.5, alpha=0.6)
    axes.plot(before, places, "o", color=GREY, label="torch.nn.LSTM")
    axes.plot(after, places, "o", color=BLUE, label='rnnkit.RNN("lstm")')
    for place, old, new in zip(places, before, after, strict=True):
        axes.text(old * 1.12, place, f"{old / new:.2f}", va="center", fontsize=8.5)
    axes.set(xscale="log", xlabel="milliseconds; the number: before / after", yticks=places, xlim=(0.6, 1500))
    axes.set_yticklabels(", ".join(run["size"].split("x")) for run in runs)
    axes.set_xticks([1, 10, 100, 1000], ["1", "10", "100", "1,000"])
    axes.invert_yaxis()
    legend_above(axes)
    low, high = (before / after).min(), (before / after).max()
    return figure, f"Time of a pass before and after, for eight sizes: rnnkit is {low:.2f} to {high:.2f} times as fast."


def forecast() -> tuple[Figure, str]:
    """Draw the end of the test and what comes after it: the truth, the forecast and the interval."""
    variables = page("forecasting.md")
    made, ahead = variables["forecast"], variables["task"].horizon
    values, lower, upper, actual = (part[-168:, 0] for part in (made.values, made.lower, made.upper, made.actual))
    hours = np.arange(168) - 167 + ahead
    figure, axes = panels(height=3.0)
    axes.fill_between(hours, lower, upper, color=ORANGE, alpha=0.2, linewidth=0, label=f"{made.interval:.0%} interval")
    axes.plot(hours, actual, color="black", linewidth=1.3, label="what came")
    axes.plot(hours, values, color=ORANGE, linewidth=1.3, label="forecast")
    axes.set(xlabel="hours from the last row of the table", ylabel="demand", xticks=range(-144, 1, 24))
    legend_above(axes, 3)
    ours = made.errors[0]
    return (
        figure,
        f"A week of demand, its forecast up to six hours before and six hours beyond the end; it is off by "
        f"{ours.mae:.2f} on average, and the interval holds {made.coverage[0]:.0%} of what came.",
    )


def labels() -> tuple[Figure, str]:
    """Draw which labels are taken for which, of the texts kept for a test."""
    variables = page("labels.md")
    made = variables["task"].predictor(variables["model"], {}).predict()
    return made.plot(), made.describe()


PICTURES: tuple[Picture, ...] = (
    bptt_steps,
    bptt_by_hand,
    flow_kinds,
    flow_remedies,
    flow_training,
    long_memory,
    long_truncation,
    cell_flow,
    cell_race,
    drop_in_speed,
    forecast,
    labels,
)


def main(names: list[str]) -> None:
    """Draw those pictures, or all."""
    for picture in PICTURES:
        if not names or picture.__name__ in names:
            path = draw(picture)
            print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
