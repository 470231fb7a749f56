"""Compiles the kernels of the Triton backend for GPUs that are not here, and writes what they take of each.

    python tools/gpu_kernels.py [--known] [--first] [CELL ...]   ->  docs/assets/gpu-kernels.json and .md

All cells, widths, dtypes and targets: some thousand compilations of a second each. Each is kept in the cache folder by
its source, so that an interrupted run goes on where it was, and a change of the generator compiles again what it has
changed. First come those in which each cell has every width and every target once, `sequence` and then the other kinds;
then `sequence` for all the other sizes, and where one of these spills in every form the other kinds, of which one is
taken in its place. The form of each kernel, tiles and what stays on chip, is settled as it is on a
device.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import gpu_kernels_table
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

import rnnkit
from rnnkit.errors import first_line
from rnnkit_compiler import compiled
from rnnkit_compiler._recorded import recorded_projected, recorded_whole
from rnnkit_compiler.backends.base.backend import Refusal
from rnnkit_compiler.backends.cpp.building.cache import cache_folder
from rnnkit_compiler.backends.triton import library
from rnnkit_compiler.backends.triton.code.kernel_source import generate
from rnnkit_compiler.backends.triton.cost import GRID, SEQUENCE, STEPS
from rnnkit_compiler.backends.triton.form import MOST_REGISTERS, Form, settled, spilled_of
from rnnkit_compiler.backends.triton.held import holds_weights
from rnnkit_compiler.backends.triton.launching import TOO_MUCH
from rnnkit_compiler.backends.triton.loading import load
from rnnkit_compiler.backends.triton.tiles import grid_tiles, tiles_of
from rnnkit_compiler.schedule.plan import KernelPlan

WIDTHS = (64, 128, 256, 512)
DTYPES = {"float32": ("*fp32", torch.float32), "bfloat16": ("*bf16", torch.bfloat16)}
KERNELS = ("Forward", "Backward")


class Target(NamedTuple):
    """A GPU: what Triton calls it, its multiprocessors, and the kilobytes that a program may share."""

    gpu: GPUTarget
    processors: int
    shared: int


TARGETS = {
    "sm_80": Target(GPUTarget("cuda", 80, 32), 108, 163),
    "sm_90": Target(GPUTarget("cuda", 90, 32), 132, 227),
    "sm_100": Target(GPUTarget("cuda", 100, 32), 148, 227),
    "gfx942": Target(GPUTarget("hip", "gfx942", 64), 304, 64),
}
INNER = {name: {"inner": "gru"} for name in ("learnt_state", "norm", "residual", "variational", "zoneout")}
ASSETS = Path(__file__).parents[1] / "docs" / "assets"
RESULTS = ASSETS / "gpu-kernels.json"
CUOBJDUMP = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"


SPECIAL = "special_functions"
"""The module of the library that few kernels call."""


class Taken(NamedTuple):
    """What a kernel takes: registers of a thread, bytes that it spills, bytes that a program shares, warps."""

    registers: int
    spilled: int
    shared: int
    warps: int


class Case(NamedTuple):
    """A kernel of a cell for a target."""

    cell: str
    width: int
    dtype: str
    target: str
    kernel: str
    kind: str


class UnknownError(BaseException):
    """It was not compiled before: no failure of a compilation, and not to be taken for one."""


@lru_cache(maxsize=1)
def source_of(name, width, dtype):
    """Return the plan of a registered cell of so many units, and the source of its kernels."""
    return source_for(rnnkit.cells[name](64, width, **INNER.get(name, {})).to(DTYPES[dtype][1]))


def source_for(cell):
    """Return the plan of a cell, and the source of its kernels; None and the reason where it has none."""
    xs, states = compiled.example(cell)
    step = recorded_whole(cell, xs, states, False) or recorded_projected(cell, xs, states, True, False)
    if isinstance(step.lowered, Refusal):
        return None, step.lowered.reason
    plan = KernelPlan(step.lowered)
    return plan, generate(plan, KERNELS, step.title, step.comment, False)


class Compiler:
    """Compiles the functions of one source for one target; what is known is not compiled again."""

    def __init__(self, text, pointer, target, kept):
        self.text, self.pointer, self.target, self._kept = text, pointer, target, kept
        self._code = "\n".join([without_comments(text), *library_of(text)])

        self._functions = lru_cache(partial(load, text))

    def taken(self, name, form, kind):
        """Return what a function takes in a form."""
        form_key = re.sub(", (all_registers|in_order|hoists_nothing)=False", "", str(form))
        key = "\n".join([self._code, name, form_key, kind, self.pointer, self.target, triton.__version__])
        digest = hashlib.sha256(key.encode()).hexdigest()
        if digest not in self._kept:
            if self._kept.is_all:
                raise UnknownError
            self._kept.add(digest, self._compiled(getattr(self._functions(form.hoists_nothing), name), form, kind))
        return Taken(*self._kept[digest])

    def _compiled(self, function, form, kind):
        types, constants, aligned = signature_of(function, form, kind, self.pointer)
        source = ASTSource(fn=function, signature=types, constexprs=constants, attrs=aligned)
        options = {**form.options, "launch_cooperative_grid": kind == GRID}
        gpu = TARGETS[self.target].gpu
        kernel = triton.compile(source, target=gpu, options=options)
        shared = kernel.metadata.shared
        if gpu.backend == "hip":
            found = dict(re.findall(r"\.(vgpr_count|vgpr_spill_count):\s+(\d+)", kernel.asm["amdgcn"]))
            return Taken(int(found["vgpr_count"]), 4 * int(found["vgpr_spill_count"]), shared, form.tiles.warps)
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(kernel.asm["cubin"])
            file.flush()
            command = [CUOBJDUMP, "--dump-resource-usage", file.name]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        registers, stack = re.search(r"REG:(\d+) STACK:(\d+)", told).groups()
        return Taken(int(registers), spilled_of(int(stack), kernel.asm["ptx"]), shared, form.tiles.warps)


class Kept:
    """What was compiled before, in a file to which each new result is added."""

    def __init__(self, path, is_all=False):
        self._path, self._results = path, {}
        self.is_all = is_all
        """Whether nothing is to be compiled that is not there."""
        with contextlib.suppress(FileNotFoundError):
            for line in path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # of a line that another run is writing
                    self._results.update(json.loads(line))

    def __contains__(self, digest):
        return digest in self._results

    def __getitem__(self, digest):
        return self._results[digest]

    def add(self, digest, taken):
        self._results[digest] = [*taken]
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({digest: [*taken]}) + "\n")


def library_of(text):
    """Return what the compiler reads of the library with a source."""
    special = re.findall(r"^def (\w+)\(", library.text_of(SPECIAL), re.MULTILINE)
    calls_special = re.search(rf"\b({'|'.join(special)})\(", text) is not None
    return [library.text_of(name) for name in library.MODULES if name != SPECIAL or calls_special]


def without_comments(text):
    """Return the functions of a source without what the compiler does not read."""
    lines = (line.split("  # ")[0] for line in text[text.index("REAL = ") :].splitlines())
    return "\n".join(line for line in lines if '"""' not in line and line.strip())


