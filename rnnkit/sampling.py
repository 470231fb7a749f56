"""Sampling: a model over symbols continues a prompt, one symbol at a time."""

import math

import torch
from torch import Tensor

from rnnkit.errors import DivergedError, UsageError
from rnnkit.evaluation import evaluating
from rnnkit.model import Model


def generate(model: Model, prompt: Tensor, length: int, *, temperature: float = 1.0, seed: int = 0) -> Tensor:
    """Draw `length` symbols (length,) after `prompt` (N,), each from the model's distribution given all before it.

    Args:
        model: over symbols; its state is carried from step to step, so memory does not grow with `length`.
        prompt: at least one symbol.
        length: symbols to draw.
        temperature: below 1 favours the likely ones; 0 always takes the likeliest.
        seed: of the draws.

    Raises:
        UsageError: the model does not take symbols, or an argument makes no sense.
    """
    if model.embedding is None:
        raise UsageError("this model's inputs are not symbols, so there is nothing to sample")
    if len(prompt) < 1 or length < 1:
        raise UsageError("sampling needs a prompt of at least one symbol and a length of at least 1")
    if not math.isfinite(temperature) or temperature < 0:
        raise UsageError(f"temperature is {temperature!r}; it must be a finite number >= 0")
    device = model.readout.weight.device
    generator = torch.Generator().manual_seed(seed)
    drawn: list[Tensor] = []
    with evaluating(model):
        outputs, state = model(prompt.to(device).unsqueeze(1))
        for _ in range(length):
            drawn.append(_draw(outputs[-1, 0].cpu(), temperature, generator))
            outputs, state = model(drawn[-1].view(1, 1).to(device), state)
    return torch.stack(drawn)


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
