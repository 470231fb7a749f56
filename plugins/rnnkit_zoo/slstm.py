"""sLSTM: an LSTM with an exponential input gate and a cell state that is normalised by the gates' own sum.

    i~, f~, z, o = W x + b_ih + U h + b_hh,  l = log σ(f~), or f~ with `exponential_forget=True`
    m' = max(l + m, i~)                                        keeps the exponentials below one
    c = exp(l + m - m') ⊙ c + exp(i~ - m') ⊙ tanh(z)
    n = exp(l + m - m') ⊙ n + exp(i~ - m')
    h = σ(o) ⊙ c / n,  y = h

Paper: Beck et al., "xLSTM: Extended Long Short-Term Memory", NeurIPS 2024.

What differs: one head by default; the paper's block around it is left out. It starts as the first block of the
published code does, but for weight_hh, which is zero there unless it is asked for as here.

When to use it: where an LSTM must revise what it has stored.
"""

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_zoo._exponential import Exponential
from rnnkit_zoo._starts import D, normal, root, starting


class SLSTM(Exponential):
    """The LSTM of scalar memories in xLSTM, stabilised (Beck 2024).

    State: h, c, n, m (B, H). Rows i, f, z, o: weight_ih (4H, D), weight_hh (4H, H / heads), bias_ih and bias_hh (4H,).

    Args:
        heads: groups of units, each of which sees its own part of h alone: U is block-diagonal. They divide H.
        exponential_forget: whether the forget gate is an exponential too, or a sigmoid.
    """

    name = "slstm"
    state_names = ("h", "c", "n", "m")
    starts = starting(weight_ih=normal(root(0.4 / D)), bias_ih=0, bias_hh=0)

    def reset_parameters(self) -> None:
        """Draw weight_ih: normal, deviation √(0.4/D); weight_hh: within ±1/√H; biases are 0, of f from 5 down to -7."""
        super().reset_parameters()
        if self.bias_ih is not None:
            of_f = slice(self.hidden_size, 2 * self.hidden_size)
            self.bias_ih.data[of_f] = 5 - 12 * torch.linspace(0, 1, self.hidden_size) ** 0.3

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h, c, n, m (B, H)."""
        (h, c, n, m), (i, f, z, o) = state, self.preactivations(p, state[0])
        f, i, m = self.exponentials(f, i, m)
        c = f * c + i * torch.tanh(z)
        n = f * n + i
        h = torch.sigmoid(o) * c / n
        return h, (h, c, n, m)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the sLSTM."""
    return [SLSTM]
