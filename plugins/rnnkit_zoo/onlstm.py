"""ON-LSTM: an LSTM whose units are ordered, from those that forget soon to those that keep long.

    i, f, o = σ(W x + b_ih + U h + b_hh),  g = tanh(W_g x + b_ig + U_g h + b_hg)
    F = cumsum(softmax(V_F x + b_F + U_F h + d_F))                  master forget gate
    I = 1 - cumsum(softmax(V_I x + b_I + U_I h + d_I))              master input gate
    ω = F ⊙ I                                                       where the two overlap, the LSTM's gates decide
    c = (f ⊙ ω + F - ω) ⊙ c + (i ⊙ ω + I - ω) ⊙ g
    h = o ⊙ tanh(c),  y = h

Paper: Shen et al., "Ordered Neurons: Integrating Tree Structures into Recurrent Neural Networks", ICLR 2019.

Gate order: i, f, g, o in the rows of the LSTM's weights; F, I in those of the master gates'.

What differs: nothing; the paper's chunk factor C is `chunk_size`: so many neighbours share a number of F and of I.

When to use it: language, and what else has nested parts of different lengths.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import UsageError, check_whole
from rnnkit_zoo._stacked import Stacked


class ONLSTM(Stacked):
    """Ordered neurons LSTM (Shen 2019).

    State: h, c (B, H). Parameters: the LSTM's, weight_ih (4H, D), weight_hh (4H, H), bias_ih and bias_hh (4H,); as of
    torch.nn.Linear, M = H / C: master_ih.weight (2M, D), master_hh.weight (2M, H), their biases (2M,).

    Args:
        input_size: D.
        hidden_size: H.
        chunk_size: C, which divides H.
        bias: whether there are biases.
    """

    name = "onlstm"
    state_names = ("h", "c")
    gates = blocks = ("i", "f", "g", "o")

    def __init__(self, input_size: int, hidden_size: int, *, chunk_size: int = 1, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        check_whole("cell 'onlstm': chunk_size", chunk_size)
        if hidden_size % chunk_size:
            raise UsageError(f"cell 'onlstm': chunk_size is {chunk_size}; it must divide hidden_size, {hidden_size}")
        count = hidden_size // chunk_size
        self.master_ih = nn.Linear(input_size, 2 * count, bias=bias)
        self.master_hh = nn.Linear(hidden_size, 2 * count, bias=bias)
        self.sums = nn.Buffer(torch.ones(count, count).tril().repeat_interleave(chunk_size, 0), persistent=False)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part of all gates, the master gates' last: (T, B, D) -> (T, B, 4H + 2M)."""
        return torch.cat([super().project(xs), self.master_ih(xs)], dim=2)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H + 2M), h, c (B, H)."""
        h, c = state
        gates = p + torch.cat([*self.products(h), self.master_hh(h)], dim=1)
        i, f, g, o, masters = torch.split(gates, [*[self.hidden_size] * 4, 2 * self.sums.shape[1]], dim=1)
        keep, shut = (F.linear(torch.softmax(master, 1), self.sums) for master in masters.chunk(2, dim=1))
        both = keep * (1 - shut)
        c = (torch.sigmoid(f) * both + keep - both) * c + (torch.sigmoid(i) * both + 1 - shut - both) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the ON-LSTM."""
    return [ONLSTM]
