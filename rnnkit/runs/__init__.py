"""A run on disk: its settings, folder, checkpoints, history and comparison; a training goes on from there."""
