"""What the cells share that have one product, of the input, in a layer as torch's."""

from typing import ClassVar

from torch import nn

from rnnkit.errors import check_flag
from rnnkit_zoo._declaration import sizes
from rnnkit_zoo._declared import Declared


class Linear(Declared):
    """A cell without products of its state: linear.weight (R, D) and linear.bias (R,), as of torch.nn.Linear."""

    rows: ClassVar[str]
    """R, how many rows, in words, such as "2H"."""

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_flag, bias=bias)
        (rows,) = sizes(self.rows, self)
        self.linear = nn.Linear(input_size, rows, bias=bias)
