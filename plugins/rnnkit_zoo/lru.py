"""LRU: a linear recurrence with complex eigenvalues, each a decaying rotation.

    λ = exp(-exp(ν) + i exp(θ))
    s = λ ⊙ s + exp(γ) ⊙ (B x)
    y = Re(C s) + E x

Paper: Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", ICML 2023.

Gate order: the real parts, then the imaginary parts, in the rows of B (weight_ih) and in the columns of C (weight_out);
E is weight_skip.

What differs: s is kept as real pairs; E is a whole matrix, where the paper, whose input is as wide as its output, has a
diagonal one. The paper's block puts a normalisation before and a nonlinearity behind.

When to use it: very long memories, in several layers with a nonlinearity between them.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Projected, State
from rnnkit_zoo._rotation import Rotation


class LRU(Rotation):
    """Linear recurrent unit (Orvieto 2023).

    State: re, im (B, H). Parameters: nu, theta, gamma (H,); weight_ih (2H, D), weight_out (H, 2H), weight_skip (H, D).

    Args:
        r_min: least modulus of λ at the start.
        r_max: largest one.
        max_phase: largest angle of λ at the start.
    """

    name = "lru"
    state_names = ("re", "im")

    def project(self, xs: Tensor) -> Projected:
        """Compute γ ⊙ (B x), real and imaginary, and E x: (T, B, D) -> three of (T, B, H)."""
        re, im = F.linear(xs, self.weight_ih).chunk(2, dim=2)
        return self.gamma.exp() * re, self.gamma.exp() * im, F.linear(xs, self.weight_skip)

    def step(self, p: tuple[Tensor, Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p three of (B, H), re and im (B, H)."""
        (re, im), (p_re, p_im, skip) = state, p
        cos, sin = self.eigenvalues()
        re, im = cos * re - sin * im + p_re, sin * re + cos * im + p_im
        return F.linear(torch.cat([re, -im], dim=1), self.weight_out) + skip, (re, im)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the linear recurrent unit."""
    return [LRU]
