"""The schedule of a step: stages, buffers and where they lie, what is kept for backward and what is recomputed."""
