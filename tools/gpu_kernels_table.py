"""The table of what the kernels for GPUs take, for docs/gpu.md: a row for each cell, the worst of all its kernels."""

KINDS = ("sequence", "grid", "steps")


def table(results):
    """Return the table.

    Args:
        results: of tools/gpu_kernels.py, by "CELL WIDTH DTYPE TARGET KERNEL KIND".
    """
    cells = {}
    for key, result in results.items():
        cells.setdefault(key.split()[0], {})[key] = result
    lines = ["| cell | kernels | `sequence` | `grid` | `steps` | held on chip |", "| --- " * 6 + "|"]
    lines += [f"| {name} | {' | '.join(row(found))} |" for name, found in sorted(cells.items())]
    return "\n".join(lines) + "\n"


def row(found):
    """Return how many kernels of a cell were compiled, and of each kind the most that one takes."""
    refused = {result["none"] for result in found.values() if "none" in result}
    if refused:
        return [f"none: {min(refused)}", "", "", "", ""]
    by_kind = {kind: [(key, r) for key, r in found.items() if key.endswith(f" {kind}")] for kind in KINDS}
    return [str(len(found)), *(most(by_kind[kind]) for kind in KINDS), held(by_kind["grid"])]


def most(kernels):
    """Return the most registers, spilled bytes and shared kilobytes, and the least occupancy."""
    if not kernels:
        return ""
    registers, spilled, shared, _ = (max(values) for values in zip(*(r["taken"] for _, r in kernels), strict=True))
    least = min(occupancy(key.split()[3], *r["taken"]) for key, r in kernels)
    spills = f", **{spilled} bytes spilled**" if spilled else ""
    return f"{registers} registers{spills}, {shared / 1024:.0f} KB, {least:.0%}"


def held(kernels):
    """Say up to which width the weights of forward and backward kernels stay on chip."""
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
