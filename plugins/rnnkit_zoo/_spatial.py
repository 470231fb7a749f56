"""What the convolutional cells share: a state of channels at places, and convolutions along the places."""

from typing import ClassVar

from torch import Tensor, nn

from rnnkit.errors import UsageError, check_whole
from rnnkit_zoo._shaped import Shaped


class Spatial(Shaped):
    """A cell whose states are (B, H, W): H channels at W places; its input is read as (D / W, W), its output H W wide.

    Parameters, G `blocks`: input.weight `(G*H, D / W, kernel_size)` and input.bias `(G*H,)`, as of torch.nn.Conv1d.

    Args:
        kernel_size: places that a convolution sees, an odd number.
        input_channels: D / W.
    """

    blocks: ClassVar[tuple[str, ...]]
    """Names of the blocks of the input's kernel, in the order of its channels."""

    def __init__(self, input_size: int, hidden_size: int, *, kernel_size: int = 3, input_channels: int = 1) -> None:
        super().__init__(input_size, hidden_size)
        self.check(check_whole, kernel_size=kernel_size, input_channels=input_channels)
        if kernel_size % 2 == 0:
            raise UsageError(f"cell {self.name!r}: kernel_size is {kernel_size}; it must be odd")
        if input_size % input_channels:
            raise UsageError(
                f"cell {self.name!r}: input_channels is {input_channels}; it must divide input_size, {input_size}"
            )
        self.kernel_size, self.input_channels, self.places = kernel_size, input_channels, input_size // input_channels
        self.input = nn.Conv1d(input_channels, len(self.blocks) * hidden_size, kernel_size, padding="same")

    def convolution(self, blocks: int) -> nn.Conv1d:
        """Return one of the state, to so many blocks of H channels, without a bias."""
        return nn.Conv1d(self.hidden_size, blocks * self.hidden_size, self.kernel_size, padding="same", bias=False)

    @property
    def output_size(self) -> int:
        """Width of the output: H W."""
        return self.hidden_size * self.places

    def project(self, xs: Tensor) -> Tensor:
        """Convolve the input: (T, B, D) -> (T, B, G*H, W)."""
        steps, rows, _ = xs.shape
        p: Tensor = self.input(xs.reshape(steps * rows, self.input_channels, self.places))
        return p.view(steps, rows, *p.shape[1:])
