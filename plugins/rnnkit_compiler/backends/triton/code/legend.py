"""The legend of a source: what its names stand for, in the words of the cell's author where these are known."""

from collections.abc import Iterator
from typing import Any

from rnnkit_compiler.backends.triton.code.author_names import names_of
from rnnkit_compiler.schedule.plan import KernelPlan
from rnnkit_compiler.trace.recording import Recording, Ref

LONGEST, DEEPEST = 60, 12
"""Characters and operations within one another of what an invariant is made of; else its parameters are named."""

TOO_LONG = "." * (LONGEST + 1)

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


def legend(plan: KernelPlan, recording: Recording) -> Iterator[str]:
    """Say what the names in the source of a plan stand for, line by line.

    Args:
        plan: of the kernels.
        recording: of the step, which has the parameters and what is made of them.
    """
    step, made = plan.step, _Made(recording)
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
            yield f"{letter}{k}{named.get(k, '')}: {made.of(entry.number)} ({shape})"
    yield from GENERAL


class _Made:
    """What invariants are: a parameter or buffer, turned and cut as the kernel reads it, or made of some."""

    def __init__(self, recording: Recording) -> None:
        self._paths = {number: path for path, number in recording.weights.items()}
        self._calls = {number: call for call in recording.calls for number in call.outputs if number is not None}

    def of(self, number: int) -> str:
        """Say what an invariant is."""
        text = self._written(Ref(number), DEEPEST)
        return text if len(text) <= LONGEST else f"made of {', '.join(self._leaves(number)) or 'literals'}"

    def _written(self, argument: Any, levels: int) -> str:
        """Write an argument as operations of parameters; something too long where there are too many."""
        if not isinstance(argument, Ref):
            items = argument if isinstance(argument, list | tuple) else ()
            return f"[{', '.join(self._written(item, levels) for item in items)}]" if items else f"{argument}"
        number = argument.number
        if number in self._paths or number not in self._calls:
            return self._paths.get(number, "literals")
        if not levels:
            return TOO_LONG
        operands: list[str] = []
        for given in self._calls[number].args:
            operands.append(self._written(given, levels - 1))
            if sum(map(len, operands)) > LONGEST:
                break
        return f"{self._calls[number].base_name}({', '.join(operands)})"

    def _leaves(self, number: int) -> list[str]:
        """List the parameters and buffers that something is made of, each once."""
        found: dict[str, None] = {}
        seen, waiting = set[int](), [number]
        while waiting:
            one = waiting.pop()
            if one in self._paths:
                found[self._paths[one]] = None
            elif one in self._calls and one not in seen:
                waiting += reversed(self._calls[one].reads)
            seen.add(one)
        return [*found]
