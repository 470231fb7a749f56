"""Fast-slow RNN: a slow LSTM that steps once, amid fast ones that step in turn on one state.

    h, c = LSTM_1(x, h, c)
    s, d = LSTM_S(h, s, d)              slow
    h, c = LSTM_2(s, h, c)
    h, c = LSTM_k(h, c)                 for k = 3, 4, ... up to `fast`, without input;  y = h
    LSTM(x, h, c): c' = σ(f) ⊙ c + σ(i) ⊙ tanh(g),  h' = σ(o) ⊙ tanh(c'),  (i, f, g, o) = W x + U h + b

Paper: Mujika, Meier & Steger, "Fast-Slow Recurrent Neural Networks", NeurIPS 2017.

What differs: layer normalisation, zoneout and dropout, with which the paper trains, are left out; all starts as in
torch.nn.LSTM, where the authors' weights are orthogonal, and the biases of f are 1.

When to use it: language models by the character.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_whole
from rnnkit_zoo._lstm import LSTMLike


class FastSlow(LSTMLike):
    """Fast-slow RNN of LSTMs (Mujika 2017).

    State: h, c, slow_h, slow_c (B, H). Parameters in the rows i, f, g, o: of LSTM_1, weight_ih (4H, D), weight_hh
    (4H, H), bias_ih and bias_hh (4H,); as of torch.nn.Linear, slow (4H, 2H) and its bias, whose columns are for h, s,
    and others.0 (4H, 2H), for s, h, others.1 (4H, H) and so on, with their biases.

    Args:
        fast: number of the fast LSTMs, at least 2.
    """

    name = "fastslow"
    state_names = ("h", "c", "slow_h", "slow_c")

    def __init__(self, input_size: int, hidden_size: int, *, fast: int = 2, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size, bias=bias)
        check_whole("cell 'fastslow': fast", fast, least=2)
        widths = [2 * hidden_size] + [hidden_size] * (fast - 2)
        self.slow = nn.Linear(2 * hidden_size, 4 * hidden_size, bias=bias)
        self.others = nn.ModuleList(nn.Linear(width, 4 * hidden_size, bias=bias) for width in widths)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h, c, slow_h, slow_c (B, H)."""
        h, c, slow_h, slow_c = state
        h, c = self.lstm(self.preactivations(p, h), c)
        slow_h, slow_c = self.lstm(self.slow(torch.cat([h, slow_h], dim=1)).chunk(4, dim=1), slow_c)
        for k, fast in enumerate(self.others):
            h, c = self.lstm(fast(h if k else torch.cat([slow_h, h], dim=1)).chunk(4, dim=1), c)
        return h, (h, c, slow_h, slow_c)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the fast-slow RNN."""
    return [FastSlow]
