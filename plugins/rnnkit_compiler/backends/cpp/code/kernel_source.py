"""The source of a kernel: from its plan to C++, a line for each node, commented with it.

The source depends on the graph alone: every size and every literal is a number of the call, so that one kernel serves
all sizes of a cell. Nodes, parts and vectors are counted as the source shows them, not as the graph does: a layer that
projects its input ahead, and one that is given projected symbols, share a kernel, though their graphs begin otherwise.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from string import digits

import torch

from rnnkit_compiler.backends.cpp.code.kernel_code import KernelCode
from rnnkit_compiler.backends.cpp.code.names import Tables
from rnnkit_compiler.ir.special import VJPS
from rnnkit_compiler.ir.units import Units
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.plan import KernelPlan

BEGINS = r"(?<!\w.)"
"""Behind a name's first letter: no letter is before it. A search goes by first letters, and is twice as fast so."""

NUMBERED = re.compile(
    rf"((?:[nxy]{BEGINS}|k{BEGINS}ept|(?:g{BEGINS}rad_part|p{BEGINS}art|g{BEGINS}rad_vector|v{BEGINS}ector)\(?|%)\d+)"
    r"(?=_lanes\b|\b)"
)
"""Names that end in the number of a node, of a part or of a vector."""


@dataclass
class Source:
    """Generated source, and what its numbered arguments stand for."""

    text: str
    sizes: list[int]
    numbers: list[float]
    units: list[Units]
    buffers: list[Buffer]
    contractions: list[int]
    columns: dict[str, list[tuple[int, bool, int]]]
    """Of each kernel, in the order of packing: matrix, whether it is transposed, first column."""


def generate(plan: KernelPlan, names: Sequence[str], title: str, comment: str) -> Source:
    """Write kernels of a plan: of Forward, which keeps what training needs, Inference and Backward those named."""
    tables = Tables()
    kernels = {name: _kernel_code(name, plan, tables) for name in names}
    for kernel in kernels.values():  # all of them first: they number what the classes declare
        kernel.compose()
    bodies = _counted("\n".join(line for kernel in kernels.values() for line in (*kernel.lines(), "")))
    head = [f"// {title}", "//", *(f"//   {line}".rstrip() for line in comment.splitlines()), ""]
    head += [f"#define REAL {'double' if plan.step.dtype == torch.float64 else 'float'}", '#include "kernel.h"']
    head += ['#include "special.h"'] if any(f"v{name}(" in bodies for name in VJPS) else []
    head += ['#include "order.h"', ""] if any(kernel.names.ordered for kernel in kernels.values()) else [""]
    entries = [line for name in kernels for line in _entry(name, kernels[name].forward)]
    text = "\n".join([*head, bodies, *entries]) + "\n"
    return Source(
        text,
        tables.sizes,
        tables.numbers,
        tables.units,
        tables.buffers,
        tables.contractions,
        {name: kernel.region_code.columns for name, kernel in kernels.items()},
    )


def _kernel_code(name: str, plan: KernelPlan, tables: Tables) -> KernelCode:
    if name == "Backward":
        return KernelCode(name, plan, plan.backward, tables, forward=False)
    return KernelCode(name, plan, plan.forward if name == "Forward" else plan.inference, tables, forward=True)


def _counted(text: str) -> str:
    """Number nodes, parts and vectors by their first appearance."""
    nodes: dict[str, str] = {}
    parts: dict[str, str] = {}
    vectors: dict[str, str] = {}

    @cache
    def counted(name: str) -> str:
        kind = name.rstrip(digits)
        numbers = nodes if len(kind) == 1 else vectors if "vector" in kind else parts
        return kind + numbers.setdefault(name[len(kind) :], str(len(numbers)))

    pieces = NUMBERED.split(text)
    pieces[1::2] = map(counted, pieces[1::2])
    return "".join(pieces)


def _entry(name: str, forward: bool) -> Iterator[str]:
    lower = name.lower()
    yield f'extern "C" void {lower}(const Call* call) {{ drive<{name}, {str(forward).lower()}>(*call); }}'
    yield f'extern "C" void {lower}_room(const Call* call, std::int64_t* values, std::int64_t* bytes) {{'
    yield f"    {name} kernel(*call);"
    yield "    *values = kernel.packed_values;"
    yield "    *bytes = kernel.scratch_bytes + share_bytes(*call);"
    yield "}"
