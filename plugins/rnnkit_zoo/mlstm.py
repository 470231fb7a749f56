"""mLSTM: an LSTM whose memory is a matrix of associations, written by key and value and read by query.

    q = W_q x + b_q,  k = (W_k x + b_k) / √H,  v = W_v x + b_v,  o = σ(W_o x + b_o)
    i~ = w_i x + b_i,  l = log σ(w_f x + b_f)                   one number each
    m' = max(l + m, i~)                                         keeps the exponentials below one
    C = exp(l + m - m') C + exp(i~ - m') v kᵀ
    n = exp(l + m - m') n + exp(i~ - m') k
    y = o ⊙ C q / max(|nᵀ q|, exp(-m'))

Paper: Beck et al., "xLSTM: Extended Long Short-Term Memory", NeurIPS 2024.

What differs: one head; b_k is divided by √H too; of the forget gate's two forms only the sigmoid. The paper's block
around it is left out.

When to use it: to recall by key; the state has H² numbers a row.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Projected, State
from rnnkit_zoo._exponential import stabilised
from rnnkit_zoo._memory import MatrixMemory


class MLSTM(MatrixMemory):
    """The LSTM of matrix memory in xLSTM, stabilised (Beck 2024).

    State: c (B, H, H), n (B, H), m (B, 1). Parameters in the rows q, k, v, o (H each), i, f (one each): linear.weight
    (4H + 2, D) and linear.bias (4H + 2,), as of torch.nn.Linear.
    """

    name = "mlstm"
    state_names = ("c", "n", "m")
    state_shapes = ("H, H", "H", "1")

    def project(self, xs: Tensor) -> Projected:
        """Compute q, k, v, o, i~ and l: (T, B, D) -> four of (T, B, H), two of (T, B, 1)."""
        q, k, v, o, i, f = self.linear(xs).split([self.hidden_size] * 4 + [1, 1], dim=2)
        return q, k * self.hidden_size**-0.5, v, torch.sigmoid(o), i, F.logsigmoid(f)

    def step(self, p: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Advance one step: p as `project` has it, c (B, H, H), n (B, H), m (B, 1)."""
        (c, n, m), (q, k, v, o, i, kept) = state, p
        f, i, m = stabilised(kept + m, i)
        c = f.unsqueeze(2) * c + (i * v).unsqueeze(2) * k.unsqueeze(1)
        n = f * n + i * k
        norm = torch.maximum((n * q).sum(1, keepdim=True).abs(), torch.exp(-m))
        return o * torch.bmm(c, q.unsqueeze(2)).squeeze(2) / norm, (c, n, m)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the mLSTM."""
    return [MLSTM]
