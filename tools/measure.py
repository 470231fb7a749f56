"""Measure what the documentation states: the loop's speed against the textbook form, and the memory of unrollers.

    python tools/measure.py speed    ->  docs/assets/speed.md
    python tools/measure.py memory   ->  docs/assets/memory.md
    python tools/measure.py training ->  docs/assets/training.md
    python tools/measure.py steps    ->  docs/assets/steps.md
    python tools/measure.py start    ->  docs/assets/start.md
    python tools/measure.py reliability -> docs/assets/reliability.md
    python tools/measure.py corpus   ->  docs/assets/corpus.md
    python tools/measure.py limits   ->  docs/assets/limits.md

Speed: interleaved pairs in one process, forward and all gradients, float32; the median ratio with the middle 95 % of
its bootstrap. Memory: a fresh process each, resident memory as the kernel counts it. Training: the default text, data
and readout included, beside a plain loop of PyTorch's around the same model with torch.nn.LSTM. Steps: calls of one
step. Start: of commands, to their first line. Reliability: all of tests/reliability, an hour on one core; with
--counts FILE, what runs with RNNKIT_COUNTS=FILE have counted already. Corpus: what is said of each bad input in
tests/reliability/test_corpus.py. Limits: the memory of training as predicted and as measured, a fresh process each.
"""

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit.benchmark.machine import count_peak_anew, machine, resident, trim
from rnnkit.benchmark.measure import one_pass
from rnnkit.benchmark.sizes import DEFAULT
from rnnkit.benchmark.timing import interleaved, ratio
from rnnkit.memory import predict
from rnnkit.memory.gauge import Watch

ASSETS = Path(__file__).parents[1] / "docs" / "assets"
TRIALS = Path(__file__).parents[1] / "tests" / "reliability"
UNROLLERS = {
    "loop": "",
    "checkpoint": "",
    "checkpoint, budget 8 MiB": "budget=8 * 2**20",
    "checkpoint, budget 2 MiB": "budget=2 * 2**20",
}
MODES = ("loop", "compiled", "checkpoint")
STEPS, BATCH, HIDDEN = 1000, 32, 128
LIMITS = [
    *((cell, name, "", 500, 32, 128) for cell in ("lstm", "gru", "layernorm", "peephole") for name in MODES),
    *(("lstm", name, "", 4000, 4, 32) for name in MODES),
    *(("lstm", name, "", 200, 16, 512) for name in MODES),
    ("lstm", "checkpoint", "budget=8 * 2**20", 500, 32, 128),
]
UPDATES, EMBEDDED, CALLS = 5, 64, 50
TRAINED = [*((cell, HIDDEN, 1) for cell in ("lstm", "peephole", "layernorm", "gru")), ("lstm", 512, 2)]
MIB = 2**20


