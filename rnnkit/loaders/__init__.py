"""Data of one's own: a task made of a loader of batches, and sequences of different lengths put into one batch."""
