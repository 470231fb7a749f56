"""A training loop in plain torch around a layer of rnnkit's, which may be killed at any moment and started again."""

from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader

import rnnkit

EPOCHS = 20


class Counter(nn.Module):
    """Tells how many of a sequence's numbers are above zero, from its last state."""

    def __init__(self):
        super().__init__()
        self.layer = rnnkit.RNN("peephole", 1, 16)
        self.readout = nn.Linear(16, 1)

    def forward(self, batch):
        _, (h, _) = self.layer(batch.xs, lengths=batch.lengths)  # rows of different lengths
        return self.readout(h[-1]).squeeze(-1)


def sequences(count, seed):
    """Draw sequences of 3 to 12 numbers, each with its target."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(3, 13, (count,), generator=generator)
    drawn = [torch.randn(int(length), generator=generator) for length in lengths]
    return [(xs, float((xs > 0).sum())) for xs in drawn]


def main(run=Path("runs/plain-loop")):
    """Train; return the mean squared error of each epoch."""
    torch.manual_seed(0)
    loader = DataLoader(sequences(256, seed=1), batch_size=32, shuffle=True, collate_fn=rnnkit.collate)
    model = Counter()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule}

    folder = rnnkit.RunFolder(run)
    at = folder.resume(**parts) or {"step": 0, "errors": []}
    for epoch in range(at["step"] + 1, EPOCHS + 1):
        total = 0.0
        for batch in loader:
            loss = nn.functional.mse_loss(model(batch), batch.targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        schedule.step()
        at["errors"].append(total / len(loader))
        folder.save(epoch, **parts, errors=at["errors"])
    return at["errors"]


if __name__ == "__main__":
    print("mean squared error:", *(f"{error:.3f}" for error in main()))
