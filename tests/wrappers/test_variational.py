"""Variational dropout: Gal's equations with the masks drawn again; one mask a sequence."""

import pytest
import torch

import rnnkit

STEPS, BATCH = 9, 3


def problem():
    xs = torch.randn(STEPS, BATCH, 3, dtype=torch.float64)
    return xs, tuple(torch.randn(BATCH, 4, dtype=torch.float64) for _ in "hc")


def unroll(cell, xs, state):
    torch.manual_seed(1)
    return rnnkit.unrollers["loop"]()(cell, xs, state)


def mask(rate, width):
    return torch.empty(BATCH, width, dtype=torch.float64).bernoulli_(1 - rate) / (1 - rate)


@pytest.mark.parametrize("rates", [{"h": 0.4}, {"h": 0.4, "c": 0.2}], ids=str)
def test_equals_the_equations_around_an_lstm(build, lstm_by_hand, rates):
    rate = 0.4 if rates == {"h": 0.4} else rates
    cell = build("variational", inner="lstm", rate=rate, input_rate=0.3)
    xs, (h, c) = problem()
    ys, last = unroll(cell, xs, (h, c))
    torch.manual_seed(1)
    on_x = mask(0.3, 3)
    on_h, on_c = mask(0.4, 4), mask(0.2, 4) if "c" in rates else 1.0
    for t in range(STEPS):
        h, c = lstm_by_hand(dict(cell.inner.named_parameters()), xs[t] * on_x, h * on_h, c * on_c)
        torch.testing.assert_close(ys[t], h, rtol=0, atol=1e-14)
    torch.testing.assert_close(last, (h, c), rtol=0, atol=1e-14)


def test_a_gru_hands_on_its_whole_state(build, gru_by_hand):
    cell = build("variational(gru, rate=0.5, input_rate=0)")
    xs, (h, _) = problem()
    ys, _ = unroll(cell, xs, (h,))
    torch.manual_seed(1)
    on_h = mask(0.5, 4)
    assert (on_h == 0).any()
    for t in range(STEPS):
        h = gru_by_hand(dict(cell.inner.named_parameters()), xs[t], h * on_h, h)
        torch.testing.assert_close(ys[t], h, rtol=0, atol=1e-14)


def test_what_zoneout_keeps_is_whole_too(build, gru_by_hand):
    cell = build("variational(zoneout(gru, rate=0.3), rate=0.5, input_rate=0.2)")
    xs, (h, _) = problem()
    ys, _ = unroll(cell, xs, (h,))
    torch.manual_seed(1)
    on_x = mask(0.2, 3)
    # The masks of both are drawn in project: from the outside in by what the input needs, then from the inside out.
    kept = torch.rand(STEPS, BATCH, 4) < 0.3
    on_h = mask(0.5, 4)
    for t in range(STEPS):
        new = gru_by_hand(dict(cell.inner.inner.named_parameters()), xs[t] * on_x, h * on_h, h)
        h = torch.where(kept[t], h, new)
        torch.testing.assert_close(ys[t], h, rtol=0, atol=1e-14)


def test_one_mask_serves_all_steps_without_a_copy(build):
    torch.manual_seed(1)
    _, drawn = build("variational(gru, rate=0.5)").project(problem()[0])
    assert drawn.shape == (STEPS, BATCH, 4)
    assert drawn.stride(0) == 0
    assert set(drawn.flatten().tolist()) == {0.0, 2.0}


def test_at_rate_one_products_read_nothing(build):
    cell = build("variational(rnn, rate=1, input_rate=1)")
    xs, (h, _) = problem()
    ys, _ = unroll(cell, xs, (h,))
    bias = cell.inner.bias_ih + cell.inner.bias_hh
    torch.testing.assert_close(ys, bias.tanh().expand_as(ys), rtol=0, atol=1e-15)


def test_the_expectation_is_the_cell_s_own_product(build):
    rows = 40_000
    cell = build("variational(rnn, rate=0.3, input_rate=0.2)")
    x, h = (torch.randn(1, size, dtype=torch.float64).expand(rows, size) for size in (3, 4))
    torch.manual_seed(1)
    drawn = cell(x, (h,))[0].atanh()
    expected = cell.eval()(x, (h,))[0].atanh()
    assert ((drawn.mean(0) - expected).abs() < 4 * drawn.std(0) / rows**0.5).all()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"rate": 2}, "cell 'variational': rate of 'h' is 2; it must be a rate from 0 to 1"),
        ({"rate": {"d": 0.1}}, "cell 'variational': rate has 'd'; there are h, c"),
        ({"input_rate": -1}, "cell 'variational': input_rate is -1; it must be a rate from 0 to 1"),
        ({"input_rate": None}, "cell 'variational': input_rate is None; it must be a rate from 0 to 1"),
    ],
)
def test_rates_that_cannot_be_honoured(build, options, sentence):
    with pytest.raises(rnnkit.errors.UsageError) as caught:
        build("variational", **options)
    assert str(caught.value) == sentence


def test_shows_its_rates(build):
    assert "rate={'h': 0.2}, input_rate=0.5" in repr(build("variational(lstm, rate=0.2, input_rate=0.5)"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_masks_are_in_the_dtype_of_the_input_for_a_cell_without_tensors(dtype):
    class Bare(rnnkit.Cell):
        def step(self, p, state):
            h = 0.5 * state[0] + p.mean(1, keepdim=True)
            return h, (h,)

    layer = rnnkit.RNN("variational", 4, 4, inner=Bare, rate=0.1, input_rate=0, unroller="loop")
    assert layer(torch.ones(5, 2, 4, dtype=dtype))[0].dtype == dtype
    assert not rnnkit.testing.inspect_cell(Bare).promises["shapes and state"]
