"""Predict how kernels run on many cores, by the model that chooses how their threads share a step.

    python tools/many_cores.py            ->  docs/assets/many-cores.md, docs/assets/many-cores-grids.md
    python tools/many_cores.py measure    first measure one thread against two, into docs/assets/many-cores.json

Measured: forward and the gradients of all parameters, float32; interleaved in one process, the median ratio with the
middle 95 % of its bootstrap.
"""

import json
import sys
from collections.abc import Callable, Iterator

import torch
from measure import ASSETS, setting

import rnnkit
from rnnkit.benchmark.timing import interleaved, ratio
from rnnkit_compiler.compiled import example, program_for
from rnnkit_compiler.schedule.sharing import CACHE, Shares, StepWork, shares_of_a_step

THREADS = (2, 4, 8, 16, 32, 64)
SHAPES = [(1, 64), (1, 128), (8, 64), (32, 128), (64, 256), (32, 512), (128, 512), (16, 1024)]
"""Rows and units of an LSTM."""

STEPS, ROUNDS = 100, 15
MEASURED = ASSETS / "many-cores.json"


def recurrence(hidden: int) -> tuple[StepWork, tuple[int, int]]:
    """Return the work of an LSTM's step, and its stages forward and back."""
    cell = rnnkit.cells["lstm"](hidden, hidden)
    found = program_for(cell, *example(cell)).backend._recurrence
    return found.work, (len(found.plan.forward.stages), len(found.plan.backward.stages))


def speeds() -> Iterator[str]:
    """Write the predicted speed on many threads, and the measured one on two."""
    measured = json.loads(MEASURED.read_text(encoding="utf-8"))
    yield f"| B, H | {' | '.join(f'{threads} threads' for threads in THREADS)} | 2, measured |"
    yield f"| --- |{' ---: |' * (len(THREADS) + 1)}"
    for rows, hidden in SHAPES:
        work, _ = recurrence(hidden)
        alone = work.time(rows, Shares(1, 1))
        times = [alone / work.time(rows, shares_of_a_step(work, rows, threads)) for threads in THREADS]
        yield f"| {rows}, {hidden} | {' | '.join(f'{time:.1f}' for time in times)} | {measured[f'{rows}, {hidden}']} |"
    yield ""
    passes = f"a whole pass, T = {STEPS}, D = H, {measured['how']}"
    yield f"An LSTM's steps, as multiples of one thread's speed; measured: {passes}."


def grids() -> Iterator[str]:
    """Write how many threads share what."""
    busiest = ("rows of the busiest", "its units", "weights it reads")
    yield f"| {' | '.join(['B, H', 'threads', 'rows × units', 'barriers a step, forward + back', *busiest])} |"
    yield f"| --- |{' ---: |' * 6}"
    for rows, hidden in SHAPES:
        work, stages = recurrence(hidden)
        for threads in (4, 16, 64):
            shares = shares_of_a_step(work, rows, threads)
            of_rows = shares.workers // shares.units
            waits = " + ".join(map(str, stages)) if shares.units > 1 else "none"
            part = work.part(shares)
            read = work.weight_bytes * part
            weights = f"{read / 1024:,.0f} KiB{'' if read <= CACHE else ', beyond its second cache'}"
            cells = (f"{rows}, {hidden}", threads, f"{of_rows} × {shares.units}", waits)
            yield f"| {' | '.join(map(str, (*cells, -(-rows // of_rows), f'{part:.0%}', weights)))} |"


def one_pass(rows: int, hidden: int, threads: int) -> Callable[[], None]:
    """Return what runs a layer forward and back."""
    torch.manual_seed(0)
    layer, xs = rnnkit.RNN("lstm", hidden, hidden, unroller="compiled"), torch.randn(STEPS, rows, hidden)

    def run() -> None:
        torch.set_num_threads(threads)
        layer.zero_grad()
        layer(xs)[0].sum().backward()

    return run


def measure() -> None:
    """Measure one thread against two."""
    found = {"how": f"{ROUNDS} rounds; {setting().replace('1 threads, ', '')}"}
    for rows, hidden in SHAPES:
        alone, both = interleaved([one_pass(rows, hidden, threads) for threads in (1, 2)], ROUNDS, warm_up=2)
        found[f"{rows}, {hidden}"] = str(ratio(alone, both))
        print(rows, hidden, found[f"{rows}, {hidden}"], file=sys.stderr)
    MEASURED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def tables() -> dict[str, str]:
    """Return the text of each table by its file's name."""
    return {"many-cores.md": "\n".join(speeds()) + "\n", "many-cores-grids.md": "\n".join(grids()) + "\n"}


def main() -> None:
    """Measure if asked to, and write the tables."""
    if sys.argv[1:] == ["measure"]:
        measure()
    for name, text in tables().items():
        (ASSETS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
