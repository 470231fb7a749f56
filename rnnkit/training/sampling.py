"""Sampling: a model over symbols continues a prompt, one symbol at a time."""

import math
from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from rnnkit.errors import DivergedError, UsageError, check_whole
from rnnkit.layers.model import Model
from rnnkit.training.evaluation import evaluating


def generate(model: Model, prompt: Tensor, length: int, *, temperature: float = 1.0, seed: int = 0) -> Tensor:
    """Draw `length` symbols (length,) after `prompt` (N,): the first ones of `generate_stream`.

    Raises:
        UsageError: as `generate_stream`, or `length` is below 1.
    """
    check_whole("length", length)
    return torch.stack(list(islice(generate_stream(model, prompt, temperature=temperature, seed=seed), length)))


def generate_stream(model: Model, prompt: Tensor, *, temperature: float = 1.0, seed: int = 0) -> Iterator[Tensor]:
    """Draw symbols () after `prompt` (N,) without end, each from the model's distribution given all before it.

    Arguments are checked at the call. The state is carried from step to step, so memory does not grow.

    Args:
        model: over symbols.
        prompt: at least one symbol.
        temperature: below 1 favours the likely ones; 0 always takes the likeliest.
        seed: of the draws.

    Raises:
        UsageError: the model does not take symbols, or an argument makes no sense.
    """
    if model.embedding is None:
        raise UsageError("this model's inputs are not symbols, so there is nothing to sample")
    if len(prompt) < 1:
        raise UsageError("sampling needs a prompt of at least one symbol")
    if not math.isfinite(temperature) or temperature < 0:
        raise UsageError(f"temperature is {temperature!r}; it must be a finite number >= 0")
    return _stream(model, prompt, temperature, torch.Generator().manual_seed(seed))


def _stream(model: Model, prompt: Tensor, temperature: float, generator: torch.Generator) -> Iterator[Tensor]:
    device = model.readout.weight.device
    xs, state = prompt.to(device).unsqueeze(1), None
    while True:
        with evaluating(model):  # step by step: between two of them the model is its owner's
            outputs, state = model(xs, state)
        symbol = _draw(outputs[-1, 0].cpu(), temperature, generator)
        yield symbol
        xs = symbol.view(1, 1).to(device)


def _draw(scores: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
    bad = (~torch.isfinite(scores)).nonzero()
    if len(bad):
        index = bad[0].tolist()
        raise DivergedError(
            f"the output {index} = {scores[index[0]].item()} cannot be sampled; lower the learning rate"
        )
    if temperature == 0:
        return scores.argmax()
    return torch.multinomial(torch.softmax(scores.double() / temperature, 0), 1, generator=generator)[0]
