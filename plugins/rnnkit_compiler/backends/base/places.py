"""Where generated code finds what it reads, and the numbers of what it is given."""

from typing import Any

from rnnkit_compiler.ir.graph import Node
from rnnkit_compiler.schedule.buffers import Place, place_of
from rnnkit_compiler.schedule.stages import Stages


class Places:
    """The places of the values of a step, as its stages come to store them."""

    stages: Stages

    stored: set[Node]
    """What the stages before have stored."""

    def source(self, node: Node) -> Place:
        """Return where a node is read that is not computed in place."""
        place = place_of(node, self.stages.sources)
        assert place is not None
        return place

    def is_stored(self, node: Node) -> bool:
        """Tell whether the row of a node stands in a buffer by now: from before the step, or from an earlier stage."""
        whole = node.inputs[0] if node.op == "slice" and node not in self.stored else node
        known = node in self.stages.given or whole in self.stages.given or whole in self.stored or node.op == "concat"
        return known and place_of(node, self.stages.sources) is not None  # a result may stand where no step reads it


def number_of(values: list[Any], value: object) -> int:
    """Return the place of a value in a list, to which it is added if it is new."""
    if value not in values:
        values.append(value)
    return values.index(value)
