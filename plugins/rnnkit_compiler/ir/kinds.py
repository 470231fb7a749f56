"""The kinds of nodes, by what they read and give."""

LEAVES = ("state", "part", "vector", "number", "grad_y", "grad_state")
REDUCTIONS = ("sum", "max", "min")
"""What gives a single number of each row."""

CONTRACTIONS = ("einsum", "amax", "amin")
"""What goes along axes within a row, as an equation says; see `contraction`."""

WHOLE = (*CONTRACTIONS, "window", "ranks", "products")
"""What reads whole rows and gives whole rows: nothing else is computed with it unit by unit."""

ROW_LOOPS = (*REDUCTIONS, "scan", "peak")
"""What a loop over the units of a row computes, before the units are gone through block by block."""

RUNNING = ("scan", "peak")
"""Of these, what has a number for each unit."""
