"""Mogrifier LSTM: input and h scale each other in turn, a few rounds, before an LSTM sees them.

    x = 2 σ(Q_r h) ⊙ x          in the rounds r = 1, 3, ...
    h = 2 σ(R_r x) ⊙ h          in the rounds r = 2, 4, ...
    i, f, o = σ(W x + b_ih + U h + b_hh),  g = tanh(W_g x + b_ig + U_g h + b_hg)
    c = f ⊙ c + i ⊙ g
    h = o ⊙ tanh(c),  y = h

Paper: Melis, Kočiský & Blunsom, "Mogrifier LSTM", ICLR 2020.

What differs: Q and R are whole matrices without biases; the paper also makes them of low rank, and its published code
has biases in the rounds and lets no more in than 1 - f.

When to use it: language models, where the meaning of a token hangs on what came before.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_whole
from rnnkit_zoo._lstm import LSTMLike


class Mogrifier(LSTMLike):
    """LSTM behind rounds of mutual gating of x and h (Melis 2020).

    State: h, c (B, H). Parameters in the rows i, f, g, o: weight_ih (4H, D), weight_hh (4H, H), bias_ih and bias_hh
    (4H,); mutual.0.weight (D, H), mutual.1.weight (H, D) and so on, Q and R, as of torch.nn.Linear.

    Args:
        rounds: how often x or h is scaled; 0: an LSTM.
    """

    name = "mogrifier"

    def __init__(self, input_size: int, hidden_size: int, *, rounds: int = 5, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        check_whole("cell 'mogrifier': rounds", rounds, least=0)
        sizes = [hidden_size, *[input_size, hidden_size] * rounds]
        self.mutual = nn.ModuleList(nn.Linear(sizes[r], sizes[r + 1], bias=False) for r in range(rounds))

    def project(self, xs: Tensor) -> Tensor:
        """Return the input itself (T, B, D): h scales it before any product."""
        return xs

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, D), h, c (B, H)."""
        (h, c), x = state, p
        for r, scale in enumerate(self.mutual):
            x, h = (2 * torch.sigmoid(scale(h)) * x, h) if r % 2 == 0 else (x, 2 * torch.sigmoid(scale(x)) * h)
        h, c = self.lstm(self.preactivations(super().project(x), h), c)
        return h, (h, c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the Mogrifier LSTM."""
    return [Mogrifier]
