"""Gated recurrent unit.

    r = σ(W_ir x + b_ir + W_hr h + b_hr)            reset gate
    z = σ(W_iz x + b_iz + W_hz h + b_hz)            update gate
    n = tanh(W_in x + b_in + r ⊙ (W_hn h + b_hn))   candidate
    h = (1 - z) ⊙ n + z ⊙ h,  y = h

    n = tanh(W_in x + b_in + W_hn (r ⊙ h) + b_hn)   with reset_after=False

With a projection the three products see W_hr h in place of h, and y = W_hr h; the state stays the whole h.

Paper: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
EMNLP 2014.

Gate order: r, z, n in the rows of every weight, as in torch.nn.GRU.

What differs: the paper resets h before the matrix product, W_hn (r ⊙ h); here, as in torch and cuDNN, after it, so
that one product serves all gates, unless `reset_after=False` asks for the paper's. From torch.nn.GRU, nothing but
rounding.

When to use it: as an LSTM with a quarter fewer parameters and one state; mostly as good, but it counts less far (Weiss,
Goldberg & Yahav, ACL 2018).
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit.errors import UsageError, check_flag
from rnnkit_cells._gated import Gated


class GRU(Gated):
    """Gated recurrent unit, reset after the product (Cho 2014).

    State: h (B, H). Parameters in the rows r, z, n: weight_ih (3H, D), weight_hh (3H, P), bias_ih and bias_hh (3H,),
    where P is `proj_size` or H; with a projection weight_hr (P, H).

    Args:
        input_size: D.
        hidden_size: H.
        reset_after: whether the reset gate acts after the recurrent product, as in torch, or before it.
        bias: whether the gates have biases.
        proj_size: P < H, goes with `reset_after=True`; 0: no projection.
    """

    name = "gru"
    gates = ("r", "z", "n")
    forget_gate = "z"

    def __init__(
        self, input_size: int, hidden_size: int, *, reset_after: bool = True, bias: bool = True, proj_size: int = 0
    ) -> None:
        check_flag("cell 'gru': reset_after", reset_after)
        if proj_size and not reset_after:
            raise UsageError("cell 'gru': proj_size goes with reset_after=True; what is reset before has H elements")
        super().__init__(input_size, hidden_size, bias=bias, proj_size=proj_size)
        self.reset_after = reset_after

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of the state: H, projected or not."""
        return (self.hidden_size,)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part of all gates: (T, B, D) -> (T, B, 3H); b_hh waits for the reset gate."""
        return F.linear(xs, self.weight_ih, self.bias_ih)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 3H), h (B, H)."""
        return self.advance(p, state, state)

    def advance(self, p: Tensor, read: State, state: State) -> tuple[Tensor, State]:
        """Advance one step whose products read another h than the one that z hands on."""
        (h,) = state
        z, n = (self._reset_after if self.reset_after else self._reset_before)(p, *read)
        h = n + z * (h - n)
        return self.seen(h), (h,)

    def _reset_after(self, p: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        p_r, p_z, p_n = p.chunk(3, dim=1)
        h_r, h_z, h_n = F.linear(self.seen(h), self.weight_hh, self.bias_hh).chunk(3, dim=1)
        r = torch.sigmoid(p_r + h_r)
        z = torch.sigmoid(p_z + h_z)
        return z, torch.tanh(p_n + r * h_n)

    def _reset_before(self, p: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        gates, rows = 2 * self.hidden_size, self.weight_hh
        b_gates, b_n = (None, None) if self.bias_hh is None else (self.bias_hh[:gates], self.bias_hh[gates:])
        r, z = torch.sigmoid(p[:, :gates] + F.linear(h, rows[:gates], b_gates)).chunk(2, dim=1)
        return z, torch.tanh(p[:, gates:] + F.linear(r * h, rows[gates:], b_n))

    def extra_repr(self) -> str:
        """Show the sizes, and where the reset gate acts if not as in torch."""
        return super().extra_repr() + ("" if self.reset_after else ", reset_after=False")


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the GRU."""
    return [GRU]
