"""A PyTorch Lightning module around a layer of rnnkit's, on sequences of different lengths."""

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.data import DataLoader

import rnnkit


class Majority(pl.LightningModule):
    """Tells whether more ones or more zeros have come, at every step of a sequence of symbols."""

    def __init__(self, cell="gru", hidden=16, lr=2e-2):
        super().__init__()
        self.save_hyperparameters()
        self.embedding = nn.Embedding(2, 4)
        self.layer = rnnkit.RNN(cell, 4, hidden)
        self.readout = nn.Linear(hidden, 2)

    def forward(self, xs, lengths=None):
        outputs, _ = self.layer(self.embedding(xs), lengths=lengths)
        return self.readout(outputs)

    def training_step(self, batch, number):
        logits = self(batch.xs, batch.lengths)
        return nn.functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())  # passes over the padding

    def validation_step(self, batch, number):
        there = batch.targets >= 0
        right = (self(batch.xs, batch.lengths).argmax(-1) == batch.targets)[there]
        self.log("accuracy", right.float().mean(), batch_size=int(there.sum()))

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.hparams.lr)


def loader(count, seed):
    """Draw sequences of 4 to 15 symbols, with a target at every step."""
    generator = torch.Generator().manual_seed(seed)
    samples = []
    for length in torch.randint(4, 16, (count,), generator=generator).tolist():
        xs = torch.randint(2, (length,), generator=generator)
        samples.append((xs, ((2 * xs - 1).cumsum(0) > 0).long()))
    return DataLoader(samples, batch_size=32, shuffle=seed == 1, collate_fn=rnnkit.collate)


def main(folder="runs/lightning"):
    """Fit; return the accuracy on what was held out."""
    pl.seed_everything(0)
    trainer = pl.Trainer(
        max_epochs=5,
        accelerator="cpu",
        gradient_clip_val=1.0,
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    module = Majority()
    trainer.fit(module, loader(512, seed=1), loader(128, seed=2))
    return float(trainer.callback_metrics["accuracy"])


if __name__ == "__main__":
    print(f"{main():.3f} of the steps told right")
