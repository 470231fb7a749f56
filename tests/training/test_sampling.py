"""Sampling draws from the model's own distribution, symbol after symbol, and a seed decides it."""

import gc
import math
import tracemalloc
from itertools import islice

import pytest
import torch

import rnnkit
from rnnkit.errors import UsageError
from rnnkit.training.sampling import generate, generate_stream

from ..core_cells import CORE_CELLS
from ..slow_cases import slow_but

Copy = rnnkit.tasks["copy"]


def build(cell="gru", **options):
    torch.manual_seed(0)
    return rnnkit.Model(Copy(seq_len=5), cell, 8, embedding_size=4, **options)


PROMPT = torch.tensor([1, 2, 3])


@pytest.mark.parametrize("cell", CORE_CELLS)
def test_at_temperature_zero_each_symbol_is_the_likeliest_given_all_before(cell):
    model = build(cell, num_layers=2)
    drawn = generate(model, PROMPT, 12, temperature=0)
    text = torch.cat([PROMPT, drawn])
    with torch.no_grad():
        outputs, _ = model(text.unsqueeze(1))
    assert torch.equal(drawn, outputs[len(PROMPT) - 1 : -1, 0].argmax(-1))


def test_a_seed_decides_and_the_global_random_state_is_left_alone():
    model = build()
    before = torch.get_rng_state()
    first, again, other = (generate(model, PROMPT, 40, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("temperature", [0, 0.7, 1.0])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_draws_are_those_of_one_loop(cell, temperature):
    model, generator, expected = build(cell, num_layers=2).eval(), torch.Generator().manual_seed(3), []
    with torch.no_grad():
        outputs, state = model(PROMPT.unsqueeze(1))
        for _ in range(50):
            scores = outputs[-1, 0]
            chances = torch.softmax(scores.double() / (temperature or 1), 0)
            drawn = torch.multinomial(chances, 1, generator=generator)[0] if temperature else scores.argmax()
            expected.append(int(drawn))
            outputs, state = model(drawn.view(1, 1), state)
    assert generate(model, PROMPT, 50, temperature=temperature, seed=3).tolist() == expected
    assert [int(s) for s in islice(generate_stream(model, PROMPT, temperature=temperature, seed=3), 50)] == expected


def test_a_stream_leaves_the_model_to_its_owner_between_two_draws():
    model = build(num_layers=2, dropout=0.9).train()
    symbols, expected = generate_stream(model, PROMPT, seed=5), generate(model, PROMPT, 6, seed=5)
    for symbol in expected:
        assert next(symbols) == symbol
        assert torch.is_grad_enabled()
        assert model.training
        model(PROMPT.unsqueeze(1))[0].sum().backward()


def test_a_stream_keeps_nothing():
    symbols = generate_stream(build(), PROMPT)

    def kept(count):
        for _ in islice(symbols, count):
            pass
        gc.collect()  # else what the last calls left waits for its turn
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = kept(100)
        assert (kept(1000) - before) / 1000 < 20  # bytes a symbol: a tensor alone is over 70
    finally:
        tracemalloc.stop()


def test_a_stream_checks_at_the_call():
    with pytest.raises(UsageError, match="temperature is -1"):
        generate_stream(build(), PROMPT, temperature=-1)


@pytest.mark.parametrize("temperature", slow_but([0.5], [1.0, 0.5, 3.0]))
def test_draws_follow_the_distribution(temperature):
    model = build()
    drawn = torch.stack([generate(model, PROMPT, 1, temperature=temperature, seed=seed)[0] for seed in range(2000)])
    with torch.no_grad():
        scores = model(PROMPT.unsqueeze(1))[0][-1, 0]
    expected = torch.softmax(scores / temperature, 0)
    found = torch.bincount(drawn, minlength=len(expected)) / len(drawn)
    assert (found - expected).abs().max() < 4 * math.sqrt(0.25 / len(drawn))


def test_dropout_is_off_and_the_mode_stays():
    model = build(num_layers=2, dropout=0.9)
    for training in (True, False):
        model.train(training)
        drawn = generate(model, PROMPT, 20, temperature=0)
        assert model.training is training
        assert torch.equal(drawn, generate(model, PROMPT, 20, temperature=0))


@pytest.mark.parametrize(
    ("prompt", "length", "temperature", "sentence"),
    [
        (PROMPT[:0], 3, 1.0, "needs a prompt of at least one symbol"),
        (PROMPT, 0, 1.0, "length is 0; it must be a whole number >= 1"),
        (PROMPT, 3, -1.0, "temperature is -1.0; it must be a finite number >= 0"),
        (PROMPT, 3, math.nan, "temperature is nan"),
        (PROMPT, 3, math.inf, "temperature is inf"),
    ],
)
def test_arguments_that_make_no_sense(prompt, length, temperature, sentence):
    with pytest.raises(UsageError, match=sentence):
        generate(build(), prompt, length, temperature=temperature)


def test_a_model_over_real_inputs_has_nothing_to_sample():
    model = rnnkit.Model(rnnkit.tasks["adding"](), "gru", 4)
    with pytest.raises(UsageError, match="inputs are not symbols"):
        generate(model, PROMPT, 3)
