"""Notes: what is said of a value in a comment, in the names of the step's author."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from rnnkit_compiler.backends.triton.code.author_names import names_of
from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.ir.kinds import CONTRACTIONS
from rnnkit_compiler.schedule.plan import KernelPlan

SIGNS = {"add": "+", "sub": "-", "mul": "*", "div": "/"}

LONGEST, DEEPEST = 100, 12
"""Characters of an equation, and levels of operations without a name in it; no other is written down."""

TOO_LONG = "." * (LONGEST + 1)

WORD = re.compile(r"[^\W\d]\w*")


@dataclass
class Notes:
    """What values are called, and what is said of them.

    A gradient is the sum of what comes back from wherever its value is used; what the value was made of tells most.
    """

    called: dict[Node, str] = field(default_factory=dict)
    values: dict[Node, Node] = field(default_factory=dict)
    """The values with a name that gradients with a name are of."""

    cited: dict[str, Node] = field(default_factory=dict)
    """What names in comments stand for."""

    @classmethod
    def of(cls, plan: KernelPlan) -> "Notes":
        """Return the notes on a plan."""
        called = names_of(plan)
        values: dict[Node, Node] = {}
        for of, node in plan.derivative.gradients.items():
            if of in called and node in called and not node.is_leaf:
                values.setdefault(node, of)
        return cls(called, values)

    def remark(self, node: Node) -> str:
        """Say what a value is where its line does not: what it is read from, what it is made of; empty: it does."""
        if node.is_leaf or not node.is_pointwise:
            return self.note(node)
        if node in self.values:
            of = self.values[node]
            return f"of {self.name(of)}{self._equals(of)}"
        unnamed = any(operand.op != "number" and operand not in self.called for operand in node.inputs)
        return self._equals(node).removeprefix(" = ") if node in self.called and unnamed else ""

    def note(self, node: Node) -> str:
        """Print a node by the names of its operands; a leaf by what it is."""
        if node.op == "slice":
            return self._cut(node)
        if node.op == "product":
            operand = self._joined(node.inputs[0])
            return f"{operand} w{node.attr[0]}{'ᵀ' * node.attr[1]}"
        if not node.inputs:
            return _leaf(node)
        operands = [literal_of(o) if o.op == "number" else self.name(o) for o in node.inputs]
        shown = {"window": 0, "products": 0}.get(node.op, 1 if node.op in CONTRACTIONS else 2)
        return f"{node.op}({', '.join([*operands, *map(str, node.attr[:shown])])})"

    def legend(self, lines: Sequence[str]) -> list[str]:
        """Say of each name that the comments of a function cite, and none of its lines defines, what it stands for."""
        known = {line.split(" = ")[0].strip() for line in lines if " = " in line}
        wanted = [word for line in lines for word in WORD.findall(line.partition("  # ")[2])]
        said: list[str] = []
        for word in wanted:  # which grows: what is said cites others
            node = self.cited.get(word)
            if node is None or word in known or (node.is_leaf and word == _leaf(node)):
                continue
            known.add(word)
            text = self._definition(node)
            wanted += WORD.findall(text)
            said.append(f"# {word}: {text}")
        return said

    def _definition(self, node: Node) -> str:
        if node in self.values:
            return f"the gradient of {self.name(self.values[node])}"
        if not node.inputs:
            return _leaf(node)
        return self._equals(node).removeprefix(" = ") or self.note(node)

    def name(self, node: Node) -> str:
        """Return the name of a value, of a buffer where it is all of that; else its number in the plan."""
        name = self.variable(node) if node in self.called or node.inputs else _leaf(node)
        self.cited[name] = node
        return name

    def variable(self, node: Node) -> str:
        """Name the variable of a value: as its author calls it, if that is known, or by its number in the plan."""
        return self.called.get(node, f"{'n' if node.width == 1 else 'x'}{node.number}")

    def _cut(self, node: Node) -> str:
        whole = node.inputs[0]
        cut = f"({self.note(whole)})" if whole.op == "product" else self.name(whole)
        return f"{cut}[{node.attr[0]}:{node.attr[0] + node.width}]"

    def _joined(self, node: Node) -> str:
        """Print what is one behind the other in a buffer."""
        parts = ", ".join(map(self.name, node.inputs))
        is_shown = node.op == "concat" and node not in self.called and len(parts) < LONGEST
        return f"[{parts}]" if is_shown else self.name(node)

    def _equals(self, node: Node) -> str:
        """Write what a value is made of, down to what has a name; nothing if that is long, or if it is a leaf."""
        text = self._made_of(node, DEEPEST) if node.is_pointwise else self.note(node) if node.inputs else ""
        return f" = {text}" if text and len(text) <= LONGEST else ""

    def _made_of(self, node: Node, levels: int) -> str:
        """Write a pointwise operation; something too long where there are too many."""
        operands = []
        for operand in node.inputs:
            operands.append(self._written(operand, levels - 1))
            if sum(map(len, operands)) > LONGEST:
                return TOO_LONG
        if node.op not in SIGNS:
            return operands[0] if node.op == "expand" else f"{node.op}({', '.join(operands)})"
        sums, (first, second) = ("add", "sub"), map(self._inner, node.inputs)
        if node.op not in sums:
            operands[0] = f"({operands[0]})" if first in sums else operands[0]
        if node.op == "div" or second in sums:
            operands[1] = f"({operands[1]})" if second in SIGNS and node.op != "add" else operands[1]
        return f" {SIGNS[node.op]} ".join(operands)

    def _inner(self, node: Node) -> str:
        """Return the operation by which an operand is written; empty: by its name."""
        while node.op == "expand" and node not in self.called:
            (node,) = node.inputs
        return "" if node in self.called or not node.is_pointwise else node.op

    def _written(self, node: Node, levels: int) -> str:
        if node.op == "number":
            return literal_of(node)
        if node in self.called:
            return self.name(node)
        if node.is_pointwise:
            return self._made_of(node, levels) if levels else TOO_LONG
        return self.note(node) if node.op in ("slice", "product") else self.name(node)


def _leaf(node: Node) -> str:
    """Return the name of the buffer that a leaf is all of."""
    return f"{node.op}{node.attr[0] if node.attr else ''}"


def literal_of(node: Node) -> str:
    """Write a literal."""
    value = node.attr[0]
    text = repr(float(value[1] + value[2] if isinstance(value, tuple) else value))
    return text if text[-1].isdigit() or text[-1] == "." else f'float("{text}")'
