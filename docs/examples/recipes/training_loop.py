"""A loop of one's own around `rnnkit.Training`: it logs, saves and stops as it likes; killed, it is begun again."""

from pathlib import Path

import torch
from torch.utils.data import TensorDataset

import rnnkit

STEPS = 200


def waves(count, seed):
    """Draw noisy waves of 30 steps, slow ones (class 0) and fast ones (class 1)."""
    generator = torch.Generator().manual_seed(seed)
    classes = torch.randint(2, (count,), generator=generator)
    phase = torch.rand(count, 1, generator=generator)
    angles = torch.arange(30) * (0.3 + 0.3 * classes).unsqueeze(1) + 6.28 * phase
    return TensorDataset(angles.sin().unsqueeze(-1) + 0.3 * torch.randn(count, 30, 1, generator=generator), classes)


def main(run=Path("runs/training-loop")):
    """Train; return the accuracy of each validation of this process, by step."""
    task = rnnkit.tasks.from_loader(waves(500, seed=1), validation=waves(200, seed=2), output_size=2, name="waves")
    torch.manual_seed(0)
    model = rnnkit.Model(task, "gru", hidden_size=16)
    training = rnnkit.Training(model, task, steps=STEPS, lr=1e-2, clip=1.0, validate_every=20, seed=0)

    training.resume(run)
    accuracies = {}
    for record in training.records():
        if record.validation is not None:
            accuracies[record.step] = record.validation.metric
            training.save(run)  # at each validation; at most 20 updates are computed again
            if record.validation.metric > 0.99:
                break
    return accuracies


if __name__ == "__main__":
    for step, accuracy in main().items():
        print(f"step {step}: accuracy {accuracy:.3f}")
