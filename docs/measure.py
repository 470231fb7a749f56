"""Measure what the documentation states: the loop's speed against the textbook form, and the memory of unrollers.

    python docs/measure.py speed    ->  docs/assets/speed.md
    python docs/measure.py memory   ->  docs/assets/memory.md

Speed: interleaved pairs in one process, forward and all gradients, float32; the median ratio with the middle 95 % of
its bootstrap. Memory: a fresh process each, resident memory as the kernel counts it.
"""

import argparse
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import rnnkit

ASSETS = Path(__file__).parent / "assets"
SIZES = [
    (1, 100, 64, 64),
    (1, 1000, 128, 128),
    (8, 200, 64, 64),
    (32, 100, 128, 128),
    (64, 128, 256, 256),
    (32, 128, 256, 512),
    (128, 64, 512, 512),
    (16, 64, 1024, 1024),
]
UNROLLERS = {
    "loop": "",
    "checkpoint": "",
    "checkpoint, budget 8 MiB": "budget=8 * 2**20",
    "checkpoint, budget 2 MiB": "budget=2 * 2**20",
}
STEPS, BATCH, HIDDEN = 1000, 32, 128


class Textbook(nn.Module):
    """The LSTM as textbooks write it: gates from `cat(h, x)`, four weights, one step at a time."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        bound = hidden_size**-0.5
        shape = (hidden_size + input_size, hidden_size)
        self.weights = nn.ParameterList(torch.empty(shape).uniform_(-bound, bound) for _ in range(4))
        self.biases = nn.ParameterList(torch.zeros(hidden_size) for _ in range(4))

    def forward(self, xs: Tensor) -> Tensor:
        h = c = torch.zeros(xs.shape[1], self.hidden_size)
        ys = []
        for x in xs.unbind(0):
            z = torch.cat([h, x], dim=1)
            i, f, g, o = (z @ weight + bias for weight, bias in zip(self.weights, self.biases, strict=True))
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            ys.append(h)
        return torch.stack(ys)


def speed(pairs: int) -> str:
    """Compare `loop` with the textbook form and with torch.nn.LSTM at each size."""
    lines = ["| B, T, I, H | textbook form | `torch.nn.LSTM` |", "| --- | ---: | ---: |"]
    for batch, steps, input_size, hidden in SIZES:
        torch.manual_seed(0)
        xs = torch.randn(steps, batch, input_size, requires_grad=True)
        loop = rnnkit.RNN("lstm", input_size, hidden, unroller="loop")
        fused, textbook = nn.LSTM(input_size, hidden), Textbook(input_size, hidden)
        times = interleaved([lambda: loop(xs)[0], lambda: textbook(xs), lambda: fused(xs)[0]], pairs)  # noqa: B023
        ratios = [ratio(times[k], times[0]) for k in (1, 2)]
        lines.append(f"| {batch}, {steps}, {input_size}, {hidden} | {ratios[0]} | {ratios[1]} |")
        print(lines[-1], file=sys.stderr)
    return "\n".join([*lines, "", f"Times as multiples of `loop`'s, {pairs} pairs; {machine()}."])


def interleaved(functions: list[Callable[[], Tensor]], rounds: int) -> list[list[float]]:
    """Time forward and backward of each in turn, round after round, after one that does not count."""
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(rounds + 1):
        for function, taken in zip(functions, times, strict=True):
            began = time.perf_counter()
            function().sum().backward()
            taken.append(time.perf_counter() - began)
    return [taken[1:] for taken in times]


def ratio(times: list[float], reference: list[float]) -> str:
    """Give the median of the pairs' ratios and its 95 % bootstrap interval."""
    ratios = np.array(times) / np.array(reference)
    draws = np.random.default_rng(0).choice(ratios, (2000, len(ratios)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return f"{np.median(ratios):.2f} ({low:.2f} to {high:.2f})"


def memory(repeats: int) -> str:
    """Measure each unroller at T = 1000, in a process of its own."""
    lines = [
        "| unroller | kept between the passes | of the loop's | peak | time |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    rows = {}
    for label, options in UNROLLERS.items():
        runs = [one_process(label.split(",")[0], options) for _ in range(repeats)]
        rows[label] = [statistics.median(column) for column in zip(*runs, strict=True)]
        print(label, rows[label], file=sys.stderr)
    for label, (kept, peak, seconds) in rows.items():
        share, slower = kept / rows["loop"][0], seconds / rows["loop"][2]
        lines.append(f"| `{label}` | {kept:.1f} MiB | {share:.1%} | {peak:.1f} MiB | {slower:.2f} |")
    setting = f"LSTM, T = {STEPS}, B = {BATCH}, I = H = {HIDDEN}, float32"
    caption = (
        f"{setting}; resident memory above what stood before the forward pass, input, output and their gradients left "
        f"out; time as a multiple of the loop's; {machine()}."
    )
    return "\n".join([*lines, "", caption])


def one_process(unroller: str, options: str) -> tuple[float, float, float]:
    """Give MiB kept, MiB at the peak and seconds of one forward and backward pass."""
    line = f"rnnkit.unrollers['{unroller}']({options})"
    done = subprocess.run(
        [sys.executable, __file__, "probe", line], check=True, capture_output=True, text=True, env=os.environ
    )
    kept, peak, seconds = (float(word) for word in done.stdout.split())
    return kept, peak, seconds


def probe(unroller: str) -> str:
    """Run one pass through the unroller, after a short one for warming up."""
    layer = rnnkit.RNN("lstm", HIDDEN, HIDDEN, unroller=eval(unroller))
    xs = torch.randn(STEPS, BATCH, HIDDEN, requires_grad=True)
    layer(xs[:20])[0].sum().backward()
    xs.grad = torch.zeros_like(xs)
    given = torch.ones(STEPS, BATCH, HIDDEN)
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    began = time.perf_counter()
    ys, _ = layer(xs)
    kept = resident("VmRSS") - before - ys.nbytes / 2**20
    ys.backward(given)
    seconds = time.perf_counter() - began
    peak = resident("VmHWM") - before - ys.nbytes / 2**20
    return f"{kept} {peak} {seconds}"


def resident(field: str) -> float:
    """Read a figure of this process, in MiB."""
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


def machine() -> str:
    """Name what was measured on."""
    processor = f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    return f"torch {torch.__version__.split('+')[0]}, {torch.get_num_threads()} threads, {processor}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["speed", "memory", "probe"])
    parser.add_argument("unroller", nargs="?")
    parser.add_argument("--pairs", type=int, default=15)
    arguments = parser.parse_args()
    if arguments.what == "probe":
        print(probe(arguments.unroller))
        return
    table = speed(arguments.pairs) if arguments.what == "speed" else memory(repeats=3)
    ASSETS.mkdir(exist_ok=True)
    (ASSETS / f"{arguments.what}.md").write_text(table + "\n")
    print(table)


if __name__ == "__main__":
    main()
