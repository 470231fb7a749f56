"""The parameters that gated cells share, in torch's layout."""

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import rnnkit
from rnnkit.errors import UsageError, check_flag, check_whole


class Gated(rnnkit.Cell):
    """A cell whose gates are stacked in the rows of one input and one recurrent weight, as in torch.nn.

    Parameters, G gates, P = `proj_size` or H: weight_ih `(G*H, D)`, weight_hh `(G*H, P)`, bias_ih and bias_hh
    `(G*H,)`, absent with `bias=False`, and weight_hr (P, H), absent without a projection.

    Args:
        input_size: D.
        hidden_size: H.
        bias: whether the gates have biases.
        proj_size: P < H: the recurrent product and the output see `weight_hr h` in place of h; 0: no projection.
    """

    gates: ClassVar[tuple[str, ...]]
    """Names of the gates in the order of the rows."""

    def __init__(self, input_size: int, hidden_size: int, *, bias: bool = True, proj_size: int = 0) -> None:
        super().__init__(input_size, hidden_size)
        check_flag(f"cell {self.name!r}: bias", bias)
        check_whole(f"cell {self.name!r}: proj_size", proj_size, least=0)
        if proj_size >= hidden_size:
            raise UsageError(
                f"cell {self.name!r}: proj_size is {proj_size}; it must be below hidden_size, {hidden_size}"
            )
        self.proj_size = proj_size
        rows = len(self.gates) * hidden_size
        self.weight_ih = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh = nn.Parameter(torch.empty(rows, self.output_size))
        self.bias_ih: nn.Parameter | None
        self.bias_hh: nn.Parameter | None
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, nn.Parameter(torch.empty(rows)) if bias else None)
        self.weight_hr: nn.Parameter | None
        self.register_parameter("weight_hr", nn.Parameter(torch.empty(proj_size, hidden_size)) if proj_size else None)
        self.add_parameters(bias)
        self.reset_parameters()

    def add_parameters(self, bias: bool) -> None:
        """Add what a cell has beside these, before all are drawn: the weights come first, as from torch's seed."""

    def reset_parameters(self) -> None:
        """Draw every parameter from U(-1/√H, 1/√H), in torch's order: the same seed gives torch's weights."""
        bound = 1 / math.sqrt(self.hidden_size)  # not H**-0.5, which rounds otherwise in float64
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @property
    def output_size(self) -> int:
        """Width of the output: P."""
        return self.proj_size or self.hidden_size

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Width of each state tensor: h is the output, the others have H."""
        return tuple(self.output_size if name == "h" else self.hidden_size for name in self.state_names)

    def project(self, xs: Tensor) -> Tensor:
        """Compute the input's part of all gates, biases included: (T, B, D) -> (T, B, G*H)."""
        if self.bias_ih is None or self.bias_hh is None:
            return F.linear(xs, self.weight_ih)
        return F.linear(xs, self.weight_ih, self.bias_ih + self.bias_hh)

    def seen(self, h: Tensor) -> Tensor:
        """Return what the recurrent product and the output see of h: (B, H) -> (B, P)."""
        if not self.proj_size:  # asked every step, and cheaper to ask than the parameter
            return h
        return F.linear(h, self.weight_hr)  # type: ignore[arg-type]

    def extra_repr(self) -> str:
        """Show the sizes, the projection's too."""
        return super().extra_repr() + (f", proj_size={self.proj_size}" if self.proj_size else "")
