"""What the cells share whose products see the input alone: no weight for h, and one bias."""

from typing import ClassVar

from rnnkit_zoo._stacked import Stacked


class Fed(Stacked):
    """A cell without products of h: of one block, where it says nothing else.

    Parameters, G `blocks`: weight_ih `(G*H, D)` and bias_ih `(G*H,)`, absent with `bias=False`.
    """

    blocks: ClassVar[tuple[str, ...]] = ("x",)
    recurrent_blocks: ClassVar[tuple[str, ...] | None] = ()
