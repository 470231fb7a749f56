"""QRNN: gates from a convolution over this and the previous input, then a recurrence without products.

    z = tanh(W_z x + V_z x' + b_z)              x' is the previous input, zero at the start
    f = σ(W_f x + V_f x' + b_f)
    o = σ(W_o x + V_o x' + b_o)
    c = f ⊙ c + (1 - f) ⊙ z,  y = o ⊙ c

Paper: Bradbury et al., "Quasi-Recurrent Neural Networks", ICLR 2017.

What differs: biases; of the paper's windows the one of 2, of its poolings "fo". Its code has 1 - f in place of f.

When to use it: in place of an LSTM for text, in several layers, where speed counts.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import Projected, State
from rnnkit.errors import check_flag
from rnnkit_zoo._declared import Declared
from rnnkit_zoo._starts import D, root, starting, uniform


class QRNN(Declared):
    """Quasi-recurrent network of window 2 with fo-pooling (Bradbury 2017).

    State: x (B, D), the previous input, and c (B, H). Parameters in the rows z, f, o, as of torch.nn.Linear:
    now.weight, before.weight (3H, D) and now.bias (3H,).
    """

    name = "qrnn"
    state_names = ("x", "c")
    state_widths = ("D", "H")
    starts = starting(now=uniform(1 / root(2 * D)), before=uniform(1 / root(2 * D)))

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_flag, bias=bias)
        self.now = nn.Linear(input_size, 3 * hidden_size, bias=bias)
        self.before = nn.Linear(input_size, 3 * hidden_size, bias=False)
        self.reset_parameters()

    def project(self, xs: Tensor) -> Projected:
        """Compute this input's part of all blocks, and keep it: (T, B, D) -> (T, B, 3H) and (T, B, D)."""
        return self.now(xs), xs

    def step(self, p: tuple[Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H) and (B, D), x (B, D), c (B, H)."""
        (x, c), (now, following) = state, p
        z, f, o = (now + self.before(x)).chunk(3, dim=1)
        f = torch.sigmoid(f)
        c = f * c + (1 - f) * torch.tanh(z)
        return torch.sigmoid(o) * c, (following, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the QRNN."""
    return [QRNN]
