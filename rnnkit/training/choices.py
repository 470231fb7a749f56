"""Words that training takes, without torch, so that the command line can offer them before it loads any."""

CLIPPED_BY = ("norm", "value")
"""What of the gradients is cut."""

SCHEDULES = ("constant", "cosine", "plateau")
"""Of the learning rate."""
