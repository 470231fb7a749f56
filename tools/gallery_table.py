"""What the gallery shows: each picture, how it is made, and what is to be seen in it."""

from typing import NamedTuple

RACE = "rnnkit race --cells lstm,gru,rnn --task adding --seq-len 50 --target 0.01 --out race"
TRAINED = "rnnkit run --cell lstm --task adding --seq-len 30 --steps 300 --inspect-every 30 --out runs/adding"


class Picture(NamedTuple):
    """A picture of the gallery."""

    name: str
    """Of its file, docs/assets/gallery/NAME.svg, and of its place on the page."""
    title: str
    alt: str
    """What is to be seen, for those who do not see it."""
    caption: str
    """How it is read."""
    commands: tuple[str, ...] = ()
    """Run one after the other in one folder; what an earlier picture has run is not run again."""
    file: str = ""
    """Which of the files that the commands write."""
    python: str = ""
    """In place of commands: code that leaves the result in `picture`."""
    wide: bool = False
    slow: bool = False
    """More than a few seconds: tests draw it with the slow ones."""
    timed: bool = False
    """Shows times, which are others each time."""


def inspected(name: str, file: str, title: str, alt: str, caption: str, words: str = "--cell lstm") -> Picture:
    """Return one question of `rnnkit inspect`, asked of a new cell."""
    command = f"rnnkit inspect {words} --only {name} --out {name}"
    return Picture(name, title, alt, caption, (command,), f"{name}/{file}.svg")


HOME = Picture(
    "home",
    "Three cells",
    "What is left of the gradient against steps back, on a logarithmic axis: the tanh RNN halves it every step, "
    "the LSTM with forget bias 1 every four, and the leaky cell keeps half of it over a hundred",
    "The picture of the home page: three gradient flows over 100 steps, drawn into one pair of axes.",
    python="""\
import torch
from leaky import Leaky  # docs/examples/leaky.py
from rnnkit import cells, init, inspection

torch.manual_seed(0)
lstm = init.forget_bias_(cells["lstm"](8, 32))
flows = {
    "tanh RNN": inspection.gradient_flow("rnn", steps=100),
    "LSTM, forget bias 1": inspection.gradient_flow(lstm, steps=100),
    "Leaky": inspection.gradient_flow(Leaky, steps=100),
}
""",
)
"""Leaves its three flows in `flows`; tools/gallery.py draws them."""

CELL = [
    HOME,
    inspected(
        "flow",
        "gradient-flow",
        "Gradient flow",
        "The norm of the gradient of h and of c falls on a straight line of a logarithmic axis, to 1e-13 in 64 steps",
        "How much of a gradient is left after so many steps back. A straight line down is a gradient that vanishes.",
    ),
    inspected(
        "jacobian",
        "jacobian-of-the-step",
        "Jacobian of a step",
        "Largest and median singular value and spectral radius of a GRU's Jacobian at each of 64 steps, and a band of "
        "all its singular values; all below 1",
        "By how much one step stretches or shrinks a difference of the state, in each direction of it.",
        "--cell gru",
    ),
    inspected(
        "gates",
        "gates",
        "Gates",
        "How often each gate of an LSTM has which value, as histograms over its range, its first and last tenth marked",
        "Where in its range each gate is, and how often at the ends. A gate that is stuck at an end learns nothing.",
        "--cell lstm --input 256",
    ),
    inspected(
        "memory",
        "effective-memory",
        "Effective memory",
        "How far the last output is off when only the last few steps are known: it falls with their number on a "
        "straight line of a logarithmic axis, and after 10 of them it is below 1 %",
        "How many steps of context the output needs: what changes when everything before is cut off.",
        "--cell gru",
    ),
    inspected(
        "truncation",
        "truncated-bptt",
        "Bias of truncation",
        "Cosine and norm of the truncated gradient against the window, reaching those of the whole gradient",
        "How near the gradient of truncated backpropagation comes to the whole one, for each size of the window.",
        "--cell gru",
    ),
    inspected(
        "saliency",
        "saliency-of-the-input",
        "Saliency",
        "The gradient of the last output with respect to each input, largest at the end of the sequence",
        "Which inputs the last output depends on.",
        "--cell lstm --steps 24",
    ),
    inspected(
        "exploding",
        "growth-of-the-gradient",
        "Growth of the gradient",
        "The factor by which the gradient grows at each step back, about 0.6, and the largest singular value of that "
        "step's Jacobian, about 0.9: both well below the threshold of 2",
        "At which steps a gradient grows on its way back; above 1 it does.",
    ),
    inspected(
        "lyapunov",
        "lyapunov-exponents",
        "Lyapunov exponents",
        "Lyapunov exponents of a GRU in falling order, all of them below zero",
        "Whether two states that are near each other move apart (above zero) or together (below).",
        "--cell gru",
    ),
    Picture(
        "replay",
        "What if?",
        "The difference of the output, h and c from the recording: none before step 20, where it is largest, then "
        "falling on a straight line of a logarithmic axis",
        "A recording is run again with the cell state set to zero before step 20: what that changes, and for how long.",
        python="""\
from rnnkit import inspection

recording = inspection.record("lstm")
picture = inspection.replay(recording, at=20, states={"c": 0.0})
""",
    ),
]

