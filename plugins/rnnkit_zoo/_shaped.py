"""What the cells share whose states are not one row of numbers each."""

from typing import ClassVar

from rnnkit import State
from rnnkit_zoo._declaration import sizes
from rnnkit_zoo._declared import Declared


class Shaped(Declared):
    """A cell that says the shape of each of its states."""

    state_shapes: ClassVar[tuple[str, ...]]
    """Of a row of the batch, in words, such as ("H, H", "H", "1")."""

    def initial_state(self, batch_size: int) -> State:
        """Return zeros (B, ...) of the shapes that the cell says."""
        like = next(self.parameters())
        return tuple(like.new_zeros(batch_size, *sizes(shape, self)) for shape in self.state_shapes)
