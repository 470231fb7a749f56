"""The phased LSTM with gates that open: the gradient of how long they stay so is one of differences too."""

import torch

import rnnkit
from rnnkit_zoo.phased import Phased


class Open(Phased):
    """Begins with gates that are open for most of their period."""

    def __init__(self, input_size, hidden_size, **options):
        super().__init__(input_size, hidden_size, **options)
        torch.nn.init.constant_(self.open_ratio, 0.7)


def test_the_gradient_of_the_open_ratio():
    report = rnnkit.gradcheck(Open, "loop", 1).raise_if_failed()
    assert {row.tensor: row.gradient_norm > 0.01 for row in report.rows}["open_ratio"]
    rnnkit.gradcheck(Open, "loop", 2).raise_if_failed()