TRAINING = [
    Picture(
        "flow-over-training",
        "Gradient flow over training",
        "The share of the gradient that is left after 4, 8, 15 and 30 steps back, a line each, against updates: all "
        "four fall slowly, to about a millionth after 30",
        "A run that records its gradients as it learns: what is left of them so many steps back, early and late.",
        (TRAINED, "rnnkit inspect runs/adding"),
        "runs/adding/inspection/gradient-flow-over-training.svg",
        slow=True,
    ),
    Picture(
        "gates-over-training",
        "Gates over training",
        "The share of values in the first and last tenth of a gate's range, a line for each gate, against updates: "
        "about a tenth for g and tanh(c), none for i, f and o",
        "Of the same run: how much of the time each gate is at an end of its range.",
        (TRAINED, "rnnkit inspect runs/adding"),
        "runs/adding/inspection/saturated-gates-over-training.svg",
        slow=True,
    ),
    Picture(
        "paths",
        "Paths of the state",
        "The states of three sequences as paths in a plane: they begin on the left, near each other, cross to the "
        "right in a few steps and stay there, in a small region",
        "The way of the trained model's state in its two main directions, a line for each sequence.",
        (TRAINED, "rnnkit inspect runs/adding"),
        "runs/adding/inspection/paths-of-the-state.svg",
        slow=True,
    ),
    Picture(
        "text",
        "A text, read",
        "The gradient of the last output with respect to each character of a sentence, which stands below: large for "
        "the last few letters alone",
        "Which characters a model of text looks at when it guesses the last one.",
        (
            "rnnkit run --task chars --hidden 64 --steps 300 --out runs/chars",
            'rnnkit inspect runs/chars --text "The for statement is used to iterate" --only saliency',
        ),
        "runs/chars/inspection/saliency-of-the-input.svg",
        slow=True,
    ),
]

SIDE_BY_SIDE = [
    Picture(
        "diff",
        "Two cells",
        "Gradient flows of the plain RNN and the LSTM on a logarithmic axis: in 64 steps the RNN's falls to 1e-20, the "
        "LSTM's to 1e-13",
        "Two cells at one size; the command prints equations, parameters, work and Jacobians too.",
        ("rnnkit diff rnn lstm --no-speed --plot diff.svg",),
        "diff.svg",
    ),
    Picture(
        "bench",
        "Speed",
        "Times of torch's GRU and of the plain loop as multiples of rnnkit's, with intervals, for four sizes: all "
        "above 1, the most at batch 1",
        "How many times as long the others take; right of 1 rnnkit is the faster. See [Benchmarks](benchmarks.md).",
        (
            "rnnkit bench --cell gru --against torch,loop --threads 1 --pairs 15 --memory none --plot bench.svg "
            "--sizes 1x100x64x64,8x200x64x64,32x100x128x128,32x64x256x256",
        ),
        "bench.svg",
        slow=True,
        timed=True,
    ),
    Picture(
        "compare",
        "Runs",
        "Error of a GRU and an LSTM on the adding problem against steps, tokens and seconds: the GRU learns it in 300 "
        "steps, the LSTM does not yet",
        "Runs side by side, also while they train: lines are the metric in training, dots that of validation.",
        (
            "rnnkit run --task adding --cell lstm --seq-len 30 --steps 300 --out runs/lstm",
            "rnnkit run --task adding --cell gru --seq-len 30 --steps 300 --out runs/gru",
            "rnnkit compare runs/lstm runs/gru --plot curves.svg",
        ),
        "curves.svg",
        wide=True,
        slow=True,
        timed=True,
    ),
    Picture(
        "race",
        "A race",
        "Validation error on the adding problem against updates, tokens and seconds for LSTM, GRU and plain RNN: "
        "the GRU learns it first, then the LSTM; the plain RNN stays at the baseline",
        "Which cell learns a task best at equal cost: medians over three seeds, ranges as bands, baselines dashed.",
        (RACE,),
        "race/curves.svg",
        wide=True,
        slow=True,
        timed=True,
    ),
]

SECTIONS = {
    "A cell": CELL,
    "A model, over its training": TRAINING,
    "Side by side": SIDE_BY_SIDE,
}
"""In the order of the page."""

PICTURES = {picture.name: picture for section in SECTIONS.values() for picture in section}
