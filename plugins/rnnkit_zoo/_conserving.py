"""What conserves mass: gates that see how it is shared out, and a matrix that moves it and loses none."""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rnnkit.errors import check_flag
from rnnkit_zoo._declared import Declared


class Conserving(Declared):
    """A cell whose state c (B, H) is mass, and whose input is (x, a): mass that comes in, and auxiliary inputs."""

    weight_ih: Annotated[nn.Parameter, "rows, D - 1"]
    weight_ch: Annotated[nn.Parameter, "rows, H"]
    bias_ih: Annotated[nn.Parameter, "rows"]
    weight_r: Annotated[nn.Parameter | None, "H, H", "constant"]

    def __init__(self, input_size: int, hidden_size: int, *, time_dependent: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_flag, time_dependent=time_dependent)
        self.constant = not time_dependent
        self.rows = (2 if self.constant else 2 + hidden_size) * hidden_size
        self.make_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Make the weights of each gate on a and s orthogonal; b_i is 0, b_o -3, and B_r the identity: mass stays."""
        size = self.hidden_size
        both = torch.cat([self.weight_ih, self.weight_ch], dim=1)
        for gate in torch.split(both, [size, size, len(both) - 2 * size]):
            nn.init.orthogonal_(gate)
        self.weight_ih.copy_(both[:, :-size])
        self.weight_ch.copy_(both[:, -size:])
        nn.init.zeros_(self.bias_ih)
        nn.init.constant_(self.bias_ih[size : 2 * size], -3)
        nn.init.eye_(self.bias_ih[2 * size :].view(size, size) if self.weight_r is None else self.weight_r)

    def project(self, xs: Tensor) -> tuple[Tensor, Tensor]:
        """Split off the mass, and compute what the rest does to the gates: (T, B, D) -> (T, B, 1), (T, B, G)."""
        return xs[..., :1], F.linear(xs[..., 1:], self.weight_ih, self.bias_ih)

    def moved(self, c: Tensor, r: Tensor) -> Tensor:
        """Return R c, of c (B, H) and the rows of R before the softmax (B, H * H), or none of them: (B, H)."""
        if self.weight_r is not None:
            return torch.mm(c, torch.softmax(self.weight_r, dim=1))
        r = torch.softmax(r.reshape(-1, self.hidden_size, self.hidden_size), dim=2)
        return torch.bmm(c.unsqueeze(1), r).squeeze(1)
