"""DropConnect: dropout of recurrent weights, one mask for the whole sequence.

Papers: Wan, Zeiler, Zhang, LeCun & Fergus, "Regularization of Neural Networks using DropConnect", ICML 2013; on the
recurrent weights of an LSTM: Merity, Keskar & Socher, "Regularizing and Optimizing LSTM Language Models", ICLR 2018.
"""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from rnnkit.errors import KindError, check_rate
from rnnkit.layers.rnn import RNN


class WeightDrop(nn.Module):
    """A parametrization: in training some elements of a weight are zero, and the others scaled up to make up for it.

    Args:
        rate: the probability of zero.
    """

    def __init__(self, rate: float = 0.5) -> None:
        super().__init__()
        check_rate("WeightDrop: rate", rate)
        self.rate = float(rate)

    def forward(self, weight: Tensor) -> Tensor:
        """Drop, or in evaluation and at rate 0 give the weight itself."""
        return F.dropout(weight, self.rate) if self.training and self.rate else weight

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Let the weight be assigned: what is dropped from is what was given."""
        return weight

    def extra_repr(self) -> str:
        """Show the rate."""
        return f"rate={self.rate}"


def weight_drop(layer: RNN, rate: float = 0.5, weights: str | Sequence[str] = ("weight_hh",)) -> None:
    """Drop elements of a layer's weights, in every layer and direction: one mask a call, the same at every step.

    The masks come from torch's global generator, as those of torch.nn.Dropout. In the state dict each weight is called
    `parametrizations.weight_hh_l0.original`; `torch.nn.utils.parametrize.remove_parametrizations` undoes it.

    Args:
        layer: whose weights.
        rate: the probability of zero.
        weights: their names, without layer and direction; "read.weight" for those of a cell's submodules.

    Raises:
        UsageError: no cell of the layer has a weight of that name, or the rate is none; nothing is changed then.
    """
    if not isinstance(layer, RNN):
        raise KindError(f"weight_drop: the layer is a {type(layer).__name__}; it must be an rnnkit.RNN")
    check_rate("weight_drop: rate", rate)
    named = [weights] if isinstance(weights, str) else dict.fromkeys(weights)
    for name in [own for weight in named for own in layer.parameter_names(weight)]:
        module, _, own = name.rpartition(".")
        parametrize.register_parametrization(layer.get_submodule(module), own, WeightDrop(rate))
