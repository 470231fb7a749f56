"""The page of benchmarks, from what was measured: tables, bars and pictures; nothing is measured here."""

import re
from typing import Any

from benchmark_chart import bars, chart
from benchmark_sections import SECTIONS, Bar, Rows, Section, ratio_of

from rnnkit.benchmark.timing import Ratio, geometric_mean, mean_ratio

Results = dict[str, Any]
"""Of one section: `machine`, the facts of the machine, and `runs`, the rows of each run by its label."""

MIB = 2**20
SPEED = "speed.svg"
SPEEDS = {"nn.LSTM": ("lstm", "nn.LSTM"), "nn.GRU": ("gru", "nn.GRU"), "the plain loop": ("unseen", "loop")}
"""What the picture of the home page shows: by label, the section and the rival."""

BLOCK = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def page_of(template: str, measured: dict[str, Results]) -> str:
    """Fill each `<!-- begin NAME -->` ... `<!-- end NAME -->` of a page; what was not measured says so."""
    return BLOCK.sub(lambda match: f"{match[1]}\n{_block(match[2], measured)}\n\n{match[3]}", template)


def pictures(measured: dict[str, Results]) -> dict[str, str]:
    """Return the SVG of each section of ratios, by its file's name."""
    shown = {name: results for name, results in measured.items() if SECTIONS[name].shows == "ratios"}
    drawn = {f"bench-{name}.svg": _picture(SECTIONS[name], results["runs"]) for name, results in shown.items()}
    return {**drawn, f"bench-{SPEED}": _speed(measured)} if all(of in measured for of, _ in SPEEDS.values()) else drawn


def _speed(measured: dict[str, Results]) -> str:
    """Draw the mean times of torch's layers and of the plain loop, each as a multiple of rnnkit's for the same cell."""
    values = {"rnnkit": 1.0}
    for label, (name, rival) in SPEEDS.items():
        rows = next(iter(measured[name]["runs"].values()))
        values[label] = geometric_mean([row["rivals"][rival]["median"] for row in rows])
    said = ", ".join(f"{label} {value:.2f}" for label, value in values.items())
    foot = (
        "Each against rnnkit's own cell of its kind; the loop: of a cell that nobody had seen.",
        f"Forward and backward, mean of eight sizes; {_machine(measured['lstm'])}.",
    )
    return bars(f"Time as a multiple of rnnkit's: {said}", "Time as a multiple of rnnkit's", foot, values)


def _block(name: str, measured: dict[str, Results]) -> str:
    if name == "summary":
        return _summary(measured)
    if name not in measured:
        return "*Not measured yet.*"
    section, results = SECTIONS[name], measured[name]
    drawn, tables = [], []
    if section.shows == "ratios":
        drawn.append(_inlined(f"bench-{name}.svg"))
        for label, rows in results["runs"].items():
            tables += [f"**{label}**" if len(section.runs) > 1 else "", _ratios(rows)]
    elif section.shows == "startup":
        tables.append(_startup(results["runs"]))
    else:
        tables.append(_memory(results["runs"]))
    measured_bars = [(bar, results) for bar in section.bars]
    folded = _folded("All figures, the bars, and the commands", [*tables, _bars(measured_bars), _commands(section)])
    return "\n\n".join([*drawn, _caption(results), folded])


def _inlined(picture: str) -> str:
    """Put a picture into the page itself, where it takes the page's colours."""
    return f'<div class="picture" markdown="0">\n--8<-- "assets/{picture}"\n</div>'


def _folded(summary: str, parts: list[str]) -> str:
    """Fold parts of the page under a line that opens them."""
    return "\n\n".join(['<details markdown="1">', f"<summary>{summary}</summary>", *filter(None, parts), "</details>"])


def _commands(section: Section) -> str:
    lines = [f"$ rnnkit bench {words}" for words in section.runs.values()]
    return "\n".join(["```console", *lines, "```"])


def _picture(section: Section, runs: dict[str, Rows]) -> str:
    """Draw each run against each rival; for each flop where the work differs."""
    series = {}
    for label, rows in runs.items():
        for rival in rows[0]["rivals"]:
            scaled = _differs(rows, rival)
            name = ", ".join([*([label] if len(runs) > 1 else []), f"{rival} for each flop" if scaled else rival])
            series[name] = [ratio_of(row, rival, scaled) for row in rows]
    sizes = [_size(row) for row in next(iter(runs.values()))]
    means = ", ".join(f"{name} {mean_ratio(ratios).median:.2f} on average" for name, ratios in series.items())
    return chart(f"{section.title}: times as multiples of rnnkit's; {means}", sizes, series)


