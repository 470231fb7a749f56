"""Strings of brackets: drawn, and what a stack would say of them.

Symbols: 0 is none (a mark, or past the end), 1 to K open a bracket of K kinds, K + 1 to 2 K close one.
"""

import torch
from torch import Tensor

MARK = 0


def bracket_strings(lengths: Tensor, steps: int, kinds: int, depth: int, generator: torch.Generator) -> Tensor:
    """Draw well-bracketed strings (steps, B), of even lengths (B,) up to `steps`, nested at most `depth` deep.

    A bracket opens at depth 0, closes at depth `depth` or where all that is left is needed to close, and does either
    with even odds elsewhere.
    """
    rows = torch.arange(len(lengths))
    coins = torch.rand(steps, len(lengths), generator=generator) < 0.5
    drawn = torch.randint(1, kinds + 1, (steps, len(lengths)), generator=generator)
    stack = torch.zeros(min(depth, steps) + 1, len(lengths), dtype=torch.long)
    height = torch.zeros(len(lengths), dtype=torch.long)
    text = torch.full((steps, len(lengths)), MARK)
    for step in range(steps):
        left = lengths - step
        opens = ((height == 0) | coins[step]) & (height < depth) & (height < left) & (left > 0)
        closes = ~opens & (left > 0)
        top = stack[height, rows]
        text[step] = torch.where(opens, drawn[step], (top + kinds).where(closes, MARK))
        height = height + opens.long() - closes.long()
        stack[height, rows] = torch.where(opens, drawn[step], stack[height, rows])
    return text


def depths(text: Tensor, kinds: int) -> Tensor:
    """Return how many brackets are open after each symbol (T, B)."""
    return ((text > MARK) & (text <= kinds)).long().cumsum(0) - (text > kinds).long().cumsum(0)


def just_opened(text: Tensor, kinds: int) -> Tensor:
    """Return the kind (T, B) of the last opening bracket up to each symbol, 0 where there is none."""
    steps = torch.arange(len(text)).unsqueeze(1)
    opening = (text > MARK) & (text <= kinds)
    at = torch.where(opening, steps, -1).cummax(0).values
    return text.gather(0, at.clamp(min=0)).where(at >= 0, 0)
