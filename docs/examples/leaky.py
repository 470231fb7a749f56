import torch

import rnnkit


class Leaky(rnnkit.Cell):
    def __init__(self, input_size, hidden_size):
        super().__init__(input_size, hidden_size)
        self.read = torch.nn.Linear(input_size + hidden_size, hidden_size)
        self.rate = torch.nn.Parameter(torch.linspace(0, 6, hidden_size))

    def step(self, x, state):
        (h,) = state
        a = torch.sigmoid(self.rate)
        h = a * h + (1 - a) * torch.tanh(self.read(torch.cat([x, h], dim=1)))
        return h, (h,)
