"""The source of a step's kernels: from its plan to functions of Triton, a line for each node, commented with it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from rnnkit_compiler.backends.triton.code.kernel_code import KernelCode
from rnnkit_compiler.backends.triton.code.names import Tables
from rnnkit_compiler.backends.triton.library import HEAD
from rnnkit_compiler.ir.units import Units
from rnnkit_compiler.schedule.buffers import Buffer
from rnnkit_compiler.schedule.plan import KernelPlan


@dataclass
class KernelText:
    """One kernel of a source."""

    stages: list[str]
    """The names of the functions of its stages."""

    parameters: dict[str, list[str]]
    """What each of its functions takes beside rows, step and blocks."""

    rows: int
    """How many numbers of a row one stage leaves to the next."""

    running: list[int]
    """How many units what is put aside has."""

    buffers: dict[Buffer, int]
    """What it reads and writes, and how many numbers of each a row has."""


@dataclass
class Source:
    """Generated source, and what its arguments stand for."""

    text: str
    kernels: dict[str, KernelText]
    units: list[Units]
    matrices: list[tuple[int, ...]]


def generate(plan: KernelPlan, names: Sequence[str], title: str, comment: str, narrow: bool) -> Source:
    """Write kernels of a plan: of Forward, which keeps what training needs, Inference and Backward those named."""
    tables = Tables()
    codes = {}
    for name in names:
        stages = {"Forward": plan.forward, "Inference": plan.inference, "Backward": plan.backward}
        codes[name] = KernelCode(name, plan, stages[name], tables, narrow)
    head = [f"# {title}", "#", *(f"#   {line}".rstrip() for line in comment.splitlines()), ""]
    real = "tl.float64" if plan.step.dtype == torch.float64 else "tl.float32"
    body = [line for code in codes.values() for line in code.lines]
    text = "\n".join([*head, f"{HEAD}REAL = tl.constexpr({real})", "", "", *body])
    kernels = {
        name: KernelText(
            code.stage_functions, code.parameters, len(code.step.rows), code.step.widths, code.step.buffers
        )
        for name, code in codes.items()
    }
    return Source(f"{text.rstrip()}\n", kernels, tables.units, tables.matrices)
