"""The memory of a Legendre memory unit: its matrices, and what goes into it and comes out."""

import torch
from torch import Tensor, nn

from rnnkit.errors import check_positive, check_whole
from rnnkit_zoo._declared import Declared


class LegendreMemory(Declared):
    """A cell whose state m (B, order) holds the last θ steps of one number, as coefficients of Legendre polynomials."""

    def __init__(self, input_size: int, hidden_size: int, *, order: int = 32, theta: float = 100.0) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_whole, order=order)
        self.check(check_positive, theta=theta)
        self.order = order
        self.input = nn.Linear(input_size, 1 + hidden_size, bias=False)
        self.recurrent = nn.Linear(hidden_size, 1 + hidden_size, bias=False)
        self.kernel_m, self.encode_m = nn.Linear(order, hidden_size, bias=False), nn.Parameter(torch.zeros(1, order))
        self.hold = nn.Buffer(hold(order, theta), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw e_x and e_h as LeCun's uniform, W_x, W_h and W_m as Glorot's normal; e_m is 0."""
        for weight in (self.input.weight, self.recurrent.weight):
            bound = (3 / weight.shape[1]) ** 0.5
            nn.init.uniform_(weight[:1], -bound, bound)
            nn.init.xavier_normal_(weight[1:])
        nn.init.xavier_normal_(self.kernel_m.weight)
        nn.init.zeros_(self.encode_m)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's parts of u and h: (T, B, D) -> (T, B, 1 + H)."""
        return xs @ self.input.weight.t()

    def remembered(self, m: Tensor, u: Tensor) -> Tensor:
        """Return A m + B u, of m (B, order) and u (B, 1)."""
        return torch.cat([m, u], dim=1) @ self.hold


def hold(order: int, theta: float) -> Tensor:
    """Return A over B (order + 1, order), transposed for rows: their matrices of continuous time, held for a step."""
    i = torch.arange(order).unsqueeze(1)
    a = torch.cat([torch.where(i < i.t(), -1.0, (-1.0) ** (i - i.t() + 1)), (-1.0) ** i], dim=1)
    exponential = torch.matrix_exp(torch.cat([(2 * i + 1) / theta * a, torch.zeros(1, order + 1)]))
    return exponential[:order].t()