class Textbook(nn.Module):
    """The LSTM as textbooks write it: gates from `cat(h, x)`, four weights, one step at a time."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        bound = hidden_size**-0.5
        shape = (hidden_size + input_size, hidden_size)
        self.weights = nn.ParameterList(torch.empty(shape).uniform_(-bound, bound) for _ in range(4))
        self.biases = nn.ParameterList(torch.zeros(hidden_size) for _ in range(4))

    def forward(self, xs: Tensor) -> tuple[Tensor]:
        h = c = torch.zeros(xs.shape[1], self.hidden_size)
        ys = []
        for x in xs.unbind(0):
            z = torch.cat([h, x], dim=1)
            i, f, g, o = (z @ weight + bias for weight, bias in zip(self.weights, self.biases, strict=True))
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            ys.append(h)
        return (torch.stack(ys),)


def speed(pairs: int) -> str:
    """Compare `loop` with the textbook form and with torch.nn.LSTM at each size."""
    lines = ["| B, T, I, H | textbook form | `torch.nn.LSTM` |", "| --- | ---: | ---: |"]
    for batch, steps, input_size, hidden in DEFAULT:
        torch.manual_seed(0)
        xs = torch.randn(steps, batch, input_size)
        loop = rnnkit.RNN("lstm", input_size, hidden, unroller="loop")
        fused, textbook = nn.LSTM(input_size, hidden), Textbook(input_size, hidden)
        times = interleaved([one_pass(module, xs, training=True) for module in (loop, textbook, fused)], pairs)
        ratios = [ratio(times[k], times[0]) for k in (1, 2)]
        lines.append(f"| {batch}, {steps}, {input_size}, {hidden} | {ratios[0]} | {ratios[1]} |")
        print(lines[-1], file=sys.stderr)
    return "\n".join([*lines, "", f"Times as multiples of `loop`'s, {pairs} pairs; {setting()}."])


class PlainModel(nn.Module):
    """Embedding, torch.nn.LSTM and readout, as anyone would write them."""

    def __init__(self, symbols: int, hidden_size: int, layers: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(symbols, EMBEDDED)
        self.layer = nn.LSTM(EMBEDDED, hidden_size, layers)
        self.readout = nn.Linear(hidden_size, symbols)

    def forward(self, xs: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        ys, state = self.layer(self.embedding(xs), state)
        return self.readout(ys), state


def plain_updates(task: Any, model: nn.Module, rate: float) -> Iterator[float]:
    """Train as anyone would: Adam, gradients clipped to norm 1, the state carried on; yield the losses."""
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    state = None
    for batch in task.batches(task.defaults["batch"], torch.Generator().manual_seed(0)):
        optimizer.zero_grad()
        outputs, state = model(batch.xs, state if batch.continues else None)
        state = tuple(tensor.detach() for tensor in state)
        loss = nn.functional.cross_entropy(outputs.flatten(0, 1), batch.targets.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        yield loss.item()


def training(rounds: int) -> str:
    """Compare updates of `rnnkit.train` with those of a plain loop around the same model with torch.nn.LSTM."""
    task = rnnkit.tasks["chars"]()
    lines = ["| model | plain PyTorch around `torch.nn.LSTM` |", "| --- | ---: |"]
    for cell, width, layers in TRAINED:
        ours = rnnkit.Model(task, cell, width, num_layers=layers)
        theirs = PlainModel(task.input_size, width, layers)
        updates = UPDATES if width == HIDDEN else 1
        rate = task.defaults["lr"]
        runs = [
            rnnkit.train(ours, task, steps=updates * (rounds + 2), lr=rate),
            plain_updates(task, theirs, rate),
        ]
        times = interleaved([lambda run=run, n=updates: [next(run) for _ in range(n)] for run in runs], rounds)
        what = f"`{cell}`, {layers} layer{'s' * (layers > 1)} of {width}"
        lines.append(f"| {what} | {ratio(times[1], times[0])} |")
        print(lines[-1], file=sys.stderr)
    caption = f"Time as a multiple of rnnkit's, {rounds} pairs of {UPDATES} updates, of wide layers 1; {setting()}."
    return "\n".join([*lines, "", caption])


def steps(rounds: int) -> str:
    """Compare calls of one step, and steps of a stepper, with torch's layers and cells of the same size."""
    lines = [
        "| H, B | `nn.LSTM`, no gradients | with gradients | 2 layers, no gradients | `nn.LSTMCell` by `stepper` |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for hidden, rows in [(16, 1), (64, 1), (128, 1), (256, 1), (16, 8), (64, 8), (128, 8), (256, 8)]:
        x = torch.randn(1, rows, hidden)
        cells = []
        for layers, with_gradients in ((1, False), (1, True), (2, False)):
            pair = (rnnkit.RNN("lstm", hidden, hidden, layers), nn.LSTM(hidden, hidden, layers))
            runs = [call_of_one_step(layer, x, with_gradients) for layer in pair]
            times = interleaved(runs, rounds)
            cells.append(ratio(times[1], times[0]))
        stepper, cell = rnnkit.RNN("lstm", hidden, hidden).stepper(rows), nn.LSTMCell(hidden, hidden)
        times = interleaved([steps_of(stepper, x[0]), steps_of_cell(cell, x[0])], rounds)
        cells.append(ratio(times[1], times[0]))
        lines.append(f"| {hidden}, {rows} | {' | '.join(map(str, cells))} |")
        print(lines[-1], file=sys.stderr)
    caption = (
        f"T = 1, I = H, float32; torch's time as a multiple of rnnkit's, {rounds} pairs of {CALLS} calls; {setting()}."
    )
    return "\n".join([*lines, "", caption])


def call_of_one_step(layer: nn.Module, x: Tensor, with_gradients: bool) -> Callable[[], None]:
    """Return what calls a layer with one step, and goes back if asked to."""
    with torch.no_grad():
        state = layer(x)[1]

    def run() -> None:
        with torch.set_grad_enabled(with_gradients):
            for _ in range(CALLS):
                ys, _ = layer(x, state)
                if with_gradients:
                    ys.sum().backward()

    return run


def steps_of(stepper: Any, x: Tensor) -> Callable[[], None]:
    """Return what takes steps."""
    return lambda: [stepper(x) for _ in range(CALLS)] and None


def steps_of_cell(cell: nn.LSTMCell, x: Tensor) -> Callable[[], None]:
    """Return what takes steps of torch's cell, the state carried on."""
    states = [cell(x)]

    def run() -> None:
        with torch.no_grad():
            for _ in range(CALLS):
                states[0] = cell(x, states[0])

    return run


def start(repeats: int) -> str:
    """Measure what has passed when a command has done its first thing: seconds of the clock, and of processors."""
    lines = ["| what | clock | processors |", "| --- | ---: | ---: |"]
    with tempfile.TemporaryDirectory() as folder:
        scripts = Path(sys.executable).parent
        run = [scripts / "rnnkit", "run", "--steps", "2", "--json", "--out"]
        rows = [
            ("`import torch`", [sys.executable, "-c", "import torch; print()"], False),
            ("`import rnnkit`", [sys.executable, "-c", "import rnnkit; print()"], False),
            ("`rnnkit --help`", [scripts / "rnnkit", "--help"], False),
            ("`rnnkit run` to its first update, no kernels stored", run, True),
            ("`rnnkit run` to its first update, kernels stored", run, False),
        ]
        for what, command, anew in rows:
            passed = []
            for k in range(repeats):
                if anew:
                    shutil.rmtree(f"{folder}/cache", ignore_errors=True)
                words = [*command, f"{folder}/{len(lines)}-{k}"] if command is run else command
                passed.append(until_first(words, f"{folder}/cache"))
            clock, processors = map(min, zip(*passed, strict=True))
            lines.append(f"| {what} | {clock:.2f} s | {processors:.2f} s |")
            print(lines[-1], file=sys.stderr)
    return "\n".join([*lines, "", f"The least of {repeats}; {setting()}."])


def until_first(command: Sequence[str | Path], cache: str) -> tuple[float, float]:
    """Return the seconds until a command prints a line, or of updates the first, and those of processors by then."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env={**os.environ, "RNNKIT_CACHE": cache}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    next(line for line in process.stdout if '"event"' not in line or '"step"' in line)
    clock = time.perf_counter() - began
    ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    process.kill()
    process.communicate()
    return clock, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


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
    shape = f"LSTM, T = {STEPS}, B = {BATCH}, I = H = {HIDDEN}, float32"
    caption = (
        f"{shape}; resident memory above what stood before the forward pass, input, output and their gradients left "
        f"out; time as a multiple of the loop's; {setting()}."
    )
    return "\n".join([*lines, "", caption])


def one_process(unroller: str, options: str) -> tuple[float, float, float]:
    """Return MiB kept, MiB at the peak and seconds of one forward and backward pass."""
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
    assert count_peak_anew()
    began = time.perf_counter()
    ys, _ = layer(xs)
    kept = resident("VmRSS") - before - ys.nbytes
    ys.backward(given)
    seconds = time.perf_counter() - began
    peak = resident("VmHWM") - before - ys.nbytes
    return f"{kept / MIB} {peak / MIB} {seconds}"


def reliability(counts: Path | None) -> str:
    """Run the trials of tests/reliability, unless that was done, and add up what each counted."""
    with tempfile.TemporaryDirectory() as scratch:
        if counts is None:
            counts = Path(scratch) / "counts.jsonl"
            run_tests(TRIALS, RNNKIT_COUNTS=counts)
        entries = [json.loads(line) for line in counts.read_text().splitlines()]
    totals: dict[str, dict[str, list[float]]] = {}
    for entry in entries:
        row = totals.setdefault(entry["promise"], {}).setdefault(entry["what"], [0, 0, 0.0])
        for column, name in enumerate(("trials", "failures", "seconds")):
            row[column] += entry[name]
    lines = ["| what was done | trials | failures | seconds |", "| --- | ---: | ---: | ---: |"]
    for promise in sorted(totals):
        lines.append(f"| **{promise}** | | | |")
        lines += [f"| {w} | {n:,} | {bad:,} | {s:,.0f} |" for w, (n, bad, s) in sorted(totals[promise].items())]
    trials, failures = (sum(entry[name] for entry in entries) for name in ("trials", "failures"))
    lines.append(f"| all | {trials:,} | {failures:,} | {sum(entry['seconds'] for entry in entries):,.0f} |")
    return "\n".join([*lines, "", f"Seconds of a core that other work shared; {setting()}."])


def run_tests(path: Path, **environment: Path) -> None:
    """Run tests, slow ones too; what they have to say goes to a file that the environment names."""
    command = [sys.executable, "-m", "pytest", "-m", "", "-n", "0", str(path)]
    subprocess.run(command, env={**os.environ, **{name: str(value) for name, value in environment.items()}})


def corpus() -> str:
    """Try each bad input, and give what was said of it."""
    with tempfile.TemporaryDirectory() as scratch:
        recorded = Path(scratch) / "corpus.jsonl"
        run_tests(TRIALS / "test_corpus.py", RNNKIT_CORPUS=recorded)
        entries = [json.loads(line) for line in recorded.read_text().splitlines()]
    lines: list[str] = []
    for number, entry in enumerate(entries, 1):
        title = f"## {entry['chapter']}"
        if title not in lines:
            lines += ["", title, "", "| | input | exit code | what is said |", "| ---: | --- | ---: | --- |"]
        said = escaped(entry["line"]) or "nothing: it is taken"
        lines.append(f"| {number} | {entry['name']} | {entry['code']} | {said} |")
    return "\n".join(lines).lstrip()


def escaped(text: str) -> str:
    """Let no character of a line be taken for Markdown's or a table's."""
    return "".join(f"&#{ord(c)};" if c in "&<>`*_|\\" else c for c in text)


def limits() -> str:
    """Compare predictions of the memory of training with what it takes."""
    lines = [
        "| cell | unroller | T, B, H | predicted | in use at the peak | ratio | resident at the peak |",
        "| --- | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for cell, unroller, options, steps, batch, hidden in LIMITS:
        line = f"rnnkit.unrollers['{unroller}']({options})"
        words = [cell, line, str(steps), str(batch), str(hidden)]
        command = [sys.executable, __file__, "trained", *words]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        predicted, used, stayed = (float(word) / MIB for word in done.stdout.split())
        named = f"`{unroller}`" + (", budget 8 MiB" if options else "")
        figures = f"{predicted:.1f} MiB | {used:.1f} MiB | {predicted / used:.2f} | {stayed:.1f} MiB"
        lines.append(f"| `{cell}` | {named} | {steps}, {batch}, {hidden} | {figures} |")
        print(lines[-1], file=sys.stderr)
    caption = (
        "Task `copy`, adam, float32, three updates, parameters left out. In use: what the process has from the C "
        f"library, by a thread that looks all the time. {setting()}."
    )
    return "\n".join([*lines, "", caption])


def trained(cell: str, unroller: str, steps: int, batch: int, hidden: int) -> str:
    """Return the bytes of an update, predicted, in use and resident, all but the parameters."""
    torch.manual_seed(0)
    task = rnnkit.tasks["copy"](seq_len=steps - 20)
    model = rnnkit.Model(task, cell, hidden, unroller=eval(unroller))
    predicted = predict(model, task, batch_size=batch)
    trim()
    before = resident("VmRSS")
    assert count_peak_anew()
    records = rnnkit.train(model, task, steps=4, batch_size=batch)
    with Watch() as watch:
        for _ in range(3):
            next(records)
    return f"{predicted.update - predicted.parameters} {watch.most} {resident('VmHWM') - before}"


def processor() -> str:
    """Return this processor's name and its family, which tells apart what goes by one name."""
    known = dict(re.findall(r"^(model name|cpu family)\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE))
    return f"{known['model name']}, family {known['cpu family']}"


def setting() -> str:
    """Name what was measured on."""
    facts = machine()
    torch_ = f"torch {str(facts['torch']).split('+')[0]}, {facts['threads']} threads"
    return f"{torch_}, {facts['processor']} ({processor()})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    tables = ["speed", "memory", "training", "steps", "start", "reliability", "corpus", "limits"]
    parser.add_argument("what", choices=[*tables, "probe", "trained"])
    parser.add_argument("words", nargs="*")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--counts", type=Path)
    arguments = parser.parse_args()
    if arguments.what == "probe":
        print(probe(*arguments.words))
        return
    if arguments.what == "trained":
        cell, unroller, *sizes = arguments.words
        print(trained(cell, unroller, *map(int, sizes)))
        return
    makers = {
        "speed": lambda: speed(arguments.pairs),
        "training": lambda: training(arguments.pairs),
        "memory": lambda: memory(repeats=3),
        "steps": lambda: steps(2 * arguments.pairs),
        "start": lambda: start(repeats=5),
        "reliability": lambda: reliability(arguments.counts),
        "corpus": corpus,
        "limits": limits,
    }
    table = makers[arguments.what]()
    ASSETS.mkdir(exist_ok=True)
    (ASSETS / f"{arguments.what}.md").write_text(table + "\n")
    print(table)


if __name__ == "__main__":
    main()
