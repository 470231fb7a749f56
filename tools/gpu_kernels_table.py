"""The table of what the kernels for GPUs take, for docs/gpu.md: a row for each cell, the worst of all its kernels."""

KINDS = ("sequence", "grid", "steps")


def table(results, names):
    """Return the table, and below it which cells are not in it yet.

    Args:
        results: of tools/gpu_kernels.py, by "CELL WIDTH DTYPE TARGET KERNEL KIND".
        names: of all cells.
    """
    cells = {}
    for key, result in results.items():
        cells.setdefault(key.split()[0], {})[key] = result
    lines = ["| cell | kernels | `sequence` | `grid` | `steps` | held on chip |", "| --- " * 6 + "|"]
    lines += [f"| {name} | {' | '.join(row(found))} |" for name, found in sorted(cells.items())]
    missing = [name for name in sorted(names) if name not in cells]
    lines += ["", f"Not compiled yet: {', '.join(f'`{name}`' for name in missing)}."] if missing else []
    return "\n".join(lines) + "\n"


def row(found):
    """Return how many kernels of a cell were compiled, and of each kind the most that one takes."""
    refused = {int(key.split()[1]): result["none"] for key, result in found.items() if "none" in result}
    kernels = {key: result for key, result in found.items() if "none" not in result}
    by_kind = {kind: [(key, r) for key, r in kernels.items() if key.endswith(f" {kind}")] for kind in KINDS}
    width = min(refused, default=0)
    none = f"none from H = {width} on: {refused[width]}" if refused else ""
    count = ", ".join(filter(None, [str(len(kernels)) if kernels else "", none]))
    return [count, *(most(by_kind[kind]) for kind in KINDS), held(by_kind["grid"])]


def most(kernels):
    """Return the most registers, spilled bytes and shared kilobytes, and the least occupancy."""
    if not kernels:
        return ""
    registers, spilled, shared, _ = (max(values) for values in zip(*(r["taken"] for _, r in kernels), strict=True))
    least = min(occupancy(key.split()[3], *r["taken"]) for key, r in kernels)
    spills = f", **{spilled} bytes spilled**" if spilled else ""
    return f"{registers} registers{spills}, {shared / 1024:.0f} KB, {least:.0%}"


def held(kernels):
    """Say up to which width the weights of a forward or backward kernel stay on chip."""
    if not kernels:
        return ""
    widths = [int(key.split()[1]) for key, r in kernels if r["form"][4]]
    return f"up to {max(widths)}" if widths else "no"


def occupancy(target, registers, spilled, shared, warps):
    """Return which part of the warps that a multiprocessor can have is resident, by registers and shared memory."""
    if target == "gfx942":  # 512 registers a lane and 8 waves for each of four units, 64 KB
        by_registers, most, memory = 4 * min(8, 512 // (-(-registers // 8) * 8)), 32, 64
    else:
        by_registers, most = 65536 // (32 * -(-registers // 8) * 8), 64
        memory = {"sm_80": 164, "sm_90": 228, "sm_100": 228}[target]
    programs = min(most // warps, by_registers // warps, memory * 1024 // max(1, shared))
    return programs * warps / most
