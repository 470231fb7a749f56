"""Data with labels: reading texts and sequences, bringing them into a model's form, and judging labels."""
