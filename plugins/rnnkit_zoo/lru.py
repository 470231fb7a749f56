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

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit import Projected, State
from rnnkit.errors import UsageError
from rnnkit_zoo._declared import Declared


class LRU(Declared):
    """Linear recurrent unit (Orvieto 2023).

    State: re, im (B, H). Parameters: nu, theta, gamma (H,); weight_ih (2H, D), weight_out (H, 2H), weight_skip (H, D).

    Args:
        r_min: least modulus of λ at the start.
        r_max: largest one.
        max_phase: largest angle of λ at the start.
    """

    name = "lru"
    state_names = ("re", "im")
    weight_ih: Annotated[nn.Parameter, "2H, D"]
    weight_out: Annotated[nn.Parameter, "H, 2H"]
    weight_skip: Annotated[nn.Parameter, "H, D"]
    nu: Annotated[nn.Parameter, "H"]
    theta: Annotated[nn.Parameter, "H"]
    gamma: Annotated[nn.Parameter, "H"]

    def __init__(
        self, input_size: int, hidden_size: int, *, r_min: float = 0.0, r_max: float = 1.0, max_phase: float = 6.28
    ) -> None:
        super().__init__(input_size, hidden_size)
        if not (0 <= r_min < r_max <= 1 and max_phase > 0):
            given = f"r_min is {r_min}, r_max {r_max}, max_phase {max_phase}"
            raise UsageError(f"cell 'lru': {given}; they must be 0 <= r_min < r_max <= 1 and above 0")
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        self.make_parameters()

    def reset_parameters(self) -> None:
        """Spread λ evenly over its ring; γ makes up for the moduli; B, C, E: normal, deviations 1/√(2D), 1/√H, 1/√D."""
        inputs, units = self.input_size, self.hidden_size
        for weight, numbers in ((self.weight_ih, 2 * inputs), (self.weight_out, units), (self.weight_skip, inputs)):
            nn.init.normal_(weight, std=numbers**-0.5)
        with torch.no_grad():
            modulus = self.nu.uniform_(self.r_min**2, self.r_max**2).clamp(1e-6, 1 - 1e-6).sqrt()
            self.nu.copy_(torch.log(-torch.log(modulus)))
            self.theta.uniform_().clamp_min_(1e-6).mul_(self.max_phase).log_()
            self.gamma.copy_(0.5 * torch.log(1 - modulus**2))

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
