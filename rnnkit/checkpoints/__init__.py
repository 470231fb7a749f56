"""Checkpoints on disk: written whole or not at all, verified before use, the last few kept; one writer at a time."""
