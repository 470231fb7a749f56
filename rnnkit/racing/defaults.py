"""What a race is where nothing else is said. No torch, so that the command line can show it."""

SEEDS = 3
"""How many the cells are ranked by."""

TUNING_SEEDS = 1
"""How many a learning rate is chosen by; none of them is among those that the cells are ranked by."""

FIRST_TUNING_SEED = 10_000
"""How far the seeds of tuning are from the others."""

STEPS = 1500
HIDDEN = 32
SCHEDULE = "cosine"
"""A race has an end that is known, so the learning rate falls until there, and the last validation is a quiet one."""

VALIDATIONS = 20
"""Of a training, beside the one before its first update."""

EQUAL = ("parameters", "flops", "hidden")
"""In what the cells are made equal."""

TOLERANCE = 0.05
"""How far the cost of a cell may be from that of the first one."""

OWN = ("cell", "lr", "patience", "save_every", "keep")
"""Settings of a run that a race has no place for, or decides by itself."""


def learning_rates(rate: float) -> tuple[float, ...]:
    """Return what is tried of the learning rate: about a third of the task's own, that one, and three times as much."""
    return tuple(float(f"{rate * factor:.1g}") if factor != 1 else rate for factor in (1 / 3, 1, 3))
