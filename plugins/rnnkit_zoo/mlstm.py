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
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import Projected, State
from rnnkit.errors import check_flag
from rnnkit_zoo._declared import Declared


class MLSTM(Declared):
    """The LSTM of matrix memory in xLSTM, stabilised (Beck 2024).

    State: c (B, H, H), n (B, H), m (B, 1). Parameters in the rows q, k, v, o (H each), i, f (one each): linear.weight
    (4H + 2, D) and linear.bias (4H + 2,), as of torch.nn.Linear.
    """

    name = "mlstm"
    state_names = ("c", "n", "m")

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_flag, bias=bias)
        self.linear = nn.Linear(input_size, 4 * hidden_size + 2, bias=bias)
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

    def initial_state(self, batch_size: int) -> State:
        """Return zeros: c (B, H, H), n (B, H), m (B, 1)."""
        zeros, size = self.linear.weight.new_zeros, self.hidden_size
        return zeros(batch_size, size, size), zeros(batch_size, size), zeros(batch_size, 1)

    def project(self, xs: Tensor) -> Projected:
        """Compute q, k, v, o, i~ and l: (T, B, D) -> four of (T, B, H), two of (T, B, 1)."""
        q, k, v, o, i, f = self.linear(xs).split([self.hidden_size] * 4 + [1, 1], dim=2)
        return q, k * self.hidden_size**-0.5, v, torch.sigmoid(o), i, F.logsigmoid(f)

    def step(self, p: tuple[Tensor, ...], state: State) -> tuple[Tensor, State]:
        """Advance one step: p as `project` has it, c (B, H, H), n (B, H), m (B, 1)."""
        c, n, m = state
        q, k, v, o, i, kept = p
        kept = kept + m
        m = torch.maximum(kept, i)
        f, i = torch.exp(kept - m), torch.exp(i - m)
        c = f.unsqueeze(2) * c + (i * v).unsqueeze(2) * k.unsqueeze(1)
        n = f * n + i * k
        norm = torch.maximum((n * q).sum(1, keepdim=True).abs(), torch.exp(-m))
        return o * torch.bmm(c, q.unsqueeze(2)).squeeze(2) / norm, (c, n, m)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the mLSTM."""
    return [MLSTM]
