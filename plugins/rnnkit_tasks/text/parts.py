"""Which part of a text trains, validates and is kept for a test."""


def parts_of(length: int) -> tuple[int, int]:
    """Return where the part that validates begins in a text of so many tokens, and the one for a test."""
    return length * 90 // 100, length * 95 // 100
