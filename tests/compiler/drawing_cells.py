"""Cells whose step draws random numbers, each in a way that people write; each changes one line of one cell."""

import warnings

import torch
from torch import Tensor, nn
from torch import distributions as D
from torch.nn import functional as F

import rnnkit


class Drawing(rnnkit.Cell):
    """An Elman cell whose state goes through `drawn`."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.inward = nn.Linear(input_size, hidden_size)
        self.across = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size**0.5)
        self.own = torch.Generator().manual_seed(3)
        self.drop = nn.Dropout(0.3)

    def project(self, xs: Tensor) -> Tensor:
        return self.inward(xs)

    def step(self, p: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        h = self.drawn(torch.tanh(p + state[0] @ self.across), state[0])
        return h, (h,)

    def drawn(self, h: Tensor, before: Tensor) -> Tensor:
        raise NotImplementedError


class DropsOut(Drawing):
    def drawn(self, h, before):
        return F.dropout(h, 0.3, self.training)


class DropsOutByModule(Drawing):
    def drawn(self, h, before):
        return self.drop(h)


class DropsOutToo(Drawing):
    def drawn(self, h, before):
        return F.alpha_dropout(h, 0.3, self.training)


class ZonesOut(Drawing):
    def drawn(self, h, before):
        return torch.where(torch.rand_like(h) < 0.2, before, h)


class ZonesOutByBernoulli(Drawing):
    def drawn(self, h, before):
        keep = torch.bernoulli(torch.full_like(h, 0.2))
        return keep * before + (1 - keep) * h


class AddsNoise(Drawing):
    def drawn(self, h, before):
        return h + 0.1 * torch.randn_like(h)


class Reparametrizes(Drawing):
    def drawn(self, h, before):
        return D.Normal(h, torch.sigmoid(before)).rsample()


class SamplesTwo(Drawing):
    """The batch is in the second place."""

    def drawn(self, h, before):
        return D.Normal(h, torch.sigmoid(before)).rsample((2,)).mean(0)


class SamplesNormal(Drawing):
    def drawn(self, h, before):
        return h + D.Normal(h, torch.sigmoid(before)).sample()


class NormalOfTensors(Drawing):
    """Autograd hands mean and deviation gradients of zeros."""

    def drawn(self, h, before):
        return h * torch.normal(h, torch.sigmoid(before)) + torch.normal(h, 0.5)


class SamplesBernoulli(Drawing):
    def drawn(self, h, before):
        return h * D.Bernoulli(torch.sigmoid(h)).sample()


class StraightThrough(Drawing):
    def drawn(self, h, before):
        p = torch.sigmoid(h)
        return p + (torch.bernoulli(p) - p).detach()


class FillsByProbability(Drawing):
    def drawn(self, h, before):
        return h * torch.empty_like(h).bernoulli_(torch.sigmoid(before.detach()))


class SamplesCategory(Drawing):
    def drawn(self, h, before):
        return h * (1 + D.Categorical(logits=h).sample()).unsqueeze(1) / 4


class SamplesCategories(Drawing):
    """Two categorical variables a row, straight-through, as world models have them."""

    def drawn(self, h, before):
        logits = h.view(h.shape[0], 2, -1)
        return h * D.OneHotCategoricalStraightThrough(logits=logits).rsample().flatten(1)


class Gumbel(Drawing):
    def drawn(self, h, before):
        return h * F.gumbel_softmax(h, hard=True) + F.gumbel_softmax(h, tau=0.7)


class DrawsIntegers(Drawing):
    def drawn(self, h, before):
        return h * torch.randint_like(h, 5) / 5 + torch.randint(0, 3, h.shape)


class DrawsOtherwise(Drawing):
    def drawn(self, h, before):
        more = D.Laplace(h, torch.sigmoid(h)).rsample() + D.Uniform(h, h + 1).rsample()
        return torch.tanh(more + torch.empty_like(h).exponential_(2.0) + torch.empty_like(h).log_normal_().log())


class HasAGenerator(Drawing):
    def drawn(self, h, before):
        noise = torch.randn(h.shape, generator=self.own, dtype=h.dtype)
        return F.dropout(h, 0.2) + 0.1 * noise + 0.1 * torch.empty_like(h).normal_(generator=self.own)


class DrawsInVain(Drawing):
    """What nobody reads is drawn all the same: what comes next depends on it."""

    def drawn(self, h, before):
        torch.rand_like(h)
        return F.dropout(h, 0.2)


class DrawsAColumn(Drawing):
    def drawn(self, h, before):
        return h * torch.rand(h.shape[0], 1, dtype=h.dtype)


class OverwritesByDraws(Drawing):
    def drawn(self, h, before):
        return h + (h * 1).normal_()


class SharesDraws(Drawing):
    """One mask for all rows."""

    def drawn(self, h, before):
        return h * torch.rand(h.shape[1], dtype=h.dtype)


class SharesMasks(Drawing):
    """Masks for all rows, by dropout and by probability, of one dimension and of two."""

    def drawn(self, h, before):
        mask = F.dropout(torch.ones(h.shape[1], dtype=h.dtype), 0.3)
        keep = torch.bernoulli(torch.full((1, h.shape[1]), 0.2, dtype=h.dtype))
        pairs = (h.view(h.shape[0], 2, -1) * torch.rand(h.shape[1] // 2, dtype=h.dtype)).flatten(1)
        return keep * before + (1 - keep) * h * mask + pairs * torch.rand((), dtype=h.dtype)


class MultipliesSharedDraws(Drawing):
    """Other weights at each step."""

    def drawn(self, h, before):
        return torch.tanh(h @ F.dropout(self.across, 0.2))


class DrawsByValues(Drawing):
    """How many numbers are drawn depends on the values."""

    def drawn(self, h, before):
        return F.rrelu(h, training=True)


class DrawsByRejection(Drawing):
    def drawn(self, h, before):
        return h * D.Gamma(torch.sigmoid(h) + 1, torch.ones_like(h)).sample()


class SeedsItsGenerator(Drawing):
    def drawn(self, h, before):
        self.own.manual_seed(1)
        return h + torch.randn(h.shape, generator=self.own, dtype=h.dtype)


class PutsTheSeedBack(Drawing):
    def drawn(self, h, before):
        with torch.random.fork_rng(devices=[]):
            return F.dropout(h, 0.3)


class DrawsTransposed(Drawing):
    def drawn(self, h, before):
        return F.dropout(h.t(), 0.3).t()


class DrawsChannelsLast(Drawing):
    def drawn(self, h, before):
        room = torch.empty_like(h.view(-1, 2, 1, h.shape[1] // 2), memory_format=torch.channels_last)
        return h * room.uniform_().reshape(h.shape)


class TurnsItsState(Drawing):
    """The next step draws in another order."""

    def step(self, p, state):
        y, (h,) = super().step(p, state)
        return y, (h.t().contiguous().t(),)

    def drawn(self, h, before):
        return h + 0.1 * torch.randn_like(before)


class TurnsItsInput(Drawing):
    """The step draws in another order than that of the axes."""

    def project(self, xs):
        return super().project(xs).transpose(1, 2).contiguous().transpose(1, 2)

    def step(self, p, state):
        h = torch.tanh(p + state[0] @ self.across) + 0.1 * torch.randn_like(p)
        return h, (h,)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)

    @torch.jit.script
    def squashed(h: Tensor) -> Tensor:
        return torch.tanh(h)


class CallsAScript(Drawing):
    def drawn(self, h, before):
        return F.dropout(squashed(h), 0.3)


NATIVE = (
    *(DropsOut, DropsOutByModule, DropsOutToo, ZonesOut, ZonesOutByBernoulli, AddsNoise, Reparametrizes, SamplesTwo),
    *(SamplesNormal, NormalOfTensors, SamplesBernoulli, StraightThrough, FillsByProbability, SamplesCategory),
    *(SamplesCategories, Gumbel, DrawsIntegers, DrawsOtherwise, HasAGenerator, DrawsInVain, DrawsAColumn),
    *(OverwritesByDraws, SharesDraws, SharesMasks),
)
"""What runs in a kernel."""

LOOP = {
    MultipliesSharedDraws: "rows of the batch share, and makes mm.default of them",
    DrawsByValues: "rrelu_with_noise",
    DrawsByRejection: "standard_gamma",
    SeedsItsGenerator: "sets the state of a random generator",
    PutsTheSeedBack: "sets the state of a random generator",
    DrawsTransposed: "do not lie one by one",
    DrawsChannelsLast: "do not lie one by one",
    TurnsItsState: "returns a state that is transposed",
    TurnsItsInput: "project() returns what is transposed",
    CallsAScript: "beside a function of torch.jit.script",
}
"""What does not, and what is said of it."""
