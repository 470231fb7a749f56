"""A linear recurrence of complex numbers, each of which turns and decays by an eigenvalue of its own."""

from typing import Annotated

import torch
from torch import Tensor, nn

from rnnkit.errors import UsageError
from rnnkit_zoo._declared import Declared


class Rotation(Declared):
    """A cell whose state, real and imaginary parts (B, H), is multiplied by λ; B, C and E are its other weights."""

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
            raise UsageError(f"cell {self.name!r}: {given}; they must be 0 <= r_min < r_max <= 1 and above 0")
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

    def eigenvalues(self) -> tuple[Tensor, Tensor]:
        """Return the real and the imaginary part of λ = exp(-exp(ν) + i exp(θ)): (H,)."""
        modulus, angle = torch.exp(-self.nu.exp()), self.theta.exp()
        return modulus * torch.cos(angle), modulus * torch.sin(angle)