def _summary(measured: dict[str, Results]) -> str:
    """Return every bar of every section, and how often another one is the faster."""
    bars = [(bar, measured[name]) for name, section in SECTIONS.items() if name in measured for bar in section.bars]
    if not bars:
        return "*Not measured yet.*"
    ratios = [
        ratio.median
        for name, results in measured.items()
        if SECTIONS[name].shows == "ratios"
        for rows in results["runs"].values()
        for ratio in (ratio_of(row, rival) for row in rows for rival in row["rivals"])
    ]
    lost = sum(ratio < 1 for ratio in ratios)
    met = sum(bar.met(results["runs"][bar.run]) for bar, results in bars)
    counted = (
        f"Of the {len(ratios)} ratios of times below, all sections together, "
        f"{lost} {'is' if lost == 1 else 'are'} below 1. "
        f"Of {len(bars)} bars that were set beforehand, {met} {'is' if met == 1 else 'are'} met."
    )
    drawn = [_inlined(f"bench-{SPEED}")] if all(of in measured for of, _ in SPEEDS.values()) else []
    return "\n\n".join([*drawn, counted, _folded("Every bar", [_bars(bars)])])


def _bars(bars: list[tuple[Bar, Results]]) -> str:
    lines = ["| what | bar | measured | |", "| --- | ---: | ---: | --- |"]
    for bar, results in bars:
        rows = results["runs"][bar.run]
        bound = f"≥ {_number(bar.least, bar.unit)}" if bar.least is not None else f"≤ {_number(bar.most, bar.unit)}"
        verdict = "met" if bar.met(rows) else "**missed**"
        lines.append(f"| {bar.text} | {bound} | {_number(bar.figure(rows), bar.unit)} | {verdict} |")
    return "\n".join(lines)


def _number(value: float | None, unit: str) -> str:
    return f"{value:.3f} s" if unit == "s" else f"{value:.2f}"


def _ratios(rows: Rows) -> str:
    rivals = list(rows[0]["rivals"])
    columns = [(rival, scaled) for rival in rivals for scaled in ((False, True) if _differs(rows, rival) else (False,))]
    names = [f"{rival}, for each flop" if scaled else f"{rival} takes" for rival, scaled in columns]
    lines = [f"| B, T, I, H | ms | of the peak | {' | '.join(names)} |", f"| --- |{' ---: |' * (2 + len(columns))}"]
    for row in rows:
        cells = [_ratio(ratio_of(row, rival, scaled)) for rival, scaled in columns]
        lines.append(f"| {_size(row)} | {row['seconds'] * 1e3:.2f} | {row['share']:.0%} | {' | '.join(cells)} |")
    means = [_ratio(mean_ratio([ratio_of(row, rival, scaled) for row in rows])) for rival, scaled in columns]
    return "\n".join([*lines, f"| geometric mean | | | {' | '.join(means)} |"])


def _differs(rows: Rows, rival: str) -> bool:
    return any(abs(row["rival_flops"][rival] / row["flops"] - 1) > 0.01 for row in rows)


def _ratio(ratio: Ratio) -> str:
    """Print a ratio; in bold where the other one is the faster."""
    return f"**{ratio}**" if ratio.median < 1 else str(ratio)


def _startup(runs: dict[str, Rows]) -> str:
    lines = [
        "| cell | B, T, I, H | empty cache | filled cache | a later pass | loading the plugins |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for rows in runs.values():
        for row in rows:
            times = " | ".join(f"{row[field] * 1e3:.1f} ms" for field in ("cold", "warm", "later", "plugins"))
            lines.append(f"| {row['cell']} | {_size(row)} | {times} |")
    return "\n".join(lines)


def _memory(runs: dict[str, Rows]) -> str:
    lines = ["| B, T, I, H | rnnkit | nn.LSTM | of nn.LSTM's |", "| --- | ---: | ---: | ---: |"]
    for row in (row for rows in runs.values() for row in rows):
        own, theirs = row["bytes"], row["rival_bytes"]["nn.LSTM"]
        share = f"**{own / theirs:.0%}**" if own > theirs else f"{own / theirs:.0%}"
        lines.append(f"| {_size(row)} | {own / MIB:.1f} MiB | {theirs / MIB:.1f} MiB | {share} |")
    return "\n".join(lines)


def _size(row: dict[str, Any]) -> str:
    return row["size"].replace("x", ", ")


def _caption(results: Results) -> str:
    """Say what was measured, and on what."""
    row = next(iter(results["runs"].values()))[0]
    how = [f"Unroller `{row['unroller']}`"]
    if "pairs" in row:
        how += ["forward and backward" if row["training"] else "forward", row["dtype"]]
        how += ["rows T/4 to T steps long"] if row["ragged"] else []
        how += [f"{row['pairs']} pairs"] if row["pairs"] > 2 else []
    return f"{', '.join(how)}; {_machine(results)}."


def _machine(results: Results) -> str:
    machine = results["machine"]
    return f"torch {str(machine['torch']).split('+')[0]}, {machine['threads']} threads, {machine['processor']}"