def signature_of(function, form, kind, pointer):
    """Return the types, the constants and the alignments of a kernel's arguments."""
    tiles = form.tiles
    blocks = {"ROWS": tiles.rows, "UNITS": tiles.units, "DEPTH": tiles.depth, "PRECISION": "tf32"}
    blocks |= {"GRID": kind == GRID, "HELD": form.holds_weights}
    types, constants, aligned = {}, {}, {}
    for place, name in enumerate(function.arg_names):
        absent = name in ("y", "lengths", "resets") or name.startswith("held_")
        if name in blocks or absent or name.endswith("_columns"):
            types[name], constants[place,] = "constexpr", blocks.get(name, 1 if name.endswith("_columns") else None)
        elif name in ("steps", "batch", "slots", "t") or name.endswith("_rows"):
            types[name] = "i32"
        else:
            own = {"meeting": "*i32", "units": "*i32", "matrices": "*i64", "numbers": "*fp32", "running": "*fp32"}
            kind_of = name.rstrip("0123456789")
            types[name] = own.get(kind_of, "*fp32" if kind_of == "grad_vector" else pointer)
            aligned[place,] = [["tt.divisibility", 16]]
    return types, constants, aligned


def first_form(stages, kind, itemsize, processors):
    """Return the form that a kernel is first compiled in, as on a device with so many multiprocessors."""
    if kind != GRID:
        return Form(tiles_of(stages, 4))
    tiles = grid_tiles(stages, 4, processors)
    return Form(tiles, holds_weights(stages, tiles, itemsize))


