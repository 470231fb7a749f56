"""What values are called: as the author of the step calls them, and their gradients by these names.

A variable has its author's name after the last assignment to it; what it was before is `h_before` where it is a state,
and else `h_1`, `h_2`. What has no name, and is one function of what has one, goes by both, as `tanh_c`; what a value
with a name is one function of is `z_in`. `d_c` is the gradient of `c`, `d_c_later` what comes back of it from the step
behind. A name that the kernel itself uses ends in _.
"""

import keyword
import re
from collections.abc import Iterator
from functools import cache

from rnnkit_compiler.backends.triton import library
from rnnkit_compiler.ir.graph import Node, needed
from rnnkit_compiler.ir.kinds import LEAVES
from rnnkit_compiler.ir.operations import OPERATIONS
from rnnkit_compiler.schedule.plan import KernelPlan

OWN = frozenset(
    (
        *("a", "d", "held", "here", "j", "k", "layers", "numbers", "piece", "place", "row", "run", "s", "sums", "turn"),
        *("u", "w", "w_columns", "w_rows", "y", "batch", "lengths", "slots", "t", "ROWS", "UNITS", "DEPTH"),
        *("before", "begin", "equal", "other", "own", "own_turn"),
        *("PRECISION", "REAL", "float", "range", "tl", "triton"),
    )
)
"""What generated code calls things of its own."""

BUFFERS = "first|initial|kept|last|matrices|operand|part|running|saved|state|temporary|units?|vector"

NUMBERED = re.compile(
    rf"(n|q|w|x|y|{BUFFERS})\d+(_rows|_columns)?|(grad|next|held|forward|backward|inference)_\w+|\w+_at"
)
"""Names of its own with numbers, and of buffers."""


def names_of(plan: KernelPlan) -> dict[Node, str]:
    """Return the name of each value that has one."""
    names = _Names()
    for node, name in _of_the_author(plan):
        names.give(node, name)
    own = {*names.given}
    for node in needed([plan.step.output, *plan.step.next_states]):
        if node.op in OPERATIONS and len(node.inputs) == 1:
            (operand,) = node.inputs
            if node in own and operand.is_pointwise:
                names.give(operand, f"{names.plain(node)}_in")
            elif operand in own:
                names.give(node, f"{node.op}_{names.plain(operand)}")
    for node in needed(plan.gradients):
        if node.op == "grad_y":
            names.give(node, "d_y")
        elif node.op == "grad_state":
            names.give(node, f"d_{_state_name(plan, node.attr[0])}_later")
    for of, node in plan.derivative.gradients.items():
        if of in names.given and node.op not in (*LEAVES, "concat"):
            names.give(node, f"d_{names.plain(of)}")
    return names.given


def _of_the_author(plan: KernelPlan) -> Iterator[tuple[Node, str]]:
    """Return the author's names, the last value of each variable under the plain one."""
    ends = {*plan.step.next_states, plan.step.output}
    variables: dict[str, list[Node]] = {}
    for node, name in plan.step.names.items():
        variables.setdefault(name, []).append(node)
    for name, nodes in variables.items():
        plain = re.sub(r"\W", "_", name)
        nodes.sort(key=lambda node: (node in ends, node.op not in LEAVES))  # of equals the order of assignment stays
        *earlier, last = nodes
        yield last, f"{plain}_before" if last.op == "state" else plain
        states = [node for node in earlier if node.op == "state"]
        yield from ((node, f"{plain}_before") for node in states)
        yield from ((node, f"{plain}_{k}") for k, node in enumerate((n for n in earlier if n not in states), 1))


def _state_name(plan: KernelPlan, k: int) -> str:
    """Return the author's name of a state."""
    found = (name for node, name in plan.step.names.items() if node.op == "state" and node.attr[0] == k)
    return re.sub(r"\W", "_", next(found, f"state{k}"))


@cache
def _functions() -> frozenset[str]:
    """Return the names of what generated code calls."""
    texts = map(library.text_of, library.MODULES)
    return frozenset(name for text in texts for name in re.findall(r"^def (\w+)\(", text, re.MULTILINE))


class _Names:
    """Names that have been given, each to one value."""

    def __init__(self) -> None:
        self.given: dict[Node, str] = {}
        self._taken = {*OWN, *_functions()}

    def plain(self, node: Node) -> str:
        """Return the name of a value, for one that begins or ends with it."""
        return self.given[node].rstrip("_")

    def give(self, node: Node, name: str) -> None:
        """Give a value a name, unless it has one."""
        if node in self.given or node.op == "number":
            return
        name = f"_{name}" if not name or name[0].isdigit() else name
        while name in self._taken or keyword.iskeyword(name) or NUMBERED.fullmatch(name):
            name += "_"
        self._taken.add(name)
        self.given[node] = name
