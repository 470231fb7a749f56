"""Compiles the kernels of the Triton backend for GPUs that are not here, and writes what they take of each.

    python tools/gpu_kernels.py [CELL ...]   ->  docs/assets/gpu-kernels.md

For each cell, dtype and target the most that the widths H = 64, 128, 256 and 512 take: registers of a thread, bytes it
spills, kilobytes of shared memory, and how many warps a multiprocessor of 65,536 registers then has, of 64.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import rnnkit
from rnnkit.core.cell import building
from rnnkit_compiler import compiled
from rnnkit_compiler._recorded import recorded_projected, recorded_whole
from rnnkit_compiler.backends.triton.code.kernel_source import generate
from rnnkit_compiler.backends.triton.loading import load
from rnnkit_compiler.backends.triton.tiles import tiles_of
from rnnkit_compiler.schedule.plan import KernelPlan

CELLS = ("lstm", "gru", "rnn", "peephole")
WIDTHS = (64, 128, 256, 512)
DTYPES = {"float32": ("*fp32", torch.float32), "bfloat16": ("*bf16", torch.bfloat16)}
TARGETS = {
    **{f"sm_{number}": GPUTarget("cuda", number, 32) for number in (80, 90, 100)},
    "gfx942": GPUTarget("hip", "gfx942", 64),
}
PAGE = Path(__file__).parents[1] / "docs" / "assets" / "gpu-kernels.md"
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


class Taken(NamedTuple):
    registers: int
    spilled: int
    shared: int


def plan_of(name, width, dtype):
    with building(None, dtype):
        cell = rnnkit.cells[name](64, width)
    xs, states = compiled.example(cell)
    step = recorded_whole(cell, xs, states, False) or recorded_projected(cell, xs, states, True, False)
    return step, KernelPlan(step.lowered)


def signature_of(function, tiles, pointer):
    """Return the types, the constants and the alignments of a kernel's arguments."""
    blocks = {"ROWS": tiles.rows, "UNITS": tiles.units, "DEPTH": tiles.depth, "PRECISION": "tf32", "GRID": False}
    types, constants, aligned = {}, {}, {}
    for place, name in enumerate(function.arg_names):
        if name in blocks or name in ("y", "lengths", "resets") or name.endswith("_columns"):
            types[name], constants[place,] = "constexpr", blocks.get(name, 1 if name.endswith("_columns") else None)
        elif name in ("steps", "batch", "slots", "t") or name.endswith("_rows"):
            types[name] = "i32"
        else:
            own = {"meeting": "*i32", "units": "*i32", "matrices": "*i64", "numbers": "*fp32", "running": "*fp32"}
            kind = name.rstrip("0123456789")
            types[name] = own.get(kind, "*fp32" if kind == "grad_vector" else pointer)
            aligned[place,] = [["tt.divisibility", 16]]
    return types, constants, aligned


def taken_by(function, tiles, pointer, target):
    types, constants, aligned = signature_of(function, tiles, pointer)
    source = ASTSource(fn=function, signature=types, constexprs=constants, attrs=aligned)
    kernel = triton.compile(source, target=target, options={"num_warps": tiles.warps})
    if target.backend == "hip":
        found = dict(re.findall(r"\.(vgpr_count|vgpr_spill_count):\s+(\d+)", kernel.asm["amdgcn"]))
        return Taken(int(found["vgpr_count"]), 4 * int(found["vgpr_spill_count"]), kernel.metadata.shared)
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(kernel.asm["cubin"])
        file.flush()
        told = subprocess.run(
            [CUOBJDUMP, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        )
    registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", told.stdout).groups()
    return Taken(int(registers), int(stack), kernel.metadata.shared)


def most(name, kernel, dtype, target):
    """Return the most that a kernel takes at any width, launched once and a stage at a time."""
    pointer, real = DTYPES[dtype]
    once, apart = [], []
    for width in WIDTHS:
        step, plan = plan_of(name, width, real)
        source = generate(plan, ("Forward", "Backward"), step.title, step.comment, False)
        module, tiles = load(source.text), tiles_of(getattr(plan, kernel.lower()), 4)
        once.append(taken_by(getattr(module, kernel.lower()), tiles, pointer, target))
        stages = source.kernels[kernel].stages
        apart += [taken_by(getattr(module, stage), tiles, pointer, target) for stage in stages]
    return Taken(*map(max, zip(*once, strict=True))), Taken(*map(max, zip(*apart, strict=True))), tiles.warps


def warps_of(registers, warps):
    """Return how many warps are resident, by registers alone."""
    return min(64, 65536 // (32 * -(-registers // 8) * 8) // warps * warps)


def main(names):
    lines = ["| cell | kernel | dtype | target | registers | spilled | shared | warps | `steps`: registers | spilled |"]
    lines.append("| --- " * 10 + "|")
    for name in names:
        for kernel in ("Forward", "Backward"):
            for dtype in DTYPES:
                for target_name, target in TARGETS.items():
                    once, apart, warps = most(name, kernel, dtype, target)
                    resident = str(warps_of(once.registers, warps)) if target.backend == "cuda" else ""
                    cells = [name, kernel.lower(), dtype, target_name, once.registers, once.spilled]
                    cells += [f"{once.shared / 1024:.0f} KB", resident, apart.registers, apart.spilled]
                    lines.append(f"| {' | '.join(map(str, cells))} |")
                    print(lines[-1], file=sys.stderr, flush=True)
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
    main(sys.argv[1:] or CELLS)
