"""A search by Optuna for cell, width and learning rate: each trial is one training, ended early if it does badly."""

import math

import optuna
import torch

import rnnkit
from rnnkit.errors import DivergedError

TRIALS, STEPS = 8, 120


def objective(trial):
    """Return the validation error of one choice."""
    task = rnnkit.tasks["adding"](seq_len=12)
    torch.manual_seed(0)
    cell = trial.suggest_categorical("cell", ["gru", "rnn"])
    model = rnnkit.Model(task, cell, hidden_size=trial.suggest_int("hidden", 4, 24))
    rate = trial.suggest_float("lr", 1e-3, 1e-1, log=True)
    error = math.inf
    try:
        for record in rnnkit.train(model, task, steps=STEPS, lr=rate, validate_every=STEPS // 4):
            if record.validation is not None:
                error = record.validation.metric
                trial.report(error, record.step)
                if trial.should_prune():
                    raise optuna.TrialPruned
    except DivergedError:  # a choice that is no good, rather than a fault
        raise optuna.TrialPruned from None
    return error


def main():
    """Search; return the study."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
    study.optimize(objective, n_trials=TRIALS)
    return study


if __name__ == "__main__":
    best = main().best_trial
    print(f"validation MSE {best.value:.4f} with {best.params}; predicting 1 always has {1 / 6:.4f}")
