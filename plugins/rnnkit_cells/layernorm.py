"""LSTM with layer normalisation inside the recurrence.

    (i, f, g, o) = LN(W_ih x; α_ih, b_ih) + LN(W_hh h; α_hh, b_hh)
    c = σ(f) ⊙ c + σ(i) ⊙ tanh(g)
    h = σ(o) ⊙ tanh(LN(c; α_c, b_c)),  y = h; with a projection h = W_hr (σ(o) ⊙ ...)

    LN(z; α, b) = α ⊙ (z - mean(z)) / √(var(z) + ε) + b, mean and biased variance over all units of z, ε = 1e-5

Paper: Ba, Kiros & Hinton, "Layer Normalization", arXiv 1607.06450, 2016, equations 20 to 22.

Gate order: i, f, g, o in the rows of every weight; one normalisation spans all four, as in the paper.

What differs: the paper orders the gates f, i, o, g and adds a third bias to the gates' sum, which the two of the
normalisations already express.

When to use it: where an LSTM's training is unstable or slow: large learning rates, long sequences, several layers.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import State
from rnnkit_cells._gated import Gated


class LayerNormLSTM(Gated):
    """LSTM with layer-normalised gates and cell state (Ba 2016).

    State: h (B, P), c (B, H), where P is `proj_size` or H. Parameters: weight_ih (4H, D), weight_hh (4H, P), with a
    projection weight_hr (P, H); gains gain_ih and gain_hh (4H,), gain_c (H,), which start at one; biases bias_ih and
    bias_hh (4H,), bias_c (H,), which start at zero.
    """

    name = "layernorm"
    state_names = ("h", "c")
    gates = ("i", "f", "g", "o")
    forget_gate = "f"
    input_gate = "i"

    bias_c: nn.Parameter | None

    def add_parameters(self, bias: bool) -> None:
        """Add the gains, and the bias of the cell state."""
        self.gain_ih = nn.Parameter(torch.empty(4 * self.hidden_size))
        self.gain_hh = nn.Parameter(torch.empty(4 * self.hidden_size))
        self.gain_c = nn.Parameter(torch.empty(self.hidden_size))
        self.register_parameter("bias_c", nn.Parameter(torch.empty(self.hidden_size)) if bias else None)

    def reset_parameters(self) -> None:
        """Draw the weights from U(-1/√H, 1/√H); set gains to one and biases to zero."""
        super().reset_parameters()
        for name, parameter in self.named_parameters():
            if name.startswith("gain"):
                nn.init.ones_(parameter)
            elif name.startswith("bias"):
                nn.init.zeros_(parameter)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's normalised part of all gates: (T, B, D) -> (T, B, 4H)."""
        return layer_norm(F.linear(xs, self.weight_ih), self.gain_ih, self.bias_ih)

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 4H), h (B, P), c (B, H)."""
        h, c = state
        gates = p + layer_norm(h @ self.weight_hh.t(), self.gain_hh, self.bias_hh)
        i, f, g, o = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = self.seen(torch.sigmoid(o) * torch.tanh(layer_norm(c, self.gain_c, self.bias_c)))
        return h, (h, c)


def layer_norm(z: Tensor, gain: Tensor, bias: Tensor | None) -> Tensor:
    """Normalise over the last dimension, then scale and shift."""
    return F.layer_norm(z, gain.shape, gain, bias, eps=1e-5)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the layer-norm LSTM."""
    return [LayerNormLSTM]
