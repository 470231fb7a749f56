"""What the cells share whose recurrent blocks read different things: a product for each block."""

from torch import Tensor
from torch.nn import functional as F

from rnnkit_zoo._stacked import Stacked


class Apart(Stacked):
    """A cell whose recurrent blocks do not all read the same h."""

    def product(self, name: str, h: Tensor) -> Tensor:
        """Return one recurrent block W_h h + b_h of what it reads, h (B, H): (B, H)."""
        names = self.blocks if self.recurrent_blocks is None else self.recurrent_blocks
        start = names.index(name) * self.hidden_size
        rows = slice(start, start + self.hidden_size)
        return F.linear(h, self.weight_hh[rows], None if self.bias_hh is None else self.bias_hh[rows])
