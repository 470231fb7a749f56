"""A recurrent classifier as a scikit-learn estimator, by skorch: it is fitted, cross-validated and searched over."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
from torch import nn

import rnnkit


class Reader(nn.Module):
    """Reads an image row by row; skorch hands it batches first."""

    def __init__(self, cell="gru", hidden=32):
        super().__init__()
        self.layer = rnnkit.RNN(cell, 8, hidden, batch_first=True)
        self.readout = nn.Linear(hidden, 10)

    def forward(self, images):
        outputs, _ = self.layer(images)
        return self.readout(outputs[:, -1])


def main():
    """Search over two cells by cross-validation, then test the better one; return its name and its accuracy."""
    images, labels = load_digits(return_X_y=True)
    images = (images / 16).astype(np.float32).reshape(-1, 8, 8)
    torch.manual_seed(0)
    network = NeuralNetClassifier(
        Reader,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=1e-2,
        batch_size=64,
        max_epochs=4,
        train_split=None,
        verbose=0,
    )
    search = GridSearchCV(network, {"module__cell": ["rnn", "gru"]}, cv=2, scoring="accuracy")
    search.fit(images[:1200], labels[:1200])
    return search.best_params_["module__cell"], search.score(images[1200:], labels[1200:])


if __name__ == "__main__":
    cell, accuracy = main()
    print(f"{cell}: {accuracy:.3f} of the test images told right")
