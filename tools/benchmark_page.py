"""The page of benchmarks, from what was measured: tables, bars and pictures; nothing is measured here."""

import re
from typing import Any

from benchmark_chart import chart
from benchmark_sections import SECTIONS, Bar, Rows, Section, ratio_of

from rnnkit.benchmark.timing import Ratio, mean_ratio

Results = dict[str, Any]
"""Of one section: `machine`, the facts of the machine, and `runs`, the rows of each run by its label."""

MIB = 2**20
BLOCK = re.compile(r"(<!-- begin (\w+) -->\n).*?(<!-- end \2 -->)", re.DOTALL)


def page_of(template: str, measured: dict[str, Results]) -> str:
    """Fill each `<!-- begin NAME -->` ... `<!-- end NAME -->` of a page; what was not measured says so."""
    return BLOCK.sub(lambda match: f"{match[1]}\n{_block(match[2], measured)}\n\n{match[3]}", template)


def pictures(measured: dict[str, Results]) -> dict[str, str]:
    """Return the SVG of each section of ratios, by its file's name."""
    shown = {name: results for name, results in measured.items() if SECTIONS[name].shows == "ratios"}
    return {f"bench-{name}.svg": _picture(results["runs"]) for name, results in shown.items()}


def _block(name: str, measured: dict[str, Results]) -> str:
    if name == "summary":
        return _summary(measured)
    if name not in measured:
        return "*Not measured yet.*"
    section, results = SECTIONS[name], measured[name]
    parts = [_commands(section)]
    if section.shows == "ratios":
        parts.append(f"![{section.title}: times as multiples of rnnkit's](assets/bench-{name}.svg)")
        for label, rows in results["runs"].items():
            parts += [f"**{label}**" if len(section.runs) > 1 else "", _ratios(rows)]
    elif section.shows == "startup":
        parts.append(_startup(results["runs"]))
    else:
        parts.append(_memory(results["runs"]))
    return "\n\n".join(filter(None, [*parts, _caption(results), _bars([(bar, results) for bar in section.bars])]))


def _commands(section: Section) -> str:
    lines = [f"$ rnnkit bench {words}" for words in section.runs.values()]
    return "\n".join(["```console", *lines, "```"])


def _picture(runs: dict[str, Rows]) -> str:
    """Draw each run against each rival; for each flop where the work differs."""
    series = {}
    for label, rows in runs.items():
        for rival in rows[0]["rivals"]:
            scaled = _differs(rows, rival)
            name = ", ".join([*([label] if len(runs) > 1 else []), f"{rival} for each flop" if scaled else rival])
            series[name] = [ratio_of(row, rival, scaled) for row in rows]
    return chart([_size(row) for row in next(iter(runs.values()))], series)


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
    return f"{_bars(bars)}\n\nOf {len(ratios)} ratios, {lost} {'is' if lost == 1 else 'are'} below 1."


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
    row, machine = next(iter(results["runs"].values()))[0], results["machine"]
    how = [f"Unroller `{row['unroller']}`"]
    if "pairs" in row:
        how += ["forward and backward" if row["training"] else "forward", row["dtype"]]
        how += ["rows T/4 to T steps long"] if row["ragged"] else []
        how += [f"{row['pairs']} pairs"] if row["pairs"] > 2 else []
    version = str(machine["torch"]).split("+")[0]
    return f"{', '.join(how)}; torch {version}, {machine['threads']} threads, {machine['processor']}."
