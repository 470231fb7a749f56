"""Handwritten digits read as a sequence: 8 rows of 8 pixels, or 64 single pixels.

Data: the 1,797 digits of 8x8 pixels that scikit-learn carries (UCI Optical Recognition of Handwritten Digits), four
fifths to train, one fifth to validate, split by a fixed seed. Metric: accuracy. Compared with logistic regression on
all 64 pixels.

Source: as a pixel sequence, Le, Jaitly & Hinton, arXiv 1504.00941, 2015, on the larger MNIST.
"""

from collections.abc import Iterator
from types import MappingProxyType

import torch
from torch import Tensor
from torch.nn import functional as F

import rnnkit
from rnnkit import Batch
from rnnkit.errors import DataError, UsageError

SIDE = 8
BRIGHTEST = 16


class Digits(rnnkit.Task):
    """Digits of 8x8 pixels, `layout` "rows" (8 steps) or "pixels" (64 steps); needs the extra `data`.

    Args:
        layout: rows, 8 pixels a step, or pixels, one a step.
    """

    name = "digits"
    metric_name = "accuracy"
    higher_is_better = True
    every_step = False
    output_size = 10
    defaults = MappingProxyType({"steps": 600, "batch": 64, "lr": 3e-3, "hidden": 64})

    def __init__(self, *, layout: str = "rows") -> None:
        if layout not in ("rows", "pixels"):
            raise UsageError(f"task 'digits': layout is {layout!r}; it must be rows or pixels")
        try:
            from sklearn.datasets import load_digits
        except ModuleNotFoundError:
            raise DataError("task 'digits' needs scikit-learn; install it with: pip install 'rnnkit[data]'") from None
        self.input_size = SIDE if layout == "rows" else 1
        images, labels = load_digits(return_X_y=True)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
        xs = torch.from_numpy(images).to(torch.get_default_dtype())[order] / BRIGHTEST
        self.images = xs.view(len(xs), -1, self.input_size).transpose(0, 1)  # (T, N, D)
        self.labels = torch.from_numpy(labels).long()[order]
        self.held_out_from = len(labels) * 4 // 5

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        """Draw `size` training images: xs (T, B, D), targets (B,)."""
        chosen = torch.randint(self.held_out_from, (size,), generator=generator)
        return Batch(self.images[:, chosen], self.labels[chosen])

    def validation(self) -> Iterator[Batch]:
        """Yield all held-out images at once."""
        yield Batch(self.images[:, self.held_out_from :], self.labels[self.held_out_from :])

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy in nats of the last output (B, 10)."""
        return F.cross_entropy(outputs, targets)

    def metric(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the share of digits told right."""
        return (outputs.argmax(-1) == targets).double().mean()

    def baselines(self) -> dict[str, float]:
        """The accuracy of logistic regression on all pixels."""
        from sklearn.linear_model import LogisticRegression

        pixels, labels = self.images.transpose(0, 1).flatten(1).numpy(), self.labels.numpy()
        at = self.held_out_from
        fitted = LogisticRegression(max_iter=1000).fit(pixels[:at], labels[:at])
        return {"logistic regression": float(fitted.score(pixels[at:], labels[at:]))}


@rnnkit.hookimpl
def rnnkit_tasks() -> list[type[rnnkit.Task]]:
    """Offer the digits."""
    return [Digits]
