"""Context units: a running average of what a product of the input says, kept beside h."""

from torch import Tensor

from rnnkit.errors import check_rate, check_whole
from rnnkit_zoo._declared import Declared


class Context(Declared):
    """A cell with context units s (B, C), which are a part of its output (B, H + C)."""

    def __init__(self, input_size: int, hidden_size: int, *, context_size: int = 40, alpha: float = 0.95) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_whole, context_size=context_size)
        self.check(check_rate, alpha=alpha)
        self.context_size, self.alpha = context_size, alpha
        self.make_parameters()

    @property
    def output_size(self) -> int:
        """Width of y: H + C."""
        return self.hidden_size + self.context_size

    def averaged(self, x: Tensor, s: Tensor) -> Tensor:
        """Return (1 - α) x + α s, of x and s (B, C)."""
        return (1 - self.alpha) * x + self.alpha * s
