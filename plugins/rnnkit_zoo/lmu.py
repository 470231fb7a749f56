"""LMU: a memory that holds the last θ steps of one number, as coefficients of Legendre polynomials.

    u = e_x x + e_h h + e_m m
    m = A m + B u
    h = tanh(W_x x + W_h h + W_m m),  y = h                 with the new m

A, B hold for one step (zero-order hold) what this has for continuous time, i and j from 0 to `order` - 1:

    θ m' = A m + B u,  A_ij = (2i + 1) (-1 if i < j else (-1)^(i - j + 1)),  B_i = (2i + 1) (-1)^i

Paper: Voelker, Kajić & Eliasmith, "Legendre Memory Units: Continuous-Time Representation in Recurrent Neural
Networks", NeurIPS 2019.

Gate order: e, then the H rows of W, in the rows of the input and of the recurrent weight.

What differs: nothing; A and B stay fixed, as in the paper's experiments.

When to use it: long memories of a smooth signal, with θ of the length that counts.
"""

import torch
from torch import Tensor, nn

import rnnkit
from rnnkit import State
from rnnkit.errors import check_positive, check_whole
from rnnkit_zoo._declared import Declared


class LMU(Declared):
    """Legendre memory unit (Voelker 2019).

    State: h (B, H), m (B, order). Parameters: input.weight (1 + H, D) and recurrent.weight (1 + H, H) in the rows e, W,
    and kernel_m.weight (H, order), W_m, as of torch.nn.Linear; encode_m (1, order), e_m.

    Args:
        order: numbers of the memory.
        theta: θ, the steps that it spans.
    """

    name = "lmu"
    state_names = ("h", "m")

    def __init__(self, input_size: int, hidden_size: int, *, order: int = 32, theta: float = 100.0) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_whole, order=order)
        self.check(check_positive, theta=theta)
        self.input = nn.Linear(input_size, 1 + hidden_size, bias=False)
        self.recurrent = nn.Linear(hidden_size, 1 + hidden_size, bias=False)
        self.kernel_m, self.encode_m = nn.Linear(order, hidden_size, bias=False), nn.Parameter(torch.zeros(1, order))
        i = torch.arange(order).unsqueeze(1)
        a = torch.cat([torch.where(i < i.t(), -1.0, (-1.0) ** (i - i.t() + 1)), (-1.0) ** i], dim=1)
        exponential = torch.matrix_exp(torch.cat([(2 * i + 1) / theta * a, torch.zeros(1, order + 1)]))
        self.hold = nn.Buffer(exponential[:order].t(), persistent=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw e_x and e_h as LeCun's uniform, W_x, W_h and W_m as Glorot's normal; e_m is 0."""
        for weight in (self.input.weight, self.recurrent.weight):
            bound = (3 / weight.shape[1]) ** 0.5
            nn.init.uniform_(weight[:1], -bound, bound)
            nn.init.xavier_normal_(weight[1:])
        nn.init.xavier_normal_(self.kernel_m.weight)
        nn.init.zeros_(self.encode_m)

    @property
    def state_sizes(self) -> tuple[int, int]:
        """Width of each state tensor: H, `order`."""
        return self.hidden_size, self.hold.shape[1]

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's parts of u and h: (T, B, D) -> (T, B, 1 + H)."""
        return xs @ self.input.weight.t()

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, 1 + H), h (B, H), m (B, order)."""
        h, m = state
        u, s = torch.split(p + self.recurrent(h), [1, self.hidden_size], dim=1)
        m = torch.cat([m, u + m @ self.encode_m.t()], dim=1) @ self.hold
        h = torch.tanh(s + self.kernel_m(m))
        return h, (h, m)


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the Legendre memory unit."""
    return [LMU]
