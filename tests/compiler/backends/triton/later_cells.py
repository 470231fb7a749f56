"""Cells that were written later still, each of which the generator did not take, or not right, when it was written."""

from typing import ClassVar

import torch
from torch.nn import functional as F

from .unseen_cells import Unseen


class Ranked(Unseen):
    """Running values, and units in order, in one stage; its variables are called as kernels called their own."""

    shapes: ClassVar = {"w": (16, 24)}

    def step(self, x, state):
        (h,) = state
        turn, place = (torch.cat([x, h], 1) @ self.w).chunk(2, 1)
        own, other = turn.amax(1, keepdim=True), h.norm(dim=1, keepdim=True) + 1
        begin, before = torch.sigmoid(turn), turn.mean(1, keepdim=True)
        equal = torch.cumsum(place.softmax(1), 1) * own + torch.cummax(h, 1).values
        middle = h.median(1, keepdim=True).values + torch.topk(turn, 3, dim=1).values.sum(1, keepdim=True)
        h = torch.tanh(begin * equal + (middle - before) / other)
        return h * own, (h,)


class Covariance(Unseen):
    """A filter with a matrix of its own for each row, multiplied by matrices that are made of parameters."""

    state_names = ("m", "p")
    shapes: ClassVar = {"a": (3, 3), "c": (3, 3), "into": (4, 3), "out": (3, 5), "q": (3,)}

    def initial_state(self, batch_size, *, device=None, dtype=None):
        p = torch.eye(3, device=device, dtype=dtype).repeat(batch_size, 1, 1)
        return torch.zeros(batch_size, 3, device=device, dtype=dtype), p

    def step(self, x, state):
        m, p = state
        a = 0.5 * torch.tanh(self.a)
        m, p = m @ a.T, a @ p @ a.T + torch.diag(F.softplus(self.q))
        seen = self.c @ p @ self.c.T + 2 * torch.eye(3, device=p.device, dtype=p.dtype)
        gain = p @ self.c.T / seen.diagonal(dim1=1, dim2=2).unsqueeze(1)
        m = m + (gain @ (x @ self.into - m @ self.c.T).unsqueeze(2)).squeeze(2)
        return torch.tanh(m) @ self.out, (m, p - 0.5 * gain @ self.c @ p)


class Causal(Unseen):
    """Blocks of its units that attend to those before them; what is added to scores has a precision of its own."""

    shapes: ClassVar = {"qkv": (3, 9), "into": (4, 12)}

    def step(self, x, state):
        blocks = (state[0] + x @ self.into).unflatten(1, (4, 3))
        q, k, v = (blocks @ self.qkv).chunk(3, 2)
        h = torch.tanh(blocks + F.scaled_dot_product_attention(q, k, v, is_causal=True)).flatten(1)
        return h, (h,)


EVERY_LATER_CELL = (Ranked, Covariance, Causal)
