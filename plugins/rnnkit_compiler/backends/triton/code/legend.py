"""The legend of a source: what its names stand for, in the words of the cell's author where these are known."""

from collections.abc import Iterator, Mapping

from rnnkit_compiler.schedule.plan import KernelPlan

GENERAL = (
    "r, j: rows of the batch, units of a row; x12: value 12 of the plan, f_12: the same where the author calls it f",
    "part: what a step reads of the input; kept, saved, operand: what backward reads of a step",
    "grad_...: the gradient of that with respect to the sum of all losses",
)


def legend(plan: KernelPlan, weights: Mapping[str, int]) -> Iterator[str]:
    """Say what the names in the source of a plan stand for, line by line.

    Args:
        plan: of the kernels.
        weights: the numbers of parameters and buffers in the recording, by path.
    """
    step = plan.step
    paths = {number: path for path, number in weights.items()}
    states = {node.attr[0]: name for node, name in step.names.items() if node.op == "state"}
    yield ", ".join(f"state{k}: {states.get(k, '?')} ({width})" for k, width in enumerate(step.state_widths))
    for k, hoisted in enumerate(step.hoisted, step.given_parts):
        bias = "" if hoisted.bias is None else f" + vector{hoisted.bias}"
        yield f"part{k}: part{hoisted.part} w{hoisted.matrix}{bias}, of all steps, before the first"
    for letter, entries in (("w", step.matrices), ("vector", step.vectors)):
        for k, entry in enumerate(entries):
            shape = ", ".join(map(str, entry.shape))
            yield f"{letter}{k}: {_of(paths.get(entry.number))} ({shape})"
    yield from GENERAL


def _of(path: str | None) -> str:
    """Say what an invariant is: a parameter or buffer, turned and cut as the kernel reads it, or made of some."""
    return path or "made of the parameters"
