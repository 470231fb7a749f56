"""A memory of associations: a matrix, into which values are written by keys, and what makes them of the input."""

from torch import nn

from rnnkit_zoo._linear import Linear
from rnnkit_zoo._shaped import Shaped


class MatrixMemory(Linear, Shaped):
    """A cell whose state is a matrix c (B, H, H), with n (B, H), the sum of the keys, and m (B, 1), the stabiliser."""

    rows = "4H + 2"  # of q, k, v, o, i and f

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw W from the normal distribution of deviation √(0.4/D), b_i from that of 0.1; b_f is 3, all else is 0."""
        gates, bias = 4 * self.hidden_size, self.linear.bias
        nn.init.normal_(self.linear.weight[:gates], std=(0.4 / self.input_size) ** 0.5)
        nn.init.zeros_(self.linear.weight[gates:])
        if bias is not None:
            nn.init.zeros_(bias[:gates])
            nn.init.normal_(bias[gates], std=0.1)
            nn.init.constant_(bias[gates + 1], 3)
