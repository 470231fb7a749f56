"""Zoneout: Krueger's equations with the masks drawn again, and what evaluation makes of them."""

import pytest
import torch

import rnnkit

STEPS, BATCH = 9, 3


class Counter(rnnkit.cells["rnn"]):
    """A cell that also counts its steps, in an integer."""

    name = "counter"
    state_names = ("h", "age")

    def initial_state(self, batch_size):
        return torch.zeros(batch_size, self.hidden_size), torch.zeros(batch_size, 1, dtype=torch.int64)

    def step(self, p, state):
        y, (h,) = super().step(p, state[:1])
        return y, (h, state[1] + 1)


def problem():
    xs = torch.randn(STEPS, BATCH, 3, dtype=torch.float64)
    return xs, tuple(torch.randn(BATCH, 4, dtype=torch.float64) for _ in "hc")


def unroll(cell, xs, state):
    torch.manual_seed(1)
    return rnnkit.unrollers["loop"]()(cell, xs, state)


@pytest.mark.parametrize("rates", [{"h": 0.3, "c": 0.3}, {"h": 0.05, "c": 0.5}, {"c": 0.5}], ids=str)
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluation"])
def test_equals_the_equations_around_an_lstm(build, lstm_by_hand, rates, training):
    rate = 0.3 if rates == {"h": 0.3, "c": 0.3} else rates
    cell = build("zoneout", inner="lstm", rate=rate).train(training)
    weights = dict(cell.inner.named_parameters())
    xs, (h, c) = problem()
    ys, last = unroll(cell, xs, (h, c))
    torch.manual_seed(1)
    kept = {name: torch.rand(STEPS, BATCH, 4) < rate for name, rate in rates.items()}
    for t in range(STEPS):
        new = dict(zip("hc", lstm_by_hand(weights, xs[t], h, c), strict=True))
        for name, before in (("h", h), ("c", c)):
            rate = rates.get(name, 0.0)
            share = kept[name][t].double() if training and rate else rate
            new[name] = share * before + (1 - share) * new[name]
        h, c = new["h"], new["c"]
        torch.testing.assert_close(ys[t], h, rtol=0, atol=1e-14)
    torch.testing.assert_close(last, (h, c), rtol=0, atol=1e-14)


def test_the_expectation_is_evaluation_s_mixture(build):
    rows = 40_000
    cell = build("zoneout(gru, rate=0.3)")
    x, h = (torch.randn(1, size, dtype=torch.float64).expand(rows, size) for size in (3, 4))
    torch.manual_seed(1)
    (drawn,) = cell(x, (h,))[1]
    (mixed,) = cell.eval()(x, (h,))[1]
    (new,) = cell.inner(x, (h,))[1]
    deviation = (0.3 * 0.7) ** 0.5 * (new - h).abs() / rows**0.5
    assert ((drawn.mean(0) - mixed).abs() < 4 * deviation).all()
    assert ((drawn == h) | (drawn == new)).all()
    torch.testing.assert_close(mixed, 0.3 * h + 0.7 * new)


def test_every_step_draws_anew(build):
    cell = build("zoneout(gru, rate=0.5)")
    _, kept = cell.project(torch.zeros(50, 4, 3, dtype=torch.float64))
    assert kept.shape == (50, 4, 4)
    assert len({tuple(step.flatten().tolist()) for step in kept}) == 50


def test_at_rate_one_nothing_moves(build):
    cell = build("zoneout(lstm, rate=1)")
    for training in (True, False):
        xs, state = problem()
        ys, last = unroll(cell.train(training), xs, state)
        assert all(map(torch.equal, last, state))
        assert torch.equal(ys, state[0].expand_as(ys))


def test_an_output_that_is_a_state_is_the_zoned_one(build):
    xs, state = problem()
    y, (h, _) = build("zoneout(lstm, rate=0.5)")(xs[0], state)
    assert y is h


def test_an_output_that_is_no_state_is_handed_on(build):
    cell = build("zoneout", inner="gru", rate=0.5, proj_size=2)
    xs, (h, _) = problem()
    y, (zoned,) = cell(xs[0], (h,))
    expected, (new,) = cell.inner(xs[0], (h,))
    assert torch.equal(y, expected)
    assert not torch.equal(zoned, new)


def test_integers_are_left_alone(build):
    cell = build("zoneout", inner=Counter, rate=1.0)
    _, (h, age) = unroll(cell, problem()[0], None)
    assert not h.any()
    assert age.tolist() == [[STEPS]] * BATCH


@pytest.mark.parametrize(
    ("inner", "rate", "sentence"),
    [
        ("lstm", 1.5, "cell 'zoneout': rate of 'h' is 1.5; it must be a rate from 0 to 1"),
        ("lstm", "half", "cell 'zoneout': rate of 'h' is 'half'; it must be a rate from 0 to 1"),
        ("lstm", {"c": -0.5}, "cell 'zoneout': rate of 'c' is -0.5; it must be a rate from 0 to 1"),
        ("gru", {"c": 0.5}, "cell 'zoneout': rate has 'c'; there are h"),
        (Counter, {"age": 0.5}, "cell 'zoneout': rate has 'age'; there are h"),
    ],
)
def test_rates_that_cannot_be_honoured(build, inner, rate, sentence):
    with pytest.raises(rnnkit.errors.UsageError) as caught:
        build("zoneout", inner=inner, rate=rate)
    assert str(caught.value) == sentence


def test_shows_its_rates(build):
    assert "rate={'h': 0.05, 'c': 0.5}" in repr(build("zoneout(lstm, rate={'h': 0.05, 'c': 0.5})"))
