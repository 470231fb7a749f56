"""LRU: a linear recurrence with complex eigenvalues, each a decaying rotation.

    λ = exp(-exp(ν) + i exp(θ))
    s = λ ⊙ s + exp(γ) ⊙ (B x)
    y = Re(C s) + E x

Paper: Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", ICML 2023.

Gate order: the real parts, then the imaginary parts, in the rows of B (weight_ih) and in the columns of C (weight_out);
E is weight_skip.

At the start the λ are spread evenly over a ring, and γ makes up for their moduli.

What differs: s is kept as real pairs; E is a whole matrix, where the paper, whose input is as wide as its output, has a
diagonal one. The paper's block puts a normalisation before and a nonlinearity behind.

When to use it: very long memories, in several layers with a nonlinearity between them.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import Projected, State
from rnnkit.errors import UsageError


class LRU(rnnkit.Cell):
    """Linear recurrent unit (Orvieto 2023).

    State: re, im (B, H). Parameters: nu, theta, gamma (H,); weight_ih (2H, D), weight_out (H, 2H), weight_skip (H, D).

    Args:
        r_min: least modulus of λ at the start.
        r_max: largest one.
        max_phase: largest angle of λ at the start.
    """

    name = "lru"
    state_names = ("re", "im")

    def __init__(
        self, input_size: int, hidden_size: int, *, r_min: float = 0.0, r_max: float = 1.0, max_phase: float = 6.28
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not (0 <= r_min < r_max <= 1 and max_phase > 0):
            given = f"r_min is {r_min}, r_max {r_max}, max_phase {max_phase}"
            raise UsageError(f"cell 'lru': {given}; they must be 0 <= r_min < r_max <= 1 and above 0")
        self.weight_ih = nn.Parameter(torch.randn(2 * hidden_size, input_size) * (2 * input_size) ** -0.5)
        self.weight_out = nn.Parameter(torch.randn(hidden_size, 2 * hidden_size) * hidden_size**-0.5)
        self.weight_skip = nn.Parameter(torch.randn(hidden_size, input_size) * input_size**-0.5)
        modulus = torch.empty(hidden_size).uniform_(r_min**2, r_max**2).clamp(1e-6, 1 - 1e-6).sqrt()
        self.nu = nn.Parameter(torch.log(-torch.log(modulus)))
        self.theta = nn.Parameter(torch.log(max_phase * torch.rand(hidden_size).clamp_min(1e-6)))
        self.gamma = nn.Parameter(0.5 * torch.log(1 - modulus**2))

    def project(self, xs: Tensor) -> Projected:
        """Compute γ ⊙ (B x), real and imaginary, and E x: (T, B, D) -> three of (T, B, H)."""
        re, im = F.linear(xs, self.weight_ih).chunk(2, dim=2)
        return self.gamma.exp() * re, self.gamma.exp() * im, F.linear(xs, self.weight_skip)

    def step(self, p: tuple[Tensor, Tensor, Tensor], state: State) -> tuple[Tensor, State]:
        """Advance one step: p three of (B, H), re and im (B, H)."""
        re, im = state
        p_re, p_im, skip = p
        modulus, angle = torch.exp(-self.nu.exp()), self.theta.exp()
        cos, sin = modulus * torch.cos(angle), modulus * torch.sin(angle)
        re, im = cos * re - sin * im + p_re, sin * re + cos * im + p_im
        return F.linear(torch.cat([re, -im], dim=1), self.weight_out) + skip, (re, im)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the linear recurrent unit."""
    return [LRU]
