"""Sequences of different lengths side by side in a batch, and a model's answers to them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from rnnkit import Batch

TOGETHER = 128
"""Sequences of a batch that validates or is predicted."""


def padded(sequences: Sequence[Tensor], targets: Tensor) -> Batch:
    """Return sequences (T,) or (T, D) as a batch (T, B) or (T, B, D) with lengths (B,), zeros behind each one's end."""
    return Batch(pad_sequence(list(sequences)), targets, torch.tensor([len(sequence) for sequence in sequences]))


def by_length(sequences: Sequence[Tensor]) -> Iterator[list[int]]:
    """Yield the places of sequences in groups of alike lengths, each place once."""
    order = sorted(range(len(sequences)), key=lambda place: (len(sequences[place]), place))
    for at in range(0, len(order), TOGETHER):
        yield order[at : at + TOGETHER]


def probabilities(model: nn.Module, sequences: Sequence[Tensor], *, every_step: bool) -> list[Tensor]:
    """Return what a model makes of each sequence: probabilities of K labels after its end (K,), or at each step (T, K).

    Args:
        model: as `Task.further_figures` takes it.
        sequences: (T,) or (T, D) each.
        every_step: whether steps have labels.
    """
    where = next(model.parameters()).device
    found: list[Tensor] = [torch.empty(0)] * len(sequences)
    with torch.no_grad():
        for places in by_length(sequences):
            batch = padded([sequences[place] for place in places], torch.empty(0))
            assert batch.lengths is not None
            outputs = model(batch.xs.to(where), None, lengths=batch.lengths.to(where))[0]
            shares = outputs.double().softmax(-1).cpu()
            for row, (place, length) in enumerate(zip(places, batch.lengths.tolist(), strict=True)):
                found[place] = shares[:length, row] if every_step else shares[length - 1, row]
    return found
