"""Write docs/assets/operators.md: what runs each of aten's operators in a step, a kernel or plan or loop, and why.

    python tools/operators.py

The table of what is tried is in operators_table.py. An operator is native if the step that it stands in can be written
as a kernel; that the kernel's numbers are the loop's is for tests/compiler/test_operators.py.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from operators_table import DOMAINS, GROUPS, TABLE
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit_compiler._recorded import lowered
from rnnkit_compiler.backends.base.backend import Refusal
from rnnkit_compiler.ir.rules import is_cheap
from rnnkit_compiler.trace.record import record_projected
from rnnkit_compiler.trace.recording import NotRecordable

PAGE = Path(__file__).parent.parent / "docs" / "assets" / "operators.md"
UNITS = 6
WHERE = {"cpp": "native", "torch": "plan", "loop": "loop"}
"""What a backend is called on the page."""


class Row(NamedTuple):
    """An operator, and how it is tried."""

    kind: str
    domain: str
    name: str
    expression: str


def rows() -> Iterator[Row]:
    """Return the rows of the table."""
    for kind, table in TABLE.items():
        if kind == "pointwise":
            for domain, expressions in table.items():
                yield from (Row(kind, domain, name, text) for name, text in expressions.items())
        else:
            yield from (Row(kind, "real", name, text) for name, text in table.items())


class Tried(rnnkit.Cell):
    """A cell whose output shows what operators give, each from units of its own; what its state is is no matter."""

    name = "tried"

    def __init__(self, tried: list[Row], dtype: torch.dtype = torch.float64) -> None:
        super().__init__(UNITS * len(tried), UNITS * len(tried))
        self.tried = tried
        texts = (f"(lambda a: {row.expression})({DOMAINS[row.domain]})" for row in tried)
        self.code = tuple(compile(text, f"<{row.name}>", "eval") for row, text in zip(tried, texts, strict=True))
        numbers = torch.Generator().manual_seed(0)

        def drawn(*shape: int, of: torch.dtype = dtype) -> nn.Parameter:
            return nn.Parameter(torch.randn(*shape, generator=numbers, dtype=of))

        self.v, self.m = drawn(UNITS), drawn(UNITS, UNITS)
        self.z = drawn(UNITS, of=torch.complex128 if dtype == torch.float64 else torch.complex64)

    @property
    def output_size(self) -> int:
        """The number of all results' units."""
        return sum(self.widths())

    def widths(self) -> list[int]:
        """Return how many units of the output are each row's."""
        ones = torch.ones(2, self.hidden_size, dtype=self.v.dtype)
        with torch.no_grad():
            return [piece.shape[1] for piece in self.pieces(ones, ones)]

    def pieces(self, p: Tensor, h: Tensor) -> list[Tensor]:
        """Return what each row gives: (B, units)."""
        fixed = {"v": self.v, "m": self.m, "z": self.z, "k": torch.arange(UNITS - 1, -1, -1)}
        fixed |= {"torch": torch, "F": F, "aten": torch.ops.aten}
        pieces = []
        for k, code in enumerate(self.code):
            own_p, own_h = (tensor[:, k * UNITS : (k + 1) * UNITS] for tensor in (p, h))
            a, b = 0.8 * own_h + 0.3 * own_p, own_p + 0.2 * own_h
            found = eval(code, fixed | {"a": a, "b": b})
            pieces.append(found.reshape(len(h), -1).to(h.dtype))
        return pieces

    def step(self, p: Tensor, state: rnnkit.State) -> tuple[Tensor, rnnkit.State]:
        """Give the pieces side by side."""
        (h,) = state
        return torch.cat(self.pieces(p, h), 1), (torch.tanh(0.3 * h + p),)


class Answer(NamedTuple):
    """What runs an operator, and why no kernel does."""

    backend: str
    reason: str


def answer(row: Row) -> Answer:
    """Try an operator: record it, and write it in the intermediate form."""
    xs = torch.zeros(1, 2, UNITS, dtype=torch.float64)
    try:
        recording = record_projected(Tried([row]), xs, [xs[0]])
        step = lowered(recording, is_cheap)[2]
    except NotRecordable as reason:
        return Answer("loop", str(reason))
    return Answer("torch", step.reason) if isinstance(step, Refusal) else Answer("cpp", "")


@cache
def with_derivatives() -> frozenset[str]:
    """Return the names of aten's operators that autograd has a rule for, or that are made of others."""
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    names = set()
    for schema in torch._C._jit_get_all_schemas():
        name = schema.name.removeprefix("aten::")
        if schema.name == name or (name.endswith("_") and not name.endswith("__")):
            continue
        reads = any("Tensor" in str(a.type) for a in schema.arguments)
        gives = any("Tensor" in str(r.type) for r in schema.returns)
        writes = any(a.alias_info is not None and a.alias_info.is_write for a in schema.arguments)
        full = f"{schema.name}.{schema.overload_name}" if schema.overload_name else schema.name
        try:
            known = any(has_kernel(full, key) for key in ("Autograd", "AutogradCPU", "CompositeImplicitAutograd"))
        except RuntimeError:  # one of TorchScript's own
            continue
        if reads and gives and not writes and known:
            names.add(name)
    return frozenset(names)


def group_of(name: str) -> str:
    """Return why an operator that has no row cannot stand in a step; empty: there is no reason."""
    for reason, patterns in GROUPS.items():
        if any(re.fullmatch(pattern, name) for pattern in patterns.split()):
            return reason
    return ""


def page() -> str:
    """Write the table."""
    found = [(row, answer(row)) for row in rows()]
    counts = Counter(WHERE[result.backend] for _, result in found)
    share = counts["native"] / len(found)
    lines = [
        f"Of {len(found)} operators {counts['native']} are native, {share:.0%}; {counts['plan']} run in the plan, "
        f"{counts['loop']} in the loop.",
        "",
        "| operator | tried as | runs | why no kernel |",
        "| --- | --- | --- | --- |",
    ]
    for row, result in found:
        expression = row.expression.replace("|", "\\|")
        lines.append(f"| `{row.name}` | `{expression}` | {WHERE[result.backend]} | {result.reason} |")
    others = Counter(filter(None, map(group_of, with_derivatives() - {row.name for row in rows()})))
    lines += ["", "Operators that cannot stand in a step that goes row by row:", ""]
    lines += ["| how many | why |", "| --- | --- |"]
    lines += [f"| {others[reason]} | {reason} |" for reason in GROUPS]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.exit(print(PAGE.read_text(encoding="utf-8").splitlines()[0]))
