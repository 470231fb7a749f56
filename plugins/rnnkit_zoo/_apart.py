"""What the cells share whose recurrent blocks read different things: a product for each block."""

from torch import Tensor
from torch.nn import functional as F

from rnnkit_zoo._stacked import Stacked


class Apart(Stacked):
    """A cell whose recurrent blocks do not all read the same h."""

    def product(self, name: str, h: Tensor, blocks: int = 1) -> Tensor:
        """Return a recurrent block W_h h + b_h, or so many from it on, of what it reads, h (B, H): (B, blocks * H)."""
        start = self.recurrent_names().index(name) * self.hidden_size
        rows = slice(start, start + blocks * self.hidden_size)
        return F.linear(h, self.weight_hh[rows], None if self.bias_hh is None else self.bias_hh[rows])
