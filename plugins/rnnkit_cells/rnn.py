"""Simple recurrent network.

    h = φ(W_ih x + b_ih + W_hh h + b_hh),  y = h        φ = tanh or relu; with a projection h = W_hr φ(...)

Paper: Elman, "Finding Structure in Time", Cognitive Science 14(2), 1990; with relu and an identity recurrent weight
it is the IRNN of Le, Jaitly & Hinton, arXiv 1504.00941, 2015.

What differs: from Elman, tanh or relu instead of the logistic function, and the whole gradient instead of one step's.
From torch.nn.RNN, nothing but rounding.

When to use it: as the baseline of what gates are worth, or where the state is to be small and fast; it forgets within
some ten steps.
"""

from collections.abc import Callable

import torch
from torch import Tensor

import rnnkit
from rnnkit import State
from rnnkit_cells._gated import Gated

NONLINEARITIES: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": torch.relu}


class RNN(Gated):
    """Simple recurrent network (Elman 1990), `nonlinearity` "tanh" or "relu".

    State: h (B, P), where P is `proj_size` or H. Parameters: weight_ih (H, D), weight_hh (H, P), bias_ih and bias_hh
    (H,); with a projection weight_hr (P, H).

    Args:
        input_size: D.
        hidden_size: H.
        nonlinearity: tanh or relu.
        bias: whether the sum has biases.
        proj_size: P < H: the recurrent product and the output see `weight_hr h` in place of h; 0: no projection.
    """

    name = "rnn"
    gates = ("h",)

    def __init__(
        self, input_size: int, hidden_size: int, *, nonlinearity: str = "tanh", bias: bool = True, proj_size: int = 0
    ) -> None:
        if nonlinearity not in NONLINEARITIES:
            raise rnnkit.errors.UsageError(
                f"cell 'rnn': nonlinearity is {nonlinearity!r}; it must be one of {', '.join(NONLINEARITIES)}"
            )
        super().__init__(input_size, hidden_size, bias=bias, proj_size=proj_size)
        self.nonlinearity = nonlinearity

    def step(self, p: Tensor, state: State) -> tuple[Tensor, State]:
        """Advance one step: p (B, H), h (B, P)."""
        (h,) = state
        h = self.seen(NONLINEARITIES[self.nonlinearity](torch.addmm(p, h, self.weight_hh.t())))
        return h, (h,)

    def extra_repr(self) -> str:
        """Show the sizes and the nonlinearity."""
        return f"{super().extra_repr()}, nonlinearity={self.nonlinearity!r}"


@rnnkit.hookimpl
def rnnkit_cells() -> list[type[rnnkit.Cell]]:
    """Offer the simple recurrent network."""
    return [RNN]
