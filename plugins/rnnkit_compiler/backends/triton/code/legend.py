"""The legend of a source: what its names stand for, in the words of the cell's author where these are known."""

from collections.abc import Iterator, Mapping

from rnnkit_compiler.backends.triton.code.author_names import names_of
from rnnkit_compiler.schedule.plan import KernelPlan

GENERAL = (
    "c: what the author of the step calls c, after the last assignment to it; c_before: the state before the step;",
    "c_1, c_2: what c was before it was assigned to again; c_: c, where the kernel has another of that name",
    "tanh_c: tanh(c); c_in: what c is a function of; x12, n12: value 12 of the plan, n12 of one number for each row",
    "d_c: the gradient of c; d_c_later: what comes back of it from the step behind; d_y: of the output",
    "c w1: row c times matrix w1; w1ᵀ: its transpose; c[0:20]: units 0 to 19 of c; [a, b]: a, and b behind it",
    "row, j: rows of the batch, units of a row; ..._at: where the rows of this step begin in a buffer",
    "part: what a step reads of the input; kept, saved, operand: what backward reads of a step;",
    "temporary, numbers, running: what one stage leaves to the next; grad_...: the gradient of that",
)


def legend(plan: KernelPlan, weights: Mapping[str, int]) -> Iterator[str]:
    """Say what the names in the source of a plan stand for, line by line.

    Args:
        plan: of the kernels.
        weights: the numbers of parameters and buffers in the recording, by path.
    """
    step = plan.step
    paths = {number: path for path, number in weights.items()}
    called = names_of(plan)
    before = {node.attr[0]: name for node, name in called.items() if node.op == "state"}
    for k, (width, after) in enumerate(zip(step.state_widths, step.next_states, strict=True)):
        yield f"state{k}: {before.get(k, '?')} ({width}); next_state{k}: {called.get(after, '?')}"
    parts = {node.attr[0]: f" ({name})" for node, name in called.items() if node.op == "part"}
    for k, width in enumerate(step.part_widths[: step.given_parts]):
        yield f"part{k}{parts.get(k, '')}: of the input ({width})"
    for k, hoisted in enumerate(step.hoisted, step.given_parts):
        bias = "" if hoisted.bias is None else f" + vector{hoisted.bias}"
        yield f"part{k}{parts.get(k, '')}: part{hoisted.part} w{hoisted.matrix}{bias}, of all steps, before the first"
    vectors = {node.attr[0]: f" ({name})" for node, name in called.items() if node.op == "vector"}
    for letter, entries, named in (("w", step.matrices, {}), ("vector", step.vectors, vectors)):
        for k, entry in enumerate(entries):
            shape = ", ".join(map(str, entry.shape))
            yield f"{letter}{k}{named.get(k, '')}: {_of(paths.get(entry.number))} ({shape})"
    yield from GENERAL


def _of(path: str | None) -> str:
    """Say what an invariant is: a parameter or buffer, turned and cut as the kernel reads it, or made of some."""
    return path or "made of the parameters"