def result_of(case, kept):
    """Return the form of a kernel and what it takes; the reason where there is none."""
    pointer, dtype = DTYPES[case.dtype]
    plan, source = source_of(case.cell, case.width, case.dtype)
    if plan is None:
        return {"none": source}
    target, stages = TARGETS[case.target], getattr(plan, case.kernel.lower())
    compiler = Compiler(source.text, pointer, case.target, kept)
    names = source.kernels[case.kernel].stages if case.kind == STEPS else [case.kernel.lower()]

    def taken(form):
        return Taken(*map(max, zip(*(compiler.taken(name, form, case.kind) for name in names), strict=True)))

    def spilled_by(form):
        found = taken(form)
        return TOO_MUCH if found.shared > target.shared * 1024 else found.spilled

    def is_full(form):
        found = (compiler.taken(name, form, case.kind) for name in names)
        return all(not one.spilled or one.registers >= MOST_REGISTERS for one in found)

    try:
        first = first_form(stages, case.kind, dtype.itemsize, target.processors)
        form = settled(first, spilled_by, is_full, case.kind != STEPS)
    except UnknownError:
        raise
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {first_line(error)}"}
    flags = form[1:] if form.hoists_nothing else form[1:-1] if form.in_order else form[1:-2]
    return {"form": [*form.tiles, *flags], "taken": [*taken(form)]}


def cases(names, first):
    """List all kernels: first `sequence` of each cell with every width and every target once, then the other kinds."""
    sizes = [(w, d, t) for w in range(len(WIDTHS)) for d in range(len(DTYPES)) for t in range(len(TARGETS))]
    parts = ((True, (SEQUENCE,)), (True, (GRID, STEPS)), (False, (SEQUENCE,)))
    for is_first, kinds in parts[: 2 if first else 3]:
        for turn, name in enumerate(rnnkit.cells):
            for w, d, t in sizes if name in names else ():
                if ((w + turn) % len(TARGETS) == t and (w + turn // 4) % 2 == d) == is_first:
                    where = name, WIDTHS[w], [*DTYPES][d], [*TARGETS][t]
                    yield from (Case(*where, kernel, kind) for kernel in KERNELS for kind in kinds)


def instead_of(results):
    """List the other kinds of kernels where one spills in every form."""
    for key, result in list(results.items()):
        if result.get("taken", (0, 0))[1]:
            *where, _, spilling = key.split()
            others = [kind for kind in (SEQUENCE, GRID, STEPS) if kind != spilling]
            yield from (
                Case(where[0], int(where[1]), *where[2:], kernel, kind) for kernel in KERNELS for kind in others
            )


def main():
    """Compile what is asked for, and write it and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", default=[*rnnkit.cells], metavar="CELL")
    parser.add_argument("--known", action="store_true", help="compile nothing, and write what is known")
    parser.add_argument("--first", action="store_true", help="not the rest of the widths and targets of each cell")
    asked = parser.parse_args()
    kept, results = Kept(cache_folder() / "gpu-kernels.jsonl", asked.known), {}
    for listed in (cases(asked.cells, asked.first), instead_of(results)):
        for case in listed:
            with contextlib.suppress(UnknownError):
                results[" ".join(map(str, case))] = found = result_of(case, kept)
                print(*case, found, file=sys.stderr, flush=True)
    write(results)


def write(results):
    """Write all results, and the table."""
    rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(results[key])}" for key in sorted(results))
    RESULTS.write_text(f'{{"triton": "{triton.__version__}",\n"kernels": {{\n{rows}\n}}}}\n', encoding="utf-8")
    table = gpu_kernels_table.table(results, rnnkit.cells)
    (ASSETS / "gpu-kernels.md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    os.environ.setdefault("TRITON_DEFAULT_FP_FUSION", "1")
    main()
