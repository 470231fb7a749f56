"""Measure the unrollers with a theorem: the speed of scan and newton, memory and speed of rtrl.

    python tools/time_unrollers.py scan    ->  docs/assets/scan.md
    python tools/time_unrollers.py newton  ->  docs/assets/newton.md
    python tools/time_unrollers.py rtrl    ->  docs/assets/rtrl.md

Forward and the gradients of all parameters, float32; interleaved in one process, the median ratio with the middle 95 %
of its bootstrap. Memory: a fresh process each, resident memory as the kernel counts it.
"""

import statistics
import subprocess
import sys
from collections.abc import Callable

import torch
from measure import ASSETS, MIB, setting

import rnnkit
from rnnkit.benchmark.machine import count_peak_anew, resident
from rnnkit.benchmark.timing import interleaved, ratio

BATCH, PAIRS = 8, 5
STEPS = (100, 1000, 10_000)
SCANNED = (("mingru", 64, STEPS), ("lru", 64, STEPS[:2]))
SEARCHED = (("br", 64, STEPS[:2]), ("gru", 16, STEPS[:2]))
LEARNT = ("mingru", 64)


def one_pass(cell: str, hidden: int, steps: int, unroller: str) -> tuple[rnnkit.RNN, Callable[[], object]]:
    """Return a layer, and what runs it forward and back."""
    torch.manual_seed(0)
    layer = rnnkit.RNN(cell, hidden, hidden, unroller=unroller)
    xs = torch.randn(steps, BATCH, hidden)

    def run() -> None:
        layer.zero_grad()
        layer(xs)[0].square().mean().backward()

    return layer, run


def compared(cell: str, hidden: int, steps: int, own: str, others: tuple[str, ...]) -> tuple[rnnkit.RNN, list[str]]:
    """Return the layer of an unroller, and its milliseconds and the others' times as multiples of it, in words."""
    layers, runs = zip(*(one_pass(cell, hidden, steps, name) for name in (own, *others)), strict=True)
    times = interleaved(list(runs), PAIRS, warm_up=1)
    words = [f"{1000 * statistics.median(times[0]):,.1f} ms", *(str(ratio(t, times[0])) for t in times[1:])]
    print(cell, hidden, steps, words, file=sys.stderr)
    return layers[0], words


def scan() -> str:
    """Compare `scan` with `loop` and `compiled`."""
    lines = ["| cell | T | `scan` | `loop` | `compiled` |", "| --- | ---: | ---: | ---: | ---: |"]
    for cell, hidden, lengths in SCANNED:
        for steps in lengths:
            _, words = compared(cell, hidden, steps, "scan", ("loop", "compiled"))
            lines.append(f"| `{cell}` | {steps:,} | {' | '.join(words)} |")
    return "\n".join([*lines, "", f"B = {BATCH}, D = H = 64; others as multiples of `scan`'s time, {told()}"])


def newton() -> str:
    """Compare `newton` with `loop` and `compiled`, and tell its iterations."""
    lines = ["| cell, H | T | iterations | `newton` | `loop` | `compiled` |", f"|{' --- |'}{' ---: |' * 5}"]
    for cell, hidden, lengths in SEARCHED:
        for steps in lengths:
            layer, words = compared(cell, hidden, steps, "newton", ("loop", "compiled"))
            (taken,) = layer.unroller.report.iterations.values()
            lines.append(f"| `{cell}`, {hidden} | {steps:,} | {taken} | {' | '.join(words)} |")
    return "\n".join([*lines, "", f"B = {BATCH}, D = H; others as multiples of `newton`'s time, {told()}"])


def rtrl() -> str:
    """Measure memory and time of `rtrl` beside the loop's."""
    cell, hidden = LEARNT
    lines = ["| T | memory of `rtrl` | of `loop` | `rtrl` | `loop` |", f"|{' ---: |' * 5}"]
    for steps in STEPS:
        kept = [f"{peak(name, steps):.1f} MiB" for name in ("rtrl", "loop")]
        _, words = compared(cell, hidden, steps, "rtrl", ("loop",))
        lines.append(f"| {steps:,} | {' | '.join([*kept, *words])} |")
    sizes = f"`{cell}`, B = {BATCH}, D = H = {hidden}"
    caption = f"{sizes}; the peak of forward and backward pass above what stood after one of 200 steps"
    return "\n".join(
        [*lines, "", f"{caption}, output and its gradient left out; time as a multiple of `rtrl`'s, {told()}"]
    )


def told() -> str:
    """Say how it was measured."""
    return f"{PAIRS} rounds on a machine with other work; {setting()}."


def peak(unroller: str, steps: int) -> float:
    """Return MiB at the peak of one pass, in a process of its own."""
    command = [sys.executable, __file__, "peak", unroller, str(steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return max(0.0, float(done.stdout))


def one_peak(unroller: str, steps: int) -> float:
    """Run one pass, after one for warming up; return the MiB that it adds, but for output and its gradient."""
    cell, hidden = LEARNT
    one_pass(cell, hidden, 200, unroller)[1]()
    torch.manual_seed(0)
    layer, xs = rnnkit.RNN(cell, hidden, hidden, unroller=unroller), torch.randn(steps, BATCH, hidden)
    given = torch.ones(steps, BATCH, hidden)
    before = resident("VmRSS")
    assert count_peak_anew()
    ys, _ = layer(xs)
    ys.backward(given)
    return (resident("VmHWM") - before - ys.nbytes) / MIB


def main() -> None:
    torch.set_num_threads(1)
    what, *words = sys.argv[1:]
    if what == "peak":
        print(one_peak(words[0], int(words[1])))
        return
    (ASSETS / f"{what}.md").write_text({"scan": scan, "newton": newton, "rtrl": rtrl}[what]() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
