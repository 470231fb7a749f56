"""Loops of one's own that save as they go and resume: run in server.py's forks, again and again until they are through.

Each leaves its checkpoints in the folder `run`, and in the file `result` what it has come to.
"""

from pathlib import Path

STEPS, EVERY = 8, 2


def data():
    """Return noisy sequences, whose noise NumPy and Python draw: pairs of (6, 2) and a class."""
    import random

    import numpy as np
    import torch
    from torch.utils.data import Dataset

    class Noisy(Dataset):
        def __len__(self):
            return 10

        def __getitem__(self, number):
            noise = torch.from_numpy(np.random.rand(6, 2)).float() * random.random()
            return noise + number, number % 3

    return Noisy()


def training(limit=STEPS):
    """A `rnnkit.Training` on a loader with a generator of its own."""
    import torch
    from torch.utils.data import DataLoader

    import rnnkit

    loader = DataLoader(data(), batch_size=4, shuffle=True, generator=torch.Generator().manual_seed(9))
    task = rnnkit.tasks.from_loader(loader, batch_first=True, validation=loader, output_size=3)
    torch.manual_seed(0)
    model = rnnkit.Model(task, "lstm", 4, num_layers=2, dropout=0.3, unroller="loop")
    trained = rnnkit.Training(model, task, steps=STEPS, lr=0.05, truncate=(2, 4), average=0.9, validate_every=3, seed=5)
    trained.resume("run")
    for record in trained.records():
        if record.step % EVERY == 0:
            trained.save("run")
        if record.step == limit:
            break
    Path("result").write_text(repr([p.detach().double().sum().item() for p in trained.model.parameters()]))


def plain(limit=STEPS):
    """A loop of torch's, with an optimizer, a schedule, draws of all three kinds and a list that it keeps."""
    import random

    import numpy as np
    import torch

    import rnnkit

    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Dropout(0.3), torch.nn.Linear(4, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=STEPS)
    own = torch.Generator().manual_seed(4)
    parts = {"model": model, "optimizer": optimizer, "schedule": schedule, "own": own}
    folder = rnnkit.RunFolder("run")
    at = folder.resume(**parts) or {"step": 0, "losses": []}
    for step in range(at["step"] + 1, limit + 1):
        xs = torch.rand(5, 3) + float(np.random.rand()) + random.random() + torch.rand((), generator=own)
        optimizer.zero_grad()
        loss = model(xs).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        at["losses"].append(loss.item())
        if step % EVERY == 0:
            folder.save(step, **parts, losses=at["losses"])
    Path("result").write_text(repr(at["losses"]))
